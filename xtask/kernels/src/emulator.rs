//! qemu: the system's own if it is new enough, else Debian's, unpacked below the cache.
//!
//! Nothing is installed: the packages that this system lacks are unpacked side by side, and their
//! libraries are found through `LD_LIBRARY_PATH`. They come from this release's backports.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::apt::{self, Apt};
use super::cache::Cache;
use super::matrix::Machine;
use super::package;

/// An emulator that runs here.
#[derive(Clone)]
pub struct Emulator {
    program: PathBuf,
    /// Where it was unpacked, if the system has it not.
    root: Option<PathBuf>,
    firmware: Option<PathBuf>,
}

impl Emulator {
    /// That of a machine.
    pub fn find(cache: &Cache, machine: &Machine, renew: bool) -> Result<Self> {
        let (name, package) = machine.emulator;
        let program = format!("qemu-system-{name}");
        let _lock = cache.lock()?;
        let system = Self { program: PathBuf::from(&program), root: None, firmware: None };
        let mut emulator = if system.is_new_enough(machine) {
            system
        } else {
            unpacked(cache, machine, package, &program, renew)?
        };
        if let Some((package, file)) = machine.firmware {
            emulator.firmware = Some(firmware(cache, machine, package, file)?);
        }
        Ok(emulator)
    }

    /// The emulator with the machine's arguments.
    pub fn command(&self, machine: &Machine) -> Command {
        let mut command = self.plain();
        command.args(machine.arguments);
        if let Some(firmware) = &self.firmware {
            command.arg("-bios").arg(firmware);
        }
        command
    }

    fn plain(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(root) = &self.root {
            command.env("LD_LIBRARY_PATH", library_path(root));
            for folder in ["qemu", "seabios"] {
                command.arg("-L").arg(root.join("usr/share").join(folder));
            }
        }
        command
    }

    fn is_new_enough(&self, machine: &Machine) -> bool {
        let output = self.plain().arg("--version").stderr(Stdio::null()).output();
        let output = output.ok().filter(|output| output.status.success());
        let version =
            output.and_then(|output| major_version(&String::from_utf8_lossy(&output.stdout)));
        version.is_some_and(|version| version >= machine.oldest_emulator)
    }
}

/// The `10` of `QEMU emulator version 10.0.2 (Debian …)`.
fn major_version(text: &str) -> Option<u32> {
    text.split_once("version ")?.1.split('.').next()?.parse().ok()
}

fn library_path(root: &Path) -> String {
    let arch = std::env::consts::ARCH;
    let folders =
        ["usr/lib", "lib"].map(|lib| format!("{}/{lib}/{arch}-linux-gnu", root.display()));
    folders.join(":")
}

fn unpacked(
    cache: &Cache,
    machine: &Machine,
    package: &str,
    program: &str,
    renew: bool,
) -> Result<Emulator> {
    let root = cache.folder("emulators")?.join(package);
    let emulator =
        Emulator { program: root.join("usr/bin").join(program), root: Some(root), firmware: None };
    if renew || !emulator.is_new_enough(machine) {
        unpack(cache, package, emulator.root.as_deref().expect("just set"), renew)?;
    }
    let needs = machine.oldest_emulator;
    ensure!(emulator.is_new_enough(machine), "Debian's {package} does not run, or is not {needs}");
    Ok(emulator)
}

fn unpack(cache: &Cache, package: &str, root: &Path, renew: bool) -> Result<()> {
    let host = apt::run(Command::new("dpkg").arg("--print-architecture"))?;
    let host = String::from_utf8(host.stdout)?;
    let codename = apt::codename()?;
    let backports = format!("{codename}-backports");
    let apt = Apt::new(&cache.folder("apt")?, host.trim(), &[&codename, &backports], renew)?;
    apt.see_installed_packages()?;
    let temporary = cache.temporary()?;
    for deb in apt.download_missing(&backports, &[package])? {
        apt::run(Command::new("dpkg-deb").arg("--extract").arg(&deb).arg(temporary.path()))?;
        fs::remove_file(deb)?;
    }
    if root.exists() {
        fs::remove_dir_all(root)?;
    }
    fs::rename(temporary.keep(), root).context("cannot move what was unpacked")
}

/// A file of a package for all architectures, which the lists of each have.
fn firmware(cache: &Cache, machine: &Machine, package: &str, file: &str) -> Result<PathBuf> {
    let to = cache.folder("firmware")?.join(format!("{}-{file}", machine.arch));
    if !to.exists() {
        let apt = Apt::new(&cache.folder("apt")?, machine.arch, &["sid"], false)?;
        let downloads = cache.temporary()?;
        let deb = apt.download(package, downloads.path())?;
        let unpacked = downloads.path().join("file");
        package::unpack(&deb, |path| path.ends_with(file), &unpacked)?;
        fs::rename(unpacked, &to)?;
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        let text = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)\nCopyright";
        assert_eq!(major_version(text), Some(10));
        assert_eq!(major_version("something else"), None);
    }
}
