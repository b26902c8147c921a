//! The first program of the machines in which `cargo xtask kernels` tries the command `vdso`: as the
//! first process (PID 1) it makes the checks and turns the machine off. What it is called with
//! otherwise makes it one of the programs that `vdso run` gives a clock to.
//!
//! | | |
//! |---|---|
//! | [`machine`] | what a kernel leaves to its first process |
//! | [`checks`] | the checks |
//! | [`command`] | `vdso`, run to its end |
//! | [`program`] | what `vdso run` runs here |
//! | [`namespace`] | time namespaces |
//! | [`clocks`] | bracketed reads |
//! | [`capture`] | the kernel's data page, printed as the timekeeper's tests keep it |
//! | [`random`] | the vDSO's getrandom |
//! | [`report`] | the lines on the console |

mod capture;
mod checks;
mod clocks;
mod command;
mod machine;
mod namespace;
mod program;
mod random;
mod report;

use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> ExitCode {
    let is_first_process = std::process::id() == 1;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = if is_first_process { first(&arguments) } else { other(&arguments) };
    if let Err(error) = result {
        if is_first_process {
            report::failed_process(&format!("{error:#}"));
            machine::power_off();
        }
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The kernel hands over what its command line has behind `--`.
fn first(arguments: &[String]) -> Result<()> {
    machine::mount_all()?;
    checks::run(arguments);
    report::close();
    machine::power_off()
}

fn other(arguments: &[String]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["read", offset_sec, reads] => program::read(offset_sec.parse()?, reads.parse()?),
        ["enter", offset_sec, reads] => program::enter(offset_sec.parse()?, reads.parse()?),
        ["in-namespace", program, arguments @ ..] => namespace::run(program, arguments),
        ["children", depth, offset_sec, reads] => {
            program::children(depth.parse()?, offset_sec, reads)
        }
        ["execute", program, arguments @ ..] => program::execute(program, arguments),
        ["rate", rate, slack_ns] => program::rate(rate.parse()?, slack_ns.parse()?),
        ["never-back", duration_ms] => program::never_back(duration_ms.parse()?),
        ["auxv"] => program::auxv(),
        ["random"] => random::run(),
        _ => bail!("no such program: {arguments:?}"),
    }
}
