//! Time namespaces: `time_namespaces(7)`.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::sched::{CloneFlags, unshare};

/// `CLONE_NEWTIME`, which nix does not know. Source: `include/uapi/linux/sched.h`.
const NEWTIME: CloneFlags = CloneFlags::from_bits_retain(0x80);
/// What the monotonic clocks and BOOTTIME are ahead by in it.
const OFFSETS: &str = "monotonic 86400 0\nboottime 172800 0\n";

/// Runs a program in a new time namespace: itself, as entering takes a fork.
pub fn run(program: &str, arguments: &[&str]) -> Result<()> {
    unshare(NEWTIME).context("cannot make a time namespace")?;
    fs::write("/proc/self/timens_offsets", OFFSETS).context("cannot set its offsets")?;
    let mut command = Command::new(program);
    command.args(arguments);
    // A process that shares its parent's memory cannot be in another time namespace, so this is to be
    // a fork, not a vfork.
    // SAFETY: nothing is done in between.
    unsafe { command.pre_exec(|| Ok(())) };
    let status = command.status().with_context(|| format!("cannot run {program}"))?;
    ensure!(status.success(), "{program} in a time namespace: {status}");
    Ok(())
}

/// Does something in a copy of this process, in a new time namespace. Nothing is executed, so what was
/// put into this process stays.
pub fn enter(what: impl FnOnce() -> Result<()>) -> Result<()> {
    unshare(NEWTIME).context("cannot make a time namespace")?;
    fs::write("/proc/self/timens_offsets", OFFSETS).context("cannot set its offsets")?;
    // SAFETY: this process has one thread.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Child => {
            let result = what();
            if let Err(error) = &result {
                eprintln!("{error:#}");
            }
            std::process::exit(i32::from(result.is_err()))
        }
        nix::unistd::ForkResult::Parent { child } => {
            let status = nix::sys::wait::waitpid(child, None)?;
            let is_good = matches!(status, nix::sys::wait::WaitStatus::Exited(_, 0));
            ensure!(is_good, "in a time namespace: {status:?}");
            Ok(())
        }
    }
}
