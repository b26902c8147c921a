//! The command `vdso` itself on a kernel: a second boot, whose first program is [a script](first.sh)
//! that runs programs under `vdso run` and checks what they see.
//!
//! The command and the program that it runs, `test-programs/clocks.c`, are built static, by a cross
//! compiler of Debian's; the shell is Debian's busybox.

mod build;
mod busybox;

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::cache::Cache;
use super::matrix::{Kernel, Machine};
use super::program::Builder;

/// How the command comes to a machine.
struct Row {
    /// The machine.
    arch: &'static str,
    /// The C compiler that links it, and Debian's package of it.
    compiler: (&'static str, &'static str),
    /// A shell of another ABI that its kernels run, by its name there, and Debian's name of the ABI.
    other: Option<(&'static str, &'static str)>,
}

/// Every machine that programs are given clocks on.
const ROWS: &[Row] = &[
    Row {
        arch: "arm64",
        compiler: ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
        other: Some(("busybox-armhf", "armhf")),
    },
    Row {
        arch: "riscv64",
        compiler: ("riscv64-linux-gnu-gcc", "gcc-riscv64-linux-gnu"),
        other: None,
    },
    Row { arch: "amd64", compiler: ("gcc", "gcc"), other: Some(("busybox-i386", "i386")) },
];

/// The script, behind a line that names the ABI.
const SCRIPT: &str = include_str!("first.sh");

/// The programs of a boot, by their names there; or what is lacking.
type Programs = std::result::Result<Vec<(&'static str, PathBuf)>, String>;

/// Whether there is anything to boot for the command on this machine.
pub fn is_for(machine: &Machine) -> bool {
    row(machine).is_some()
}

/// What such a boot needs.
pub fn programs(
    cache: &Cache,
    builder: &Builder,
    kernel: &'static Kernel,
    machine: &'static Machine,
) -> Result<Programs> {
    let Some(row) = row(machine) else { return Ok(Err("it is not a machine for it".to_owned())) };
    let (compiler, package) = row.compiler;
    if !build::is_installed(compiler) {
        return Ok(Err(format!("there is no {compiler}: apt-get install {package}")));
    }
    let mut busyboxes = vec![("busybox", kernel.arch)];
    busyboxes.extend(row.other);
    let mut programs = Vec::new();
    for (name, arch) in busyboxes {
        match busybox::fetch(cache, arch, kernel.suite) {
            Ok(busybox) => programs.push((name, busybox)),
            Err(error) => return Ok(Err(format!("{error:#}"))),
        }
    }
    let folder = build::folder(machine.target);
    fs::create_dir_all(&folder)?;
    let script = folder.join("init");
    fs::write(&script, format!("#!/busybox sh\nABI={}\n{SCRIPT}", machine.arch))?;
    programs.insert(0, ("init", script));
    programs.push(("vdso", build::command(builder, machine.target, compiler)?));
    programs.push(("clocks", build::clocks(&folder, compiler)?));
    Ok(Ok(programs))
}

fn row(machine: &Machine) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.arch == machine.arch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::matrix::machine;

    #[test]
    fn each_row_is_a_machine_with_an_image() {
        for row in ROWS {
            let machine = machine(row.arch).expect(row.arch);
            let image = vdso_data::architecture::ALL.iter().find(|it| it.target == machine.target);
            assert!(image.is_some_and(|image| image.enters_programs), "{}", row.arch);
        }
    }
}
