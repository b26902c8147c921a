//! What a program is to find as if it had been started directly.
//!
//! Rust's runtime ignores `SIGPIPE` and opens what of the standard streams is closed, and a launching
//! process changes how it gets other signals itself.

use std::os::fd::BorrowedFd;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::stat::{fstat, makedev};

/// The signals whose dispositions are captured: the runtime's, and those that a launching process needs in
/// a way of its own (its children's statuses; an error, not its end, where a file may not grow).
const SIGNALS: [Signal; 3] = [Signal::SIGPIPE, Signal::SIGCHLD, Signal::SIGXFSZ];

/// What a process was started with, as far as [`capture`](Self::capture) has looked. Its program gets that
/// back, and nobody else: there is nothing in it but what a process had.
///
/// ```compile_fail,E0451
/// use vdso_launch::Inheritance;
///
/// // No address becomes a handler, and no descriptor is closed on somebody's word.
/// let _ = Inheritance { closed_streams: [true; 3], ..Inheritance::default() };
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Inheritance {
    dispositions: [Disposition; SIGNALS.len()],
    closed_streams: [bool; 3],
    mask: Option<SigSet>,
}

/// All that a new program can inherit of a signal's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Disposition {
    /// Also where there was a handler, which no program inherits.
    #[default]
    Default,
    Ignored,
}

impl Inheritance {
    /// Looks at this process. Before `main`, in a function of the section `.init_array`, that is what it was
    /// started with.
    pub fn capture() -> Self {
        Self {
            dispositions: SIGNALS.map(Disposition::of),
            closed_streams: [0, 1, 2].map(is_closed),
            mask: None,
        }
    }

    /// Looks at this process, for a program that is to be given what [`std::process::Command`] gives: no
    /// signal is blocked, and `SIGPIPE` ends it.
    pub fn capture_as_std() -> Self {
        let mut captured = Self { closed_streams: [false; 3], ..Self::capture() };
        for (signal, disposition) in SIGNALS.into_iter().zip(&mut captured.dispositions) {
            if signal == Signal::SIGPIPE {
                *disposition = Disposition::Default;
            }
        }
        captured.mask = Some(SigSet::empty());
        captured
    }

    /// The signals that the program is to have blocked, if not those of the launching process.
    pub(super) fn mask(&self) -> Option<SigSet> {
        self.mask
    }

    /// Which of the standard streams were closed.
    pub fn closed_streams(&self) -> [bool; 3] {
        self.closed_streams
    }

    /// Gives the program that this process is about to become what was captured: signals at once, and streams
    /// that were closed are closed when it becomes that.
    pub fn restore(&self) {
        for (signal, disposition) in SIGNALS.into_iter().zip(self.dispositions) {
            disposition.set(signal);
        }
        for (stream, _) in (0..).zip(self.closed_streams).filter(|&(_, is_closed)| is_closed) {
            // What Rust's runtime has opened in its place, and not what somebody has meant for the program.
            if is_null_device(stream) {
                // SAFETY: changes what happens to the number at an exec, and closes nothing before.
                unsafe { libc::fcntl(stream, libc::F_SETFD, libc::FD_CLOEXEC) };
            }
        }
    }
}

impl Disposition {
    fn of(signal: Signal) -> Self {
        // SAFETY: all zeros is a valid value.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: only asks; the structure is ours.
        unsafe { libc::sigaction(signal as i32, std::ptr::null(), &mut action) };
        if action.sa_sigaction == libc::SIG_IGN { Self::Ignored } else { Self::Default }
    }

    fn set(self, signal: Signal) {
        let handler = match self {
            Self::Default => SigHandler::SigDfl,
            Self::Ignored => SigHandler::SigIgn,
        };
        let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
        // SAFETY: neither runs any code of this process.
        let _ = unsafe { sigaction(signal, &action) };
    }
}

fn is_closed(stream: libc::c_int) -> bool {
    // SAFETY: only asks.
    unsafe { libc::fcntl(stream, libc::F_GETFD) == -1 }
}

fn is_null_device(stream: libc::c_int) -> bool {
    const NULL: libc::dev_t = makedev(1, 3);
    // SAFETY: only for the question below, which says so if there is none.
    let stream = unsafe { BorrowedFd::borrow_raw(stream) };
    fstat(stream).is_ok_and(|stat| stat.st_rdev == NULL)
}

#[cfg(test)]
mod tests {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    use super::*;

    extern "C" fn handler(_: libc::c_int) {}

    /// In a child, as dispositions and streams are the process's.
    fn in_child(is_so: impl FnOnce() -> bool) {
        // SAFETY: the child makes system calls and ends.
        match unsafe { fork() }.expect("fork") {
            ForkResult::Child => {
                let status = i32::from(!is_so());
                // SAFETY: ends at once.
                unsafe { libc::_exit(status) };
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
            }
        }
    }

    fn is_closed_by_exec(stream: libc::c_int) -> bool {
        // SAFETY: only asks.
        unsafe { libc::fcntl(stream, libc::F_GETFD) == libc::FD_CLOEXEC }
    }

    #[test]
    fn a_handler_is_not_inherited_and_an_ignored_signal_is() {
        in_child(|| {
            let handler = SigHandler::Handler(handler);
            let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
            // SAFETY: the handler does nothing.
            let _ = unsafe { sigaction(Signal::SIGPIPE, &action) };
            Disposition::Ignored.set(Signal::SIGXFSZ);
            let inheritance = Inheritance::capture();
            SIGNALS.into_iter().for_each(|signal| Disposition::Ignored.set(signal));
            Disposition::Default.set(Signal::SIGXFSZ);
            inheritance.restore();
            let kept = [Disposition::Default, Disposition::Default, Disposition::Ignored];
            SIGNALS.map(Disposition::of) == kept
        });
    }

    /// What was closed may be somebody's file by now, and is nobody's to close before the exec.
    #[test]
    fn what_the_runtime_has_opened_is_closed_by_the_exec() {
        in_child(|| {
            // SAFETY: nothing in this child uses them.
            let closed = [0, 1].map(|stream| unsafe { libc::close(stream) });
            let inheritance = Inheritance::capture();
            // SAFETY: only makes a descriptor, the lowest that is free, and so below.
            let first = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
            // SAFETY: as above.
            let second = unsafe { libc::dup(2) };
            inheritance.restore();
            closed == [0, 0]
                && [first, second] == [0, 1]
                && is_closed_by_exec(0)
                && !is_closed_by_exec(1)
        });
    }
}
