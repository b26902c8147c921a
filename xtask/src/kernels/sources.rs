//! The sources of time of `vdso run` on kernels: the command is built static, and booted beside a first
//! program that runs it, `test-programs/command-init`. That one alone also captures a kernel's data page.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::console::{Check, Status};
use super::matrix::{Kernel, Machine};
use super::program::Builder;
use crate::cargo;

/// With which parameters the command is tried: those that change who computes the time.
const PARAMETERS: &[&str] = &["clocksource=hpet", "clocksource=acpi_pm", "vdso=0"];

/// What makes the first program capture the kernel's data page.
pub const CAPTURE: &str = "capture";

/// The machine with a counter that says that it is good, as the command reads no other. That of qemu's
/// emulated x86 is, but qemu has the bit not among what it can emulate.
pub fn machine(usual: &Machine) -> Machine {
    let arguments: &[&str] = match usual.arch {
        "amd64" => &["-machine", "q35", "-cpu", "max,+invtsc,x-force-features=on"],
        _ => usual.arguments,
    };
    Machine { arguments, ..*usual }
}

/// Whether the command is tried on a kernel that is booted so.
pub fn is_tried(kernel: &Kernel, parameter: Option<&str>) -> bool {
    kernel.arch == "amd64" && parameter.is_none_or(|it| PARAMETERS.contains(&it))
}

/// Whether a kernel's data page is captured: the architectures that the host source knows.
pub fn is_captured(kernel: &Kernel) -> bool {
    ["amd64", "arm64"].contains(&kernel.arch)
}

/// What is lacking to build for a machine, beside the standard library; `None` if nothing is.
pub fn lacks(machine: &Machine) -> Option<String> {
    let is_there =
        || Command::new(ARM64_LINKER).arg("--version").output().is_ok_and(|it| it.status.success());
    (machine.arch == "arm64" && !is_there())
        .then(|| format!("there is no {ARM64_LINKER}: Debian's gcc-aarch64-linux-gnu has it"))
}

/// The C compiler that knows where arm64's C library is.
const ARM64_LINKER: &str = "aarch64-linux-gnu-gcc";

/// The programs of a boot, by their names there. The command is built for amd64 alone.
pub fn build(builder: &Builder, machine: &Machine) -> Result<Vec<(&'static str, PathBuf)>> {
    eprintln!("building the command for {}", machine.arch);
    let packages: &[&str] =
        if machine.arch == "amd64" { &["command-init", "vdso-cli"] } else { &["command-init"] };
    let mut command = cargo::cargo("command");
    command.args(["build", "--quiet", "--locked", "--target", machine.target]);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    builder.bring_library(&mut command, machine.target, "std,panic_abort");
    // Without a C library beside it, and small enough for a file system in memory.
    command.env("RUSTFLAGS", "-Ctarget-feature=+crt-static");
    command.env("CARGO_PROFILE_DEV_STRIP", "symbols");
    // What takes a moment here takes seconds there.
    command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
    if machine.arch == "arm64" {
        command.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", ARM64_LINKER);
    }
    let output = command.output().context("cannot run cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the command does not build:\n{said}");
    let folder = cargo::target_folder().join("command").join(machine.target).join("debug");
    let names = ["init", "vdso"].into_iter().zip(["command-init", "vdso"]);
    Ok(names.take(packages.len()).map(|(name, file)| (name, folder.join(file))).collect())
}

/// Keeps a captured page in a folder, one line for each check.
pub fn keep(checks: &[Check], kernel: &Kernel, folder: &Path) -> Result<()> {
    let captured: Vec<&Check> = checks.iter().filter(|check| check.group == CAPTURE).collect();
    if captured.is_empty() || captured.iter().any(|check| check.status != Status::Ok) {
        bail!("the page of {} {} was not captured", kernel.arch, kernel.series);
    }
    let line = |check: &&Check| format!("{} {}\n", check.name, check.detail);
    let text: String = captured.iter().map(line).collect();
    let path = folder.join(format!("{}-{}.txt", kernel.arch, kernel.series));
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::matrix::{AMD64_PARAMETERS, KERNELS};

    fn kernel(arch: &str) -> &'static Kernel {
        KERNELS.iter().find(|kernel| kernel.arch == arch).unwrap()
    }

    fn check(group: &str, name: &str, status: Status) -> Check {
        let [abi, group, name] = ["amd64", group, name].map(str::to_owned);
        Check { abi, group, name, status, detail: "7 8".to_owned() }
    }

    #[test]
    fn the_command_is_tried_with_parameters_that_a_kernel_is_booted_with() {
        for parameter in PARAMETERS {
            assert!(AMD64_PARAMETERS.contains(parameter), "{parameter}");
            assert!(is_tried(kernel("amd64"), Some(parameter)));
            assert!(!is_tried(kernel("i386"), Some(parameter)));
        }
        assert!(is_tried(kernel("amd64"), None));
        assert!(!is_tried(kernel("amd64"), Some("vsyscall=none")));
    }

    #[test]
    fn a_captured_page_is_kept_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let checks = [
            check(CAPTURE, "struct", Status::Ok),
            check("other", "vdso", Status::Ok),
            check(CAPTURE, "words", Status::Ok),
        ];
        keep(&checks, kernel("amd64"), folder.path()).unwrap();
        let path = folder.path().join(format!("amd64-{}.txt", kernel("amd64").series));
        assert_eq!(fs::read_to_string(path).unwrap(), "struct 7 8\nwords 7 8\n");
    }

    #[test]
    fn a_page_that_was_not_captured_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let failed = [check(CAPTURE, "words", Status::Ok), check(CAPTURE, "x", Status::Fail)];
        for checks in [&failed[..], &[]] {
            assert!(keep(checks, kernel("amd64"), folder.path()).is_err());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
