//! The command `vdso` itself on a kernel: a boot of its own. The first program is
//! `test-programs/command-init`, which tries each source of time in all ways (on amd64), runs
//! [a script](programs.sh) of programs below `vdso run` by Debian's busybox, or [captures](capture) the
//! kernel's data page.
//!
//! All of it is built static; for another architecture by a cross compiler of Debian's.

mod build;
mod busybox;
pub mod capture;

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use test_support::{Lacking, skip};

use super::cache::Cache;
use super::matrix::{AMD64_PARAMETERS, Kernel, Machine};
use super::program::Builder;

/// How the command comes to a machine.
struct Row {
    /// The machine.
    arch: &'static str,
    /// The C compiler that links it, without a version behind its name.
    compiler: &'static str,
    /// A shell of another ABI that its kernels run, by its name there, and Debian's name of the ABI.
    other: Option<(&'static str, &'static str)>,
    /// Whether its kernels run programs of x32, too: there is no shell of that ABI.
    has_x32: bool,
}

/// Every machine that programs are given clocks on.
const ROWS: &[Row] = &[
    Row {
        arch: "arm64",
        compiler: "aarch64-linux-gnu-gcc",
        other: Some(("busybox-armhf", "armhf")),
        has_x32: false,
    },
    Row { arch: "riscv64", compiler: "riscv64-linux-gnu-gcc", other: None, has_x32: false },
    Row { arch: "amd64", compiler: "gcc", other: Some(("busybox-i386", "i386")), has_x32: true },
];

/// What the first program has the shell run.
const SCRIPT: &str = include_str!("programs.sh");

/// The programs of a boot, by their names there; or what is lacking.
type Programs = std::result::Result<Vec<(&'static str, PathBuf)>, String>;

/// The machine with a counter that says that it is good, as the command reads no other. That of qemu's
/// emulated x86 is, but qemu has the bit not among what it can emulate.
pub fn machine(usual: &Machine) -> Machine {
    let arguments: &[&str] = match usual.arch {
        "amd64" => &["-machine", "q35", "-cpu", "max,+invtsc,x-force-features=on"],
        _ => usual.arguments,
    };
    Machine { arguments, ..*usual }
}

/// Whether the command is tried on a kernel that is booted so: with each parameter that kernels are booted with, as each changes
/// who computes the time, or who answers calls of the legacy page.
pub fn is_tried(kernel: &Kernel, parameter: Option<&str>) -> bool {
    match parameter {
        None => row(kernel.arch).is_some(),
        Some(parameter) => kernel.arch == "amd64" && AMD64_PARAMETERS.contains(&parameter),
    }
}

/// What a boot needs: the script for one without a parameter, as that is for the clocks alone.
pub fn programs(
    cache: &Cache,
    builder: &Builder,
    kernel: &'static Kernel,
    machine: &Machine,
    parameter: Option<&str>,
) -> Result<Programs> {
    let Some(row) = row(machine.arch) else {
        return Ok(Err("it is not a machine for the command".to_owned()));
    };
    let compiler = match build::compiler(row.compiler) {
        Ok(compiler) => compiler,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut programs = build::first_and_command(builder, machine.target, &compiler)?;
    let folder = build::folder(machine.target);
    programs.push(("clocks", build::clocks(&folder, &compiler)?));
    if row.arch == "amd64" {
        programs.push(("vsyscall", build::vsyscall(&folder, &compiler)?));
    }
    programs.push(("timed", build::timed(&folder, &compiler)?));
    if row.has_x32 {
        match build::lacks_x32(&folder, &compiler) {
            None => programs.push(("clocks-x32", build::clocks_x32(&folder, &compiler)?)),
            Some(reason) => skip(Lacking::Tool, "x32 programs below the command", &reason),
        }
    }
    if parameter.is_some() {
        return Ok(Ok(programs));
    }
    let mut busyboxes = vec![("busybox", kernel.arch)];
    busyboxes.extend(row.other);
    for (name, arch) in busyboxes {
        match busybox::fetch(cache, arch, kernel.suite) {
            Ok(busybox) => programs.push((name, busybox)),
            Err(error) => return Ok(Err(format!("{error:#}"))),
        }
    }
    let no_signals = match build::compiler(&row.compiler.replace("gcc", "g++")) {
        Ok(compiler) => {
            programs.push(("signals", build::signals(&folder, &compiler)?));
            String::new()
        }
        Err(reason) => reason,
    };
    let script = folder.join("programs.sh");
    fs::write(&script, format!("ABI={}\nNO_SIGNALS={no_signals:?}\n{SCRIPT}", machine.arch))?;
    programs.push(("programs.sh", script));
    Ok(Ok(programs))
}

fn row(arch: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.arch == arch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{self, KERNELS};

    #[test]
    fn each_row_is_a_machine_with_an_image() {
        for row in ROWS {
            let machine = matrix::machine(row.arch).expect(row.arch);
            let image = vdso_data::architecture::ALL.iter().find(|it| it.target == machine.target);
            assert!(image.is_some_and(|image| image.enters_programs), "{}", row.arch);
        }
    }

    #[test]
    fn the_command_is_tried_with_parameters_that_a_kernel_is_booted_with() {
        let kernel = |arch: &str| KERNELS.iter().find(|kernel| kernel.arch == arch).unwrap();
        for parameter in AMD64_PARAMETERS {
            assert!(is_tried(kernel("amd64"), Some(parameter)));
            assert!(!is_tried(kernel("arm64"), Some(parameter)));
        }
        assert!(is_tried(kernel("amd64"), None) && is_tried(kernel("riscv64"), None));
        assert!(!is_tried(kernel("s390x"), None));
    }
}
