//! `cargo xtask no-std`: the crates that kernels and their like use, compiled for machines without an operating
//! system.
//!
//! A crate says `no_std`, but a dependency of it need not, and on Linux nobody would notice.

use std::process::ExitCode;

use anyhow::{Context, Result};
use test_support::{Lacking, skip};

use xtask_build::{cargo, standard_library};

/// Compile the crates that need no operating system for machines that have none.
#[derive(clap::Args)]
pub struct Args {}

const PACKAGES: [&str; 5] =
    ["vdso-arch", "vdso-data", "vdso-elf", "vdso-timekeeper", "vdso-vsyscall"];

/// One for each architecture whose counter the timekeeper reads.
const TARGETS: [&str; 3] =
    ["x86_64-unknown-none", "aarch64-unknown-none", "riscv64gc-unknown-none-elf"];

/// Exits with 1 if one does not compile; a target without a standard library is a named skip.
pub fn run(Args {}: Args) -> Result<ExitCode> {
    let mut exit = ExitCode::SUCCESS;
    for target in TARGETS {
        match compiles(target)? {
            Some(true) => println!("ok   {target}: {}", PACKAGES.join(", ")),
            Some(false) => {
                println!("FAIL {target}");
                exit = ExitCode::FAILURE;
            }
            None => {
                let reason = standard_library::missing(target);
                println!("skip {target}: {reason}");
                skip(Lacking::Toolchain, &format!("no-std {target}"), &reason);
            }
        }
    }
    Ok(exit)
}

/// What is a kernel's whole part in a vDSO, and has a start for this target.
const EXAMPLE: (&str, [&str; 2]) = ("x86_64-unknown-none", ["--example", "kernel_page"]);

/// `None` where there is nothing to compile them with.
fn compiles(target: &str) -> Result<Option<bool>> {
    let Some(packages) = check(target, &PACKAGES, &[])? else { return Ok(None) };
    let (for_target, example) = EXAMPLE;
    if for_target != target {
        return Ok(Some(packages));
    }
    Ok(check(target, &["vdso-timekeeper"], &example)?.map(|example| packages && example))
}

fn check(target: &str, packages: &[&str], what: &[&str]) -> Result<Option<bool>> {
    let mut command = cargo::cargo("no-std");
    command.env_remove("RUSTFLAGS").args(["check", "--quiet", "--locked", "--target", target]);
    command.args(packages.iter().flat_map(|package| ["--package", package])).args(what);
    if !standard_library::is_installed(target)? {
        let Some(library) = standard_library::source()? else { return Ok(None) };
        // A feature of cargo's nightly versions.
        command.env("RUSTC_BOOTSTRAP", "1").env("__CARGO_TESTS_ONLY_SRC_ROOT", library);
        command.args(["-Z", "build-std=core,compiler_builtins"]);
    }
    let status = command.status().context("cannot run cargo")?;
    Ok(Some(status.success()))
}
