//! Builds the command, the first program, and one that the command runs, static.

use std::iter;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use test_support::{X32, multilib_package};
use xtask_build::cargo;
use xtask_build::images::add_companions;
use xtask_build::standard_library::Core;

use crate::apt::run;
use crate::program::Builder;

/// Where what is built for a target goes.
pub fn folder(target: &str) -> PathBuf {
    cargo::target_folder().join("kernels-command").join(target)
}

/// A compiler that can be run, by its plain name or with the version behind it; or what to do. Debian's
/// packages of cross compilers with plain names, and that of gcc's 32-bit library, cannot be installed
/// beside each other.
pub fn compiler(name: &str) -> std::result::Result<String, String> {
    let versions = (12..=20).map(|version| format!("{name}-{version}"));
    let mut names = iter::once(name.to_owned()).chain(versions);
    names.find(|name| is_installed(name)).ok_or_else(|| {
        let package = match name.rsplit_once('-') {
            Some((machine, compiler)) => format!("{compiler}-12-{machine}"),
            None => name.to_owned(),
        };
        format!("there is no {name}: apt-get install {package} and its C library")
    })
}

fn is_installed(compiler: &str) -> bool {
    let mut command = Command::new(compiler);
    let quiet = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The first program and the command, by their names in the machine. The command's debug assertions hold
/// what it tells the kernel of a program against what the kernel says itself.
pub fn first_and_command(
    builder: &Builder,
    target: &str,
    compiler: &str,
) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut command = cargo::cargo("kernels-command");
    command.args(["build", "--quiet", "--package", "vdso-cli", "--package", "command-init"]);
    command.args(["--locked", "--target", target]);
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
    add_companions(&mut command)?;
    let output = command.output().context("cannot run cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the command for {target} does not build:\n{said}");
    let folder = folder(target).join("debug");
    Ok(vec![("init", folder.join("command-init")), ("vdso", folder.join("vdso"))])
}

/// `test-programs/signals.cc`, by a compiler for C++.
pub fn signals(folder: &Path, compiler: &str) -> Result<PathBuf> {
    let program = folder.join("signals");
    let source = cargo::workspace().join("test-programs/signals.cc");
    let mut command = Command::new(compiler);
    command.args(["-O2", "-static", "-fnon-call-exceptions"]);
    run(command.arg(source).arg("-o").arg(&program))?;
    Ok(program)
}

/// `test-programs/clocks.c`.
pub fn clocks(folder: &Path, compiler: &str) -> Result<PathBuf> {
    compiled(&folder.join("clocks"), "clocks.c", compiler, &[])
}

/// `test-programs/timed.c`.
pub fn timed(folder: &Path, compiler: &str) -> Result<PathBuf> {
    compiled(&folder.join("timed"), "timed.c", compiler, &["-fasynchronous-unwind-tables"])
}

/// `crates/vdso-cli/tests/helpers/vsyscall.c`.
pub fn vsyscall(folder: &Path, compiler: &str) -> Result<PathBuf> {
    let program = folder.join("vsyscall");
    let helpers = cargo::workspace().join("crates/vdso-cli/tests/helpers");
    let mut command = Command::new(compiler);
    command.args(["-O2", "-static", "-no-pie", "-pthread", "-I"]);
    command.arg(cargo::workspace().join("test-programs"));
    command.args(["vsyscall.c", "vsyscall_calls.c"].map(|source| helpers.join(source)));
    run(command.arg("-o").arg(&program))?;
    Ok(program)
}

/// What to do before programs of x32 can be built; `None` if they can.
pub fn lacks_x32(folder: &Path, compiler: &str) -> Option<String> {
    let options = [&["-static"][..], &X32].concat();
    if test_support::links(Path::new(compiler), &options, &folder.join("empty-x32")) {
        return None;
    }
    let package = multilib_package().unwrap_or_else(|| "gcc-multilib".to_owned());
    Some(format!("{compiler} has no C library for x32: apt-get install {package}"))
}

/// [`clocks`] for x32.
pub fn clocks_x32(folder: &Path, compiler: &str) -> Result<PathBuf> {
    compiled(&folder.join("clocks-x32"), "clocks.c", compiler, &X32)
}

fn compiled(program: &Path, source: &str, compiler: &str, options: &[&str]) -> Result<PathBuf> {
    let source = cargo::workspace().join("test-programs").join(source);
    let mut command = Command::new(compiler);
    command.args(["-O2", "-static", "-pthread", "-fno-optimize-sibling-calls"]).args(options);
    run(command.arg(source).arg("-o").arg(program))?;
    Ok(program.to_owned())
}
