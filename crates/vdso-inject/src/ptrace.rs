//! The few ptrace requests that are needed, with their errors named.

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::Pid;

use crate::error::{Attempt, Error, Result};

/// Why a traced process has stopped, from its wait status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `PTRACE_EVENT_EXEC`: it stands at the first instruction of a new program.
    Exec,
    /// `PTRACE_EVENT_STOP`: it was interrupted, or stopped by a signal.
    Stop,
    /// It is about to get a signal.
    Signal(i32),
    /// It was stopped, and goes on.
    Continued,
    /// It is no more.
    Ended,
}

impl Event {
    /// Takes a status of `waitpid` apart.
    pub fn of(status: i32) -> Self {
        if libc::WIFCONTINUED(status) {
            return Self::Continued;
        }
        if !libc::WIFSTOPPED(status) {
            return Self::Ended;
        }
        match status >> 16 {
            libc::PTRACE_EVENT_EXEC => Self::Exec,
            libc::PTRACE_EVENT_STOP => Self::Stop,
            _ => Self::Signal(libc::WSTOPSIG(status)),
        }
    }
}

/// Traces `pid` without stopping it; it stops at the end of `execve`. If this process dies, the
/// tracee goes on.
pub fn seize(pid: Pid) -> Result<()> {
    ptrace::seize(pid, Options::PTRACE_O_TRACEEXEC)
        .map_err(|errno| Error::on(pid, Attempt::Seize, errno))
}

/// Makes a traced process stop before it next returns to its program.
pub fn interrupt(pid: Pid) -> Result<()> {
    ptrace::interrupt(pid).map_err(|errno| Error::on(pid, Attempt::Trace, errno))
}

/// Lets a stopped process go on, with the signal that it stopped for.
pub fn resume_with(pid: Pid, signal: i32) {
    // SAFETY: the request takes a number, and no memory. An error means that the process is gone.
    unsafe { libc::ptrace(libc::PTRACE_CONT, pid.as_raw(), 0, signal) };
}

/// Ends tracing of a stopped process.
pub fn detach(pid: Pid) {
    // An error means that it is gone.
    let _ = ptrace::detach(pid, None::<Signal>);
}

/// What an event comes with: for an exec, the id that the thread had before.
pub fn event_message(pid: Pid) -> Option<Pid> {
    ptrace::getevent(pid).ok().map(|former| Pid::from_raw(former as i32))
}

/// The next child or tracee with news, if there is one now.
pub fn wait_any() -> Option<(Pid, i32)> {
    wait(libc::WNOHANG)
}

/// The next child or tracee with news, if there is one within `at_most`.
///
/// A wait of this kind is worth a bound: the kernel wakes whoever is in `waitpid` on the CPU where
/// the news is, which saves the wake-up of an idle one, several times the cost of all else.
pub fn wait_any_for(at_most: Duration) -> Option<(Pid, i32)> {
    set_alarm(at_most);
    let news = wait(0);
    set_alarm(Duration::ZERO);
    news
}

/// Lets the alarm of [`wait_any_for`] end the wait. For a process that has blocked all signals.
pub fn allow_alarm() -> nix::Result<()> {
    extern "C" fn ignore(_: libc::c_int) {}
    let action = SigAction::new(SigHandler::Handler(ignore), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Signal::SIGALRM, &action) }?;
    let mut alarm = SigSet::empty();
    alarm.add(Signal::SIGALRM);
    alarm.thread_unblock()
}

fn set_alarm(after: Duration) {
    let none = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let value = libc::timeval { tv_sec: 0, tv_usec: i64::from(after.subsec_micros()) };
    let timer = libc::itimerval { it_interval: none, it_value: value };
    // SAFETY: the timer is read, and no old value asked for.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
}

fn wait(flags: libc::c_int) -> Option<(Pid, i32)> {
    let mut status = 0;
    let flags = libc::__WALL | libc::WUNTRACED | libc::WCONTINUED | flags;
    // SAFETY: the status is ours.
    let pid = unsafe { libc::waitpid(-1, &mut status, flags) };
    match Errno::result(pid) {
        Ok(pid) if pid > 0 => Some((Pid::from_raw(pid), status)),
        _ => None,
    }
}
