//! One kernel, booted once.

use std::fs::File;
use std::io::{self, BufWriter};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::Signal;
use xtask_build::process::{End, Finished};

use super::console::{self, Check, Status};
use super::emulator::Emulator;
use super::initramfs;
use super::matrix::Machine;
use super::package::Fetched;

/// What a boot needs.
pub struct Boot<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// Its emulator.
    pub emulator: &'a Emulator,
    /// The kernel.
    pub kernel: &'a Fetched,
    /// A parameter of the kernel's, which its first program gets as an argument as well.
    pub parameter: Option<&'static str>,
    /// The programs, by the names that they have there. The first is `init`.
    pub programs: &'a [(&'static str, PathBuf)],
    /// Other files, by the names that they have there.
    pub files: &'a [(String, PathBuf)],
}

/// What came of it.
pub struct Outcome {
    /// Every check.
    pub checks: Vec<Check>,
    /// How long it took.
    pub time: Duration,
    /// How the emulator ended and the last of what the console said, if the boot itself failed.
    pub trouble: Option<String>,
}

/// The slowest takes 20 s on an idle machine; ten times as long has been seen on one with many jobs.
const LIMIT: Duration = Duration::from_secs(600);

impl Boot<'_> {
    /// Boots it, and collects what it says until the emulator ends.
    pub fn run(&self, temporary: &Path) -> Result<Outcome> {
        let archive = temporary.join("initramfs");
        let file = File::create(&archive)
            .with_context(|| format!("cannot write {}", archive.display()))?;
        let programs = self.programs.iter().map(|(name, path)| (*name, path.as_path()));
        let files = self.files.iter().map(|(name, path)| (name.as_str(), path.as_path()));
        let files: Vec<(&str, &Path)> = programs.chain(files).collect();
        initramfs::write(BufWriter::new(file), &files)?;

        let mut command = self.emulator.command(self.machine);
        command.args(["-accel", "tcg", "-m", "1024"]);
        command.arg("-smp").arg(self.machine.cpus.to_string());
        command.args(["-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio"]);
        command.arg("-kernel").arg(&self.kernel.image).arg("-initrd").arg(&archive);
        command.arg("-append").arg(self.command_line());
        // SAFETY: between fork and exec only this is called, which is one system call.
        unsafe { command.pre_exec(end_with_this_process) };
        let start = Instant::now();
        let finished = Finished::of(&mut command, LIMIT);
        let checks = console::checks(&finished.stdout);
        let is_complete = matches!(&finished.end, End::Status(status) if status.success())
            && !checks.iter().any(|check| check.status == Status::Fail && check.group == "boot");
        let trouble = (!is_complete).then(|| finished.to_string());
        Ok(Outcome { checks, time: start.elapsed(), trouble })
    }

    fn command_line(&self) -> String {
        // A panic restarts the machine at once, which ends the emulator.
        let Machine { console, parameters, .. } = self.machine;
        let line = format!("console={console} quiet panic=-1 {parameters}");
        match self.parameter {
            Some(parameter) => format!("{line} {parameter} -- {parameter}"),
            None => line,
        }
    }
}

/// An emulator in a process group of its own would outlive an interrupted run.
fn end_with_this_process() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}
