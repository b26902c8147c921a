//! `cargo xtask miri`: vdso-data's tests in the interpreter that finds undefined behaviour and
//! emulates weak memory.
//!
//! Miri is part of the nightly toolchain, and only of some. Where there is none, this says so by name
//! and is content: what Miri would find in safe code, and the crate has no other, is little.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use test_support::{Lacking, skip};

use crate::cargo;

/// Run vdso-data's tests under Miri, where the nightly toolchain has it.
#[derive(clap::Args)]
pub struct Args {}

/// Exits with 1 if a test fails; a machine without Miri is a named skip.
pub fn run(Args {}: Args) -> Result<ExitCode> {
    if let Err(reason) = look_for_miri(&mut cargo()) {
        println!("skip: miri: {reason}");
        skip(Lacking::Toolchain, "miri", &reason);
        return Ok(ExitCode::SUCCESS);
    }
    let mut command = cargo();
    command.args(["miri", "test", "--locked", "--package", "vdso-data"]);
    let status = command.status().context("cannot run cargo miri")?;
    let outcome = if status.success() { "ok  " } else { "FAIL" };
    println!("{outcome} miri vdso-data");
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Rustup's cargo, which knows of other toolchains; that which runs this task does not.
fn cargo() -> Command {
    let mut command = cargo::command(Path::new("cargo"), "miri");
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTFLAGS").arg("+nightly");
    command
}

/// Why there is no Miri.
fn look_for_miri(command: &mut Command) -> Result<(), String> {
    let version = command.args(["miri", "--version"]);
    // A long one is of no use in a list.
    version.env("RUST_BACKTRACE", "0");
    let output = version.output().map_err(|error| format!("cannot run cargo: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().find(|line| !line.is_empty()).unwrap_or("cargo +nightly miri fails");
    let said = said.trim_start_matches("error: ").trim_end_matches('.');
    Err(format!("{said}; rustup component add miri --toolchain nightly"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_a_reason() {
        let reason = look_for_miri(&mut Command::new("/no/such/cargo")).unwrap_err();
        assert!(reason.starts_with("cannot run cargo: "), "{reason}");
        // Like a cargo that is not rustup's, or a toolchain without the component.
        let reason = look_for_miri(&mut shell("echo 'error: no such command' >&2; exit 1"));
        let expected = "no such command; rustup component add miri --toolchain nightly";
        assert_eq!(reason.unwrap_err(), expected);
        let reason = look_for_miri(&mut shell("exit 101")).unwrap_err();
        assert!(reason.starts_with("cargo +nightly miri fails; "), "{reason}");
    }

    #[test]
    fn what_answers_is_there() {
        assert_eq!(look_for_miri(&mut shell("echo miri 0.1.0")), Ok(()));
    }

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }
}
