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
mod target;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    args.color.write_global();
    match args.command {
        Command::Run(run) => run::run(&run),
        Command::Inspect(inspect) => exit::code(inspect::run(&inspect)),
        Command::Dump(dump) => exit::code(dump::run(&dump)),
        Command::Doctor(doctor) => exit::code(doctor::run(&doctor)),
        Command::Bench(bench) => exit::code(bench::run(&bench)),
        Command::Completions { shell } => {
            let mut command = Args::command();
            clap_complete::generate(shell, &mut command, "vdso", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
        Command::Manual { folder } => exit::code(manual::write(&folder)),
    }
}
