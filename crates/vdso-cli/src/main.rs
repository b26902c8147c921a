//! The `vdso` command.

mod args;
mod bench;
mod doctor;
mod dump;
mod exit;
mod inspect;
mod manual;
mod message;
mod run;
mod system;
mod target;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    args.color.write_global();
    match args.command {
        Command::Run(run) => run::run(&run),
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
    match message::stdout() {
        Err(without) if !error.use_stderr() => exit::code(Err(without)),
        _ => error.exit(),
    }
}
