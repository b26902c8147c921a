//! What the supervisor reports, in words, and what to do about errors of injection.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::Pid;
use vdso_inject::follow::Notice;
use vdso_inject::{Attempt, Error};

use crate::message::{quoted, say};

/// Says what the supervisor reports.
pub fn notice(notice: &Notice) {
    match notice {
        Notice::Injected { pid, image_addr } => {
            say(format_args!("{}: image at {image_addr:#x}", name(*pid)));
        }
        Notice::Untouched { pid, program, error } => {
            let name = program_name(*pid, program.as_deref());
            say(format_args!("warning: {name} runs on the kernel's own clocks: {error}"));
            if let Some(hint) = hint(error) {
                say(format_args!("hint: {hint}"));
            }
        }
        Notice::Late { pid, program } => say(format_args!(
            "warning: {} began on the kernel's own clocks, as a supervisor of vdso's was killed; it has its \
             own now",
            program_name(*pid, program.as_deref())
        )),
        Notice::Ended { pid, program, error } => {
            let name = program_name(*pid, program.as_deref());
            say(format_args!(
                "error: {name} was ended, as it would have run on the kernel's own clocks (--strict): {error}"
            ));
            if let Some(hint) = hint(error) {
                say(format_args!("hint: {hint}"));
            }
        }
        // A process can be followed by one only, and what follows this one does so already.
        Notice::NotFollowing { errno: Errno::EBUSY } => {
            say("warning: children will run on the clocks of the vdso run around this one, or of \
                 whoever else follows this process by a seccomp filter: only one can");
        }
        Notice::NotFollowing { errno } => {
            say(format_args!(
                "warning: children will run on the kernel's own clocks: the seccomp filter that \
                 follows them was refused ({})",
                errno.desc()
            ));
        }
        Notice::Unprivileged { pid, privilege } => {
            say(format_args!(
                "warning: {} runs without its {privilege}, as it is followed",
                name(*pid)
            ));
            say("hint: run it with --no-follow, or as root");
        }
        Notice::ListenerRefused { pid } => {
            say(format_args!(
                "warning: {} asks for a seccomp listener of its own, which the kernel refuses (EBUSY): there \
                 can be one only, and that is vdso's",
                name(*pid)
            ));
            say("hint: run it with --no-follow");
        }
        Notice::StrictModeRefused { pid } => {
            say(format_args!(
                "warning: {} asks for seccomp's strict mode, which the kernel refuses (EINVAL) where a filter \
                 is installed, as vdso's is: it may run without its sandbox",
                name(*pid)
            ));
            say("hint: run it with --no-follow");
        }
        _ => {}
    }
}

/// What to do about `error`, where that is known.
pub fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::System { attempt: Attempt::Seize, errno: Errno::EPERM | Errno::ENOSYS, .. } => Some(
            "ptrace is needed for a moment at the start of each program: allow it (in a container \
             with --cap-add=SYS_PTRACE, on the host with kernel.yama.ptrace_scope below 2), and do \
             not trace the program by strace or gdb at the same time",
        ),
        Error::System {
            attempt: Attempt::ReadMemory, errno: Errno::EACCES | Errno::EPERM, ..
        } => Some(
            "a program that its user may execute but not read can only be given a clock by root",
        ),
        Error::Foreign { abi: "i386", .. } => Some(
            "i386 programs are given a clock where children are followed (without --no-follow), and by a \
             vdso that was built by a toolchain for them (rustup target add i686-unknown-linux-gnu)",
        ),
        Error::Foreign { abi: "x32", .. } => Some(
            "x32 programs are given a clock by a vdso that was built by a toolchain for them (rustup target \
             add x86_64-unknown-linux-gnux32)",
        ),
        Error::Confined { .. } => Some(
            "a filter that allows eventfd2, prctl, fstat, mmap and mprotect lets programs below it be given \
             a clock",
        ),
        Error::NoVdso { .. } => Some("boot without vdso32=0"),
        Error::Foreign { .. } => {
            Some("only programs of vdso's own kind can be given a clock here yet")
        }
        _ => None,
    }
}

/// A program by its file's name, as it was executed, or else by what its process is called.
fn program_name(pid: Pid, program: Option<&OsStr>) -> String {
    let file_name = program.and_then(|program| Path::new(program).file_name());
    file_name.map_or_else(|| name(pid), |name| format!("{} (pid {pid})", quoted(name)))
}

/// A process by what it is called, which it chooses itself. It may have ended since.
fn name(pid: Pid) -> String {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    match name.strip_suffix(b"\n").unwrap_or(&name) {
        b"" => format!("a program (pid {pid})"),
        name => format!("{} (pid {pid})", quoted(OsStr::from_bytes(name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_ended_has_no_name() {
        assert_eq!(name(Pid::from_raw(i32::MAX)), "a program (pid 2147483647)");
        assert!(!name(Pid::this()).starts_with("a program"));
    }
}
