//! The supervisor: answers the filter's reports, puts the image into what is exec'd, keeps the
//! clocks going.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;

use super::listener::{Call, Listener, Report};
use crate::error::{Error, Result};
use crate::exec::{self, Announce, FileBy, Payload};
use crate::ptrace::{self, Alarm, Event};
use crate::stub::{self, REQUEST_ANNOUNCE, REQUEST_FILE, REQUEST_RESCUE};

/// What a person may want to know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// A program begins with the image.
    Injected {
        /// Which process.
        pid: Pid,
        /// Where the image is.
        image_addr: u64,
    },
    /// A program runs as it is, on the kernel's vDSO.
    Untouched {
        /// Which process.
        pid: Pid,
        /// Why.
        error: Error,
    },
    /// Children are not followed: the filter was refused.
    NotFollowing {
        /// Why.
        errno: Errno,
    },
    /// A program lost its set-user-ID privilege because its children are followed.
    Unprivileged {
        /// Which process.
        pid: Pid,
    },
}

/// Publishes the page of clocks and says when to be called again.
pub type Tick<'a> = Box<dyn FnMut() -> Duration + 'a>;

/// Hears what the supervisor does.
pub trait Observer {
    /// Something that a person may want to know.
    fn notice(&mut self, notice: &Notice);
    /// A child of the supervisor's ended, or was stopped or continued; as from `waitpid`.
    fn child(&mut self, pid: Pid, status: i32);
    /// Whether notices of successful injections are wanted, which take one more call in each program.
    fn wants_addresses(&self) -> bool;
    /// Descriptors to watch besides, and to call [`input`](Self::input) for.
    fn watched(&self) -> Vec<BorrowedFd<'_>>;
    /// One of the watched descriptors is ready, or closed.
    fn input(&mut self);
}

/// Watches over all that came from one launch.
pub struct Supervisor<'a, O> {
    payload: &'a Payload,
    listener: Option<Listener<'a>>,
    tick: Option<Tick<'a>>,
    next_tick: Instant,
    alarm: Option<Alarm>,
    traced: HashMap<Pid, Purpose>,
    /// Reports of threads beside one that is in `execve` already.
    deferred: Vec<Report>,
    observer: O,
}

/// By which programs' requests are known.
const TOKEN: u64 = 0;

/// Why a process is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// It is in `execve`.
    Exec(FileBy),
    /// Its stub could not do its work, for this reason.
    Rescue(u64),
}

impl<'a, O: Observer> Supervisor<'a, O> {
    /// A supervisor; without a listener it follows nobody.
    pub fn new(
        payload: &'a Payload,
        listener: Option<Listener<'a>>,
        tick: Option<Tick<'a>>,
        observer: O,
    ) -> Self {
        let (traced, deferred) = (HashMap::new(), Vec::new());
        let (next_tick, alarm) = (Instant::now(), Alarm::new().ok());
        Self { payload, listener, tick, next_tick, alarm, traced, deferred, observer }
    }

    /// Who hears of it.
    pub fn observer(&mut self) -> &mut O {
        &mut self.observer
    }

    /// Publishes if it is time. To be called before the first program starts, too.
    pub fn tick(&mut self) {
        if let Some(tick) = &mut self.tick
            && Instant::now() >= self.next_tick
        {
            self.next_tick = Instant::now() + tick();
        }
    }

    /// Traces `pid`, which is about to exec, without a filter.
    pub fn trace_exec(&mut self, pid: Pid, by: FileBy) -> Result<()> {
        ptrace::seize(pid)?;
        self.traced.insert(pid, Purpose::Exec(by));
        Ok(())
    }

    /// Answers what a predecessor left unanswered.
    pub fn take_over(&mut self) {
        let Some(listener) = &self.listener else {
            return;
        };
        listener.carry_on_unnoted();
        if let Some(report) = listener.left_behind() {
            self.handle(report);
        }
    }

    /// Works until `is_done`, or until nobody is left who could report anything.
    pub fn run(&mut self, signals: &SignalFd, is_done: impl Fn(&O, bool) -> bool) {
        let mut has_reporters = self.listener.is_some();
        while !is_done(&self.observer, has_reporters) {
            self.tick();
            if let Some(alarm) = &mut self.alarm {
                alarm.stop_if_unused();
            }
            let ready = self.wait(signals, has_reporters);
            if ready.input {
                self.observer.input();
            }
            if ready.child {
                let _ = signals.read_signal();
                self.reap();
            }
            if ready.report
                && let Some(report) = self.listener.as_ref().and_then(Listener::receive)
            {
                self.handle(report);
            }
            for report in std::mem::take(&mut self.deferred) {
                self.handle(report);
            }
            has_reporters &= !ready.hang_up;
        }
    }

    /// Whether another thread of the process is traced. An exec ends all other threads, and waits for
    /// the end of those that are traced until their tracer has heard of it; meanwhile it keeps the
    /// tracer waiting that wants to trace one more.
    fn has_traced_thread_beside(&self, pid: Pid) -> bool {
        let is_beside = |&other: &Pid| {
            other != pid && std::fs::exists(format!("/proc/{pid}/task/{other}")).unwrap_or(false)
        };
        self.traced.keys().any(is_beside)
    }

    fn wait(&self, signals: &SignalFd, has_reporters: bool) -> Ready {
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        for fd in self.observer.watched() {
            push(&mut fds, fd);
        }
        let inputs = 1..fds.len();
        let listener = self.listener.as_ref().filter(|_| has_reporters);
        let listener_at = listener.map(|listener| push(&mut fds, listener.fd().as_fd()));
        let until_tick = self.tick.as_ref().map(|_| {
            self.next_tick.saturating_duration_since(Instant::now()) + Duration::from_millis(1)
        });
        let until_alarm = self.alarm.as_ref().and_then(Alarm::looks_again_in);
        let timeout = [until_tick, until_alarm].into_iter().flatten().min();
        let timeout = timeout.map_or(PollTimeout::NONE, |timeout| {
            PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX)
        });
        if poll(&mut fds, timeout).is_err() {
            return Ready::default();
        }
        let events =
            |at: Option<usize>| at.and_then(|at| fds[at].revents()).unwrap_or(PollFlags::empty());
        let has_input = |at| !events(Some(at)).is_empty();
        Ready {
            child: has_input(0),
            input: inputs.into_iter().any(has_input),
            report: events(listener_at).contains(PollFlags::POLLIN),
            hang_up: events(listener_at).contains(PollFlags::POLLHUP),
        }
    }

    fn handle(&mut self, report: Report) {
        let Some(listener) = &self.listener else {
            return;
        };
        match report.call {
            Call::Exec if self.has_traced_thread_beside(report.pid) => self.deferred.push(report),
            Call::Exec => {
                let pid = report.pid;
                let _here = StayHere::new();
                // Traced already: by an interrupted try that is not over for us yet.
                let seized =
                    if self.traced.contains_key(&pid) { Ok(()) } else { ptrace::seize(pid) };
                // The interrupt makes it stop at the end of the call also if that fails.
                if seized.is_ok() && listener.is_undisturbed() {
                    let _ = ptrace::interrupt(pid);
                }
                // While it waits for the answer: it may have ended right after that.
                let is_no_news =
                    seized.is_err() && (listener.is_gone(report) || is_traced_by_one_of_us(pid));
                listener.carry_on(report);
                match seized {
                    Ok(()) => {
                        if !listener.is_undisturbed() {
                            let _ = ptrace::interrupt(pid);
                        }
                        self.traced.insert(pid, Purpose::Exec(FileBy::Request));
                        // What comes of the exec, usually; others that want to exec wait meanwhile,
                        // but not for one that reads from something slow.
                        if let Some((pid, status)) = self.alarm.as_mut().and_then(Alarm::wait_any) {
                            self.news(pid, status);
                        }
                    }
                    // It has ended, or has a clock already.
                    Err(_) if is_no_news => {}
                    Err(error) => self.untouched(pid, error),
                }
            }
            Call::Stub(REQUEST_FILE, number, _) => {
                match report.abi().and_then(|abi| self.payload.file_for(abi)) {
                    Some(file) => listener.give(report, file.as_raw_fd(), number as u32),
                    // It was made by a supervisor that is no more: the stub asks to be taken away.
                    None => listener.refuse(report, Errno::ENOENT),
                }
            }
            Call::Stub(REQUEST_ANNOUNCE, image_addr, _) => {
                let pid = report.pid;
                self.observer.notice(&Notice::Injected { pid, image_addr });
                listener.refuse(report, Errno::EINVAL);
            }
            Call::Stub(REQUEST_RESCUE, reason, _) => {
                // Stopped before it returns to the stub, or it would go on there.
                let seized = ptrace::seize(report.pid);
                if seized.is_ok() && ptrace::interrupt(report.pid).is_ok() {
                    self.traced.insert(report.pid, Purpose::Rescue(reason));
                }
                listener.refuse(report, Errno::ENOMEM);
            }
            // Not a stub of ours: what the kernel would say.
            Call::Stub(..) => listener.refuse(report, Errno::EINVAL),
        }
    }

    fn reap(&mut self) {
        while let Some((pid, status)) = ptrace::wait_any() {
            self.news(pid, status);
        }
    }

    fn news(&mut self, pid: Pid, status: i32) {
        let event = Event::of(status);
        match self.purpose_of(pid, event) {
            Some(purpose) => self.traced_event(pid, purpose, event, status),
            None => self.observer.child(pid, status),
        }
    }

    /// A thread that execs is reported under its leader's id: the old one is looked up, too.
    fn purpose_of(&mut self, pid: Pid, event: Event) -> Option<Purpose> {
        if event == Event::Exec
            && !self.traced.contains_key(&pid)
            && let Some(former) = ptrace::event_message(pid)
            && former != pid
            && let Some(purpose) = self.traced.remove(&former)
        {
            self.traced.insert(pid, purpose);
        }
        self.traced.get(&pid).copied()
    }

    fn traced_event(&mut self, pid: Pid, purpose: Purpose, event: Event, status: i32) {
        match (event, purpose) {
            (Event::Ended, _) => {
                self.traced.remove(&pid);
                self.observer.child(pid, status);
            }
            (Event::Exec, Purpose::Exec(by)) => {
                let announce = if self.observer.wants_addresses() {
                    Announce::ToSupervisor
                } else {
                    Announce::No
                };
                let injected = exec::inject(pid, self.payload, by, announce, TOKEN);
                let lost_privilege = lost_privilege(pid);
                self.release(pid);
                match injected {
                    Ok(()) if lost_privilege => {
                        self.observer.notice(&Notice::Unprivileged { pid });
                    }
                    Ok(()) => {}
                    Err(error) => self.untouched(pid, error),
                }
            }
            (Event::Stop, Purpose::Rescue(reason)) => {
                let rescued = exec::rescue(pid);
                self.release(pid);
                let error = rescued.err().unwrap_or(stub::failure(pid, reason));
                self.untouched(pid, error);
            }
            // The exec failed, and the program goes on; or it was stopped like any other.
            (Event::Stop | Event::Exec, _) => self.release(pid),
            (Event::Continued, _) => self.observer.child(pid, status),
            (Event::Signal(signal), _) => ptrace::resume_with(pid, signal),
        }
    }

    fn release(&mut self, pid: Pid) {
        self.traced.remove(&pid);
        ptrace::detach(pid);
    }

    fn untouched(&mut self, pid: Pid, error: Error) {
        if !matches!(error, Error::Gone { .. }) {
            self.observer.notice(&Notice::Untouched { pid, error });
        }
    }
}

/// Keeps this process on the CPU that it is on, which is usually the reporter's: woken elsewhere, it
/// would find every other step's data in the wrong cache, and an idle CPU takes long to wake.
struct StayHere(CpuSet);

impl StayHere {
    /// `None` where that is not allowed; then it only takes longer.
    fn new() -> Option<Self> {
        let this_process = Pid::from_raw(0);
        let all = sched_getaffinity(this_process).ok()?;
        let mut here = CpuSet::new();
        here.set(sched_getcpu().ok()?).ok()?;
        sched_setaffinity(this_process, &here).ok()?;
        Some(Self(all))
    }
}

impl Drop for StayHere {
    fn drop(&mut self) {
        let _ = sched_setaffinity(Pid::from_raw(0), &self.0);
    }
}

/// Whether a launch within this one has the process: it gets a clock, though not from here.
fn is_traced_by_one_of_us(pid: Pid) -> bool {
    let file =
        |pid: &str| std::fs::metadata(format!("/proc/{pid}/exe")).map(|f| (f.dev(), f.ino()));
    let status = std::fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    match (tracer.map(str::trim).map(file), file("self")) {
        (Some(Ok(tracer)), Ok(own)) => tracer == own,
        _ => false,
    }
}

/// Whether a program's file would have given it another user's rights. Root has lost nothing.
fn lost_privilege(pid: Pid) -> bool {
    const SET_USER_ID: u32 = 0o4000;
    let user = nix::unistd::geteuid();
    if user.is_root() {
        return false;
    }
    std::fs::metadata(format!("/proc/{pid}/exe"))
        .is_ok_and(|file| file.mode() & SET_USER_ID != 0 && file.uid() != user.as_raw())
}

#[derive(Clone, Copy, Debug, Default)]
struct Ready {
    child: bool,
    input: bool,
    report: bool,
    hang_up: bool,
}

fn push<'fd>(fds: &mut Vec<PollFd<'fd>>, fd: BorrowedFd<'fd>) -> usize {
    fds.push(PollFd::new(fd, PollFlags::POLLIN));
    fds.len() - 1
}
