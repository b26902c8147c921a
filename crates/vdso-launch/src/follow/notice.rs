//! What a person may want to know of a launch.

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::privilege::Privilege;
use crate::text::quoted;
use vdso_inject::arch::ABIS;
use vdso_inject::{Attempt, Error};

/// What a person may want to know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// A program begins with the image.
    Injected {
        /// The process in which the program begins.
        pid: Pid,
        /// The address at which the image is mapped there.
        image_addr: u64,
    },
    /// A program runs as it is, on the kernel's vDSO.
    Untouched {
        /// The process of the program that has no image.
        pid: Pid,
        /// The program's file as whoever executed it named it, if that is known.
        program: Option<OsString>,
        /// The reason why it has none.
        error: Error,
    },
    /// A program was ended, as it would have run as it is: [`OnHostClock::End`].
    Ended {
        /// The process that was ended.
        pid: Pid,
        /// The program's file as whoever executed it named it, if that is known.
        program: Option<OsString>,
        /// The reason why it could not be given the image.
        error: Error,
    },
    /// A program has the image, but began on the kernel's vDSO and may have read a clock there: the
    /// supervisor that was to give it was killed at that moment.
    Late {
        /// The process that began without the image.
        pid: Pid,
        /// The program's file as whoever executed it named it, if that is known.
        program: Option<OsString>,
    },
    /// A program has no image, as somebody else traces it: it makes system calls in place of the kernel's functions, and so
    /// reads its own clock.
    ByCalls {
        /// The process in which the program begins.
        pid: Pid,
    },
    /// A program's calls are not counted, where those of others are, as somebody else traces it.
    Uncounted {
        /// The process in which the program begins.
        pid: Pid,
        /// The program's file as whoever executed it named it, if that is known.
        program: Option<OsString>,
    },
    /// A program waits, or sets a timer, by the host's clocks. Told once for all programs of one name.
    HostWait {
        /// The thread that waits.
        pid: Pid,
        /// The call's name.
        call: &'static str,
        /// The reason why its image cannot make the call.
        why: NoDetour,
    },
    /// Calls of the legacy vsyscall page could not be sent elsewhere, in some of a program's files or in all.
    VsyscallsKept {
        /// The program's process.
        pid: Pid,
        /// The reason why.
        error: Error,
    },
    /// Children are not followed: the filter was refused.
    NotFollowing {
        /// The kernel's reason to refuse the filter.
        errno: Errno,
    },
    /// A program has not got what its file gives, because it is followed.
    Unprivileged {
        /// The process that lacks the privilege.
        pid: Pid,
        /// The privilege that its file would have given.
        privilege: Privilege,
    },
    /// A program asks for a seccomp listener of its own, which the kernel refuses (`EBUSY`), as there can
    /// be one only and that is ours.
    ListenerRefused {
        /// The process that asks for a listener.
        pid: Pid,
    },
    /// A program asks for seccomp's strict mode, which the kernel refuses (`EINVAL`) to a process that has
    /// a filter.
    StrictModeRefused {
        /// The process that asks for strict mode.
        pid: Pid,
    },
}

/// Why the image cannot make a call in a thread's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoDetour {
    /// Somebody else traces the thread, or did when its program began.
    Traced,
    /// Its process has unmapped the image, as valgrind does.
    Unmapped,
    /// Its stack may be too small for what has to be put there, on x86-64 only an i386 program's, where that ends; or a shadow
    /// stack guards it (arm64).
    SmallStack,
}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// All is as it should be.
    Info,
    /// Something runs otherwise than was asked for.
    Warning,
    /// Something does not run.
    Error,
}

impl Notice {
    /// How much it matters.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Injected { .. } | Self::ByCalls { .. } => Severity::Info,
            Self::Ended { .. } => Severity::Error,
            _ => Severity::Warning,
        }
    }

    /// What it is about, if something has failed.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::Untouched { error, .. } | Self::Ended { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// One line, without its severity. Names are looked up now: the processes may have ended since.
impl Display for Notice {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Injected { pid, image_addr } => {
                write!(formatter, "{}: image at {image_addr:#x}", name(*pid))
            }
            Self::Untouched { pid, program, error } => {
                let name = program_name(*pid, program.as_deref());
                write!(formatter, "{name} runs on the kernel's own clocks: {error}")
            }
            Self::Late { pid, program } => write!(
                formatter,
                "{} began on the kernel's own clocks, as a supervisor of vdso's was killed; it has its own now",
                program_name(*pid, program.as_deref())
            ),
            Self::Ended { pid, program, error } => {
                let name = program_name(*pid, program.as_deref());
                write!(
                    formatter,
                    "{name} was ended, as it would have run on the kernel's own clocks: {error}"
                )
            }
            Self::VsyscallsKept { pid, error } => {
                write!(formatter, "{} may call the vsyscall page: {error}", name(*pid))
            }
            Self::ByCalls { pid } => {
                write!(formatter, "{}: system calls for its clocks, as it is traced", name(*pid))
            }
            Self::Uncounted { pid, program } => {
                let name = program_name(*pid, program.as_deref());
                write!(formatter, "{name} is not counted, as it is traced")
            }
            Self::HostWait { pid, call, why } => {
                let why = match why {
                    NoDetour::Traced => "as it is traced",
                    NoDetour::Unmapped => "as it has unmapped vdso's image",
                    NoDetour::SmallStack => "where its stack may be too small",
                };
                let name = name(*pid);
                write!(formatter, "{name} waits by the kernel's own clocks, {why}, first in {call}")
            }
            // A process can be followed by one only, and what follows this one does so already.
            Self::NotFollowing { errno: Errno::EBUSY } => formatter.write_str(
                "children will run on the clocks of the vdso run around this one, or of whoever else \
                 follows this process by a seccomp filter: only one can",
            ),
            Self::NotFollowing { errno } => write!(
                formatter,
                "children will run on the kernel's own clocks: the seccomp filter that follows them was \
                 refused ({})",
                errno.desc()
            ),
            Self::Unprivileged { pid, privilege } => {
                write!(formatter, "{} runs without its {privilege}, as it is followed", name(*pid))
            }
            Self::ListenerRefused { pid } => write!(
                formatter,
                "{} asks for a seccomp listener of its own, which the kernel refuses (EBUSY): there can be \
                 one only, and that is vdso's",
                name(*pid)
            ),
            Self::StrictModeRefused { pid } => write!(
                formatter,
                "{} asks for seccomp's strict mode, which the kernel refuses (EINVAL) where a filter is \
                 installed, as vdso's is: it may run without its sandbox",
                name(*pid)
            ),
        }
    }
}

/// What becomes of a program that is followed, but cannot be given the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnHostClock {
    /// It runs on the host's clock, and its name and the reason are told.
    Tell,
    /// It is ended, and its name and the reason are told.
    End,
}

/// What to do about `error`, where that is known.
pub fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::System { attempt: Attempt::Seize, errno: Errno::EPERM | Errno::ENOSYS, .. }
            if ABIS.first().is_some_and(|abi| abi.calls.start.is_some()) =>
        {
            Some(
                "ptrace is needed for a moment at the start of each program: allow it (in a container \
                 with --cap-add=SYS_PTRACE, on the host with kernel.yama.ptrace_scope below 2); whom \
                 strace or gdb traces already has to be followed (without --no-follow)",
            )
        }
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
    match called(pid) {
        name if name.is_empty() => format!("a program (pid {pid})"),
        name => format!("{} (pid {pid})", quoted(&name)),
    }
}

/// What a process is called; empty if it has ended.
pub(super) fn called(pid: Pid) -> OsString {
    let mut name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.pop();
    OsString::from_vec(name)
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
