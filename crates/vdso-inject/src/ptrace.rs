//! The few ptrace requests that are needed, with their errors named.

use std::time::{Duration, Instant};

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

/// Ends tracing of a process that has stopped for a signal, which it gets.
pub fn detach_with(pid: Pid, signal: i32) {
    // SAFETY: the request takes a number, and no memory. An error means that the process is gone.
    unsafe { libc::ptrace(libc::PTRACE_DETACH, pid.as_raw(), 0, signal) };
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

/// Fills `registers` with the general ones of a stopped process, and says how many bytes that were.
///
/// # Safety
/// Any bytes must be a valid `T`.
#[allow(dead_code, reason = "x86-64 has a request of its own")]
pub unsafe fn read_registers<T>(pid: Pid, registers: &mut T) -> Result<usize> {
    let mut buffer =
        libc::iovec { iov_base: (&raw mut *registers).cast(), iov_len: size_of::<T>() };
    let (request, set) = (libc::PTRACE_GETREGSET, NT_PRSTATUS);
    // SAFETY: the kernel writes to the buffer as much as it says; the caller answers for what.
    let result = unsafe { libc::ptrace(request, pid.as_raw(), set, &raw mut buffer) };
    Errno::result(result).map_err(|errno| Error::on(pid, Attempt::Trace, errno))?;
    Ok(buffer.iov_len)
}

/// Sets the general registers of a stopped process.
#[allow(dead_code, reason = "x86-64 has a request of its own")]
pub fn write_registers<T>(pid: Pid, registers: &T) -> Result<()> {
    let buffer = libc::iovec {
        iov_base: (&raw const *registers).cast_mut().cast(),
        iov_len: size_of::<T>(),
    };
    let (request, set) = (libc::PTRACE_SETREGSET, NT_PRSTATUS);
    // SAFETY: the kernel reads the buffer, which is as long as it says.
    let result = unsafe { libc::ptrace(request, pid.as_raw(), set, &raw const buffer) };
    Errno::result(result).map(drop).map_err(|errno| Error::on(pid, Attempt::Trace, errno))
}

/// The general registers, `include/uapi/linux/elf.h`.
const NT_PRSTATUS: libc::c_int = 1;

/// The next child or tracee with news, if there is one now.
pub fn wait_any() -> Option<(Pid, i32)> {
    wait(libc::WNOHANG)
}

/// A clock that interrupts waits, so that none lasts for ever.
///
/// The kernel wakes whoever is in `waitpid` on the CPU where the news is, which saves the wake-up of
/// an idle one, several times the cost of all else: so a wait of that kind is worth a bound. To set
/// a timer for each would cost as much as it saves, where a hypervisor has to do it: this one goes on
/// from wait to wait, and stops when nobody has waited for a while.
///
/// For a process that has blocked all signals: nothing but these waits is interrupted.
#[derive(Debug)]
pub struct Alarm {
    signal: SigSet,
    /// When there was a wait last, if the timer is set.
    last_wait: Option<Instant>,
}

impl Alarm {
    const INTERVAL: Duration = Duration::from_millis(4);
    const STOPS_AFTER: Duration = Duration::from_millis(20);

    /// Not set yet.
    pub fn new() -> nix::Result<Self> {
        extern "C" fn ignore(_: libc::c_int) {}
        let action = SigAction::new(SigHandler::Handler(ignore), SaFlags::empty(), SigSet::empty());
        // SAFETY: the handler does nothing.
        unsafe { sigaction(Signal::SIGALRM, &action) }?;
        Ok(Self { signal: SigSet::from(Signal::SIGALRM), last_wait: None })
    }

    /// The next child or tracee with news, if there is one within an interval; perhaps none even if it
    /// would come sooner.
    pub fn wait_any(&mut self) -> Option<(Pid, i32)> {
        if self.last_wait.replace(Instant::now()).is_none() {
            set_timer(Self::INTERVAL);
        }
        self.signal.thread_unblock().ok()?;
        let news = wait(0);
        let _ = self.signal.thread_block();
        news
    }

    /// How soon to call [`stop_if_unused`](Self::stop_if_unused).
    pub fn looks_again_in(&self) -> Option<Duration> {
        self.last_wait.map(|_| Self::STOPS_AFTER)
    }

    /// Stops the timer when nobody has waited for a while.
    pub fn stop_if_unused(&mut self) {
        if self.last_wait.is_some_and(|last| last.elapsed() > Self::STOPS_AFTER) {
            self.last_wait = None;
            set_timer(Duration::ZERO);
        }
    }
}

fn set_timer(every: Duration) {
    let every = libc::timeval { tv_sec: 0, tv_usec: every.subsec_micros() as _ };
    let value = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: the timer is read, and no old value asked for.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &value, std::ptr::null_mut()) };
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
