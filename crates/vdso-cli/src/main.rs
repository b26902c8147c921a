//! The `vdso` command.

mod args;
mod bench;
mod chart;
mod doctor;
mod dump;
mod exit;
mod inspect;
mod manual;
mod message;
mod run;
mod startup;
mod stat;
mod subject;
mod system;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use args::{Args, Command};
use exit::Exit;

/// musl's own maps and unmaps memory dozens of times while arguments are read.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let args = match Args::of_process() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    args.color.write_global();
    match args.command {
        Command::Run(run) => run::run(&run, None),
        Command::Stat(stat) => stat::run(&stat),
        Command::Inspect(inspect) => exit::code(inspect::run(&inspect)),
        Command::Dump(dump) => exit::code(dump::run(&dump)),
        Command::Doctor(doctor) => exit::code(doctor::run(&doctor)),
        Command::Bench(bench) => exit::code(bench::run(&bench)),
        Command::Completions { shell } => exit::code(manual::complete(shell)),
        Command::Manual { folder } => exit::code(manual::write(&folder)),
    }
}

/// Says what is wrong with the arguments, or what was asked for: help, the version.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return exit::code(print(error));
    }
    // The message has arguments in it as they were given, which may be anybody's.
    let printable = std::env::args_os().map(message::printable_path);
    let shown = Args::try_parse_from(printable).err().filter(clap::Error::use_stderr);
    shown.as_ref().unwrap_or(error).exit()
}

fn print(error: &clap::Error) -> Result<Exit> {
    let mut stdout = message::stdout()?;
    error.print().and_then(|()| stdout.flush()).context(message::PRINT)?;
    Ok(Exit::Success)
}
