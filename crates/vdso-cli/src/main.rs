//! The `vdso` command.

mod args;
mod clocks;
mod message;
mod run;
mod source;
mod startup;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

fn main() -> ExitCode {
    match Args::parse().command {
        Command::Run(run) => run::run(&run),
    }
}
