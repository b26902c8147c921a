//! What `waitpid` says of children and tracees, and waiting for it.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::Pid;

use super::request;
use super::thread::Told;

/// Why a traced thread has stopped, from its wait status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// `PTRACE_EVENT_EXEC`: it stands at the first instruction of a new program.
    Exec,
    /// `PTRACE_EVENT_STOP`: it was interrupted, has just begun, or was continued.
    Interrupt,
    /// `PTRACE_EVENT_STOP`: a signal has stopped its process.
    Group,
    /// It is about to get this signal.
    Signal(i32),
    /// A system call begins or ends (`PTRACE_O_TRACESYSGOOD`).
    Call,
    /// `PTRACE_EVENT_EXIT`: it ends, and still has its memory.
    Exit,
    /// Another event that was asked for.
    Other,
}

impl Stop {
    /// Of a status that says that somebody has stopped.
    pub(super) fn of(status: i32) -> Self {
        /// `PTRACE_O_TRACESYSGOOD`.
        const CALL: i32 = libc::SIGTRAP | 0x80;
        let signal = libc::WSTOPSIG(status);
        match status >> 16 {
            libc::PTRACE_EVENT_EXEC => Self::Exec,
            libc::PTRACE_EVENT_EXIT => Self::Exit,
            libc::PTRACE_EVENT_STOP if signal == libc::SIGTRAP => Self::Interrupt,
            libc::PTRACE_EVENT_STOP => Self::Group,
            0 if signal == CALL => Self::Call,
            0 => Self::Signal(signal),
            _ => Self::Other,
        }
    }

    /// The signal that the thread would not get if it went on without it.
    pub(super) fn signal(self) -> i32 {
        if let Self::Signal(signal) = self { signal } else { 0 }
    }
}

/// News of a child or a tracee. Only a wait makes them, and each is used once.
#[derive(Debug)]
pub struct News {
    pid: Pid,
    status: i32,
}

impl News {
    /// The id of the process or thread that the news are of.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The status, as `waitpid` gives it.
    pub fn status(&self) -> i32 {
        self.status
    }

    /// Of an exec: the id by which the thread was known before, if it now has its leader's.
    pub fn former_id(&self) -> Option<Pid> {
        if !libc::WIFSTOPPED(self.status) || Stop::of(self.status) != Stop::Exec {
            return None;
        }
        let former = Pid::from_raw(request::event_message(self.pid).ok()? as i32);
        (former != self.pid).then_some(former)
    }
}

/// The next child or tracee with news, if there is one now. Children that are not traced tell when they
/// are stopped and continued, too.
pub fn wait_any() -> Option<News> {
    wait(libc::WNOHANG)
}

/// Waits for news of any tracee, or of the end of a child: for a process that traces all whom it hears of.
pub fn wait_traced() -> nix::Result<(Pid, Told)> {
    loop {
        match wait_with(-1, 0) {
            Ok(Some((tid, status))) => return Ok((tid, Told::of(tid, status))),
            Ok(None) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Waits for news of one tracee, by whatever it is traced: [`trace_me`](super::trace_me), an option that has
/// new threads traced, [`Seized`](super::Seized). Of a child that is not traced the end is waited for.
pub fn wait_for(tid: Pid) -> Told {
    match wait_with(tid.as_raw(), 0) {
        Ok(news) => news.map_or(Told::Ended(None), |(tid, status)| Told::of(tid, status)),
        Err(_) => Told::Ended(None),
    }
}

/// The next status: of a stop, which without `WUNTRACED` only tracees have, or of an end. `None` if there is
/// none yet.
pub(super) fn wait_with(pid: i32, flags: libc::c_int) -> nix::Result<Option<(Pid, i32)>> {
    let mut status = 0;
    loop {
        // SAFETY: the status is ours.
        let waited = unsafe { libc::waitpid(pid, &mut status, libc::__WALL | flags) };
        match Errno::result(waited) {
            Ok(0) => return Ok(None),
            Ok(pid) => return Ok(Some((Pid::from_raw(pid), status))),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
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
    pub fn wait_any(&mut self) -> Option<News> {
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

fn wait(flags: libc::c_int) -> Option<News> {
    let mut status = 0;
    let flags = libc::__WALL | libc::WUNTRACED | libc::WCONTINUED | flags;
    // SAFETY: the status is ours.
    let pid = unsafe { libc::waitpid(-1, &mut status, flags) };
    match Errno::result(pid) {
        Ok(pid) if pid > 0 => Some(News { pid: Pid::from_raw(pid), status }),
        _ => None,
    }
}
