//! Builds the command, and a program that it runs, static.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::cargo;
use crate::images::add_companion;
use crate::kernels::apt::run;
use crate::kernels::program::Builder;
use crate::standard_library::Core;

/// Where what is built for a target goes.
pub fn folder(target: &str) -> PathBuf {
    cargo::target_folder().join("kernels-command").join(target)
}

/// Whether a compiler can be run.
pub fn is_installed(compiler: &str) -> bool {
    let mut command = Command::new(compiler);
    let quiet = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The command. Its debug assertions hold what it tells the kernel of a program against what the kernel
/// says itself.
pub fn command(builder: &Builder, target: &str, compiler: &str) -> Result<PathBuf> {
    let mut command = cargo::cargo("kernels-command");
    command.args(["build", "--quiet", "--package", "vdso-cli", "--locked", "--target", target]);
    command.arg("--config").arg(format!("target.{target}.linker={compiler:?}"));
    let flags = format!("target.{target}.rustflags=[\"-Ctarget-feature=+crt-static\"]");
    command.arg("--config").arg(flags).env_remove("RUSTFLAGS");
    // Small, as it is all memory of the machine's.
    command.args(["--config", "profile.dev.debug=0", "--config", "profile.dev.strip=true"]);
    command.args(["--config", "profile.dev.opt-level=1"]);
    builder.with_standard_library(&mut command, target, "std,panic_unwind")?;
    if let Core::Sysroot(folder) = Core::for_target(target)? {
        command.env("VDSO_IMAGE_SYSROOT", folder);
    }
    add_companion(&mut command)?;
    let output = command.output().context("cannot run cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the command for {target} does not build:\n{said}");
    Ok(folder(target).join("debug/vdso"))
}

/// `test-programs/clocks.c`.
pub fn clocks(folder: &Path, compiler: &str) -> Result<PathBuf> {
    let program = folder.join("clocks");
    let source = cargo::workspace().join("test-programs/clocks.c");
    let mut command = Command::new(compiler);
    command.args(["-O2", "-static", "-pthread", "-fno-optimize-sibling-calls"]);
    run(command.arg(source).arg("-o").arg(&program))?;
    Ok(program)
}
