//! `cargo xtask miri`: the tests of vdso-data and vdso-client in the interpreter that finds undefined
//! behaviour and emulates weak memory.
//!
//! vdso-data is safe code. Of vdso-client everything runs but what is machine code: a stub stands for
//! the kernel.
//!
//! Miri is part of the nightly toolchain, and only of some. Where there is none, this says so by name
//! and is content. The stub is then at least tried as an ordinary program, with the same `cfg`.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use test_support::{Lacking, skip};

use xtask_build::cargo;

/// Run the tests of vdso-data and vdso-client under Miri, where the nightly toolchain has it.
#[derive(clap::Args)]
pub struct Args {}

/// What is tested, and of vdso-client which tests.
const PACKAGES: [(&str, &[&str]); 2] =
    [("vdso-data", &[]), ("vdso-client", &["--lib", "--test", "times", "--test", "stub"])];

/// Exits with 1 if a test fails; a machine without Miri is a named skip.
pub fn run(Args {}: Args) -> Result<ExitCode> {
    if let Err(reason) = look_for_miri(&mut cargo()) {
        println!("skip: miri: {reason}");
        skip(Lacking::Toolchain, "miri", &reason);
        return without_miri();
    }
    let mut exit = ExitCode::SUCCESS;
    for (package, tests) in PACKAGES {
        let mut command = cargo();
        command.args(["miri", "test", "--locked", "--package", package]).args(tests);
        if !is_ok(&mut command, &format!("miri {package}"))? {
            exit = ExitCode::FAILURE;
        }
    }
    Ok(exit)
}

/// The stub that answers under Miri, as an ordinary program.
fn without_miri() -> Result<ExitCode> {
    let [_, (package, tests)] = PACKAGES;
    let mut command = cargo::cargo("miri-stub");
    command.env("RUSTFLAGS", "--cfg miri");
    command.args(["test", "--quiet", "--locked", "--package", package]).args(tests);
    let is_ok = is_ok(&mut command, "stub for Miri")?;
    Ok(if is_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_ok(command: &mut Command, what: &str) -> Result<bool> {
    let status = command.status().with_context(|| format!("cannot run cargo for {what}"))?;
    println!("{} {what}", if status.success() { "ok  " } else { "FAIL" });
    Ok(status.success())
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
