//! `cargo xtask kernels`: the matrix of booted kernels, which is a crate of its own (`xtask/kernels`), as nothing
//! else needs what it is made of.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use xtask_build::cargo::workspace;

/// Boot Debian's kernels of many architectures, and check the client on each
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// The arguments of the crate's own, which tells them by --help
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    arguments: Vec<OsString>,
}

/// Builds the crate and goes on as it.
pub fn run(args: &Args) -> Result<ExitCode> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--package", "xtask-kernels", "--manifest-path"]);
    command.arg(workspace().join("Cargo.toml")).arg("--").args(&args.arguments);
    let status = command.status().context("cannot run cargo")?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}
