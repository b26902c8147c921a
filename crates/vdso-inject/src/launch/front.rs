//! The front: stands for the program towards the terminal and whoever started it.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, raise, sigaction};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getsid, tcgetpgrp, tcsetpgrp};

use super::guard::Guard;
use super::message::{Kind, Socket};
use super::supervise::{Common, Prepared, fork_successor, let_go_of_standard_streams};
use super::{Outcome, failed};
use crate::error::Result;
use crate::follow::{Heard, Tracer};
use crate::{proc, ptrace};

/// How many supervisors in a row may end without having dealt with anything before the front gives up.
const SUCCESSORS: usize = 16;

/// Blocks every signal and gives a descriptor to read them from.
pub fn block_signals() -> Result<SignalFd> {
    let mut all = SigSet::all();
    // These are this process's own faults.
    for fault in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE, Signal::SIGABRT]
    {
        all.remove(fault);
    }
    all.thread_block().map_err(failed)?;
    SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(failed)
}

/// See the module.
pub struct Front<'a, 'launch> {
    common: Common<'a, 'launch>,
    signals: SignalFd,
    program: Pid,
    /// To the program, until it has exec'd.
    start: Option<Socket>,
    not_executed: Option<Errno>,
    /// Over the supervisor, while there is one.
    guard: Option<Guard<'a>>,
    /// For the supervisor's successors.
    listener: Option<OwnedFd>,
    /// Of programs whose tracer was killed.
    tracer: Tracer<'a>,
    successors: usize,
    /// The count of what had been dealt with when a supervisor ended last.
    progress: u64,
    /// Set when this process was continued, until the program was, too: when to help it.
    continue_at: Option<Instant>,
}

/// A shell continues both processes at once; somebody who continues only this one means the program.
const CONTINUED_BY_OTHERS_WITHIN: Duration = Duration::from_millis(50);

impl<'a, 'launch> Front<'a, 'launch> {
    /// Stands for the program that was `prepared`.
    pub fn new(common: Common<'a, 'launch>, prepared: Prepared, signals: SignalFd) -> Self {
        let (supervisor, socket) = prepared.supervisor;
        Self {
            common,
            signals,
            program: prepared.program,
            start: Some(prepared.start),
            not_executed: None,
            guard: Some(Guard::new(common.in_flight, supervisor, socket)),
            listener: prepared.listener,
            tracer: Tracer::new(common.settings, common.in_flight),
            successors: 0,
            progress: 0,
            continue_at: None,
        }
    }

    /// Lets the program go, and stays until it has ended.
    pub fn run(mut self) -> Outcome {
        let program = self.program;
        if let Some(start) = &self.start {
            start.send(Kind::Go, 0, None);
        }
        let_go_of_standard_streams(&[0, 1]);
        loop {
            self.wait();
            self.hear_program();
            if let Some(outcome) = self.hear_supervisor() {
                return outcome;
            }
            while let Ok(Some(signal)) = self.signals.read_signal() {
                pass_on(&signal, program);
            }
            if let Some(status) = self.reap() {
                return self.outcome(status);
            }
            if self.continue_at.is_some_and(|at| Instant::now() >= at) {
                self.continue_at = None;
                let _ = kill(program, Signal::SIGCONT);
            }
            self.tracer.look();
            if let (Some(guard), Some(listener)) = (&mut self.guard, &self.listener) {
                guard.look(listener);
            }
        }
    }

    fn wait(&self) {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if let Some(guard) = &self.guard {
            fds.push(PollFd::new(guard.socket().0.as_fd(), PollFlags::POLLIN));
            if let Some(listener) = self.listener.as_ref().filter(|_| guard.waits_for_report()) {
                fds.push(PollFd::new(listener.as_fd(), PollFlags::POLLIN));
            }
        }
        if let Some(start) = &self.start {
            fds.push(PollFd::new(start.0.as_fd(), PollFlags::POLLIN));
        }
        let until =
            |at: Instant| at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        let until_continued = self.continue_at.map(until);
        let until_look = self.tracer.looks_at().map(until);
        // Without a listener there is nothing to guard against.
        let guard = self.guard.as_ref().filter(|_| self.listener.is_some());
        let until_guarded = guard.and_then(Guard::longest_wait);
        let timeout = [until_continued, until_look, until_guarded].into_iter().flatten().min();
        let timeout = timeout.map_or(PollTimeout::NONE, |timeout| {
            PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX)
        });
        let _ = poll(&mut fds, timeout);
    }

    /// The program has said that it could not be executed, or nothing, which means that it was, or that it
    /// has ended.
    fn hear_program(&mut self) {
        if self.start.as_ref().is_some_and(Socket::is_ready)
            && let Some(start) = self.start.take()
            && let Some(message) = start.receive()
        {
            self.not_executed = Some(Errno::from_raw(message.number));
        }
    }

    /// What the supervisor says; if it is gone, there must be another.
    fn hear_supervisor(&mut self) -> Option<Outcome> {
        while self.guard.as_ref().is_some_and(|guard| guard.socket().is_ready()) {
            let Some(message) = self.guard.as_ref().and_then(|guard| guard.socket().receive())
            else {
                self.replace_supervisor();
                return None;
            };
            match message.kind {
                Kind::Ended => {
                    // It is about to end. Where nobody reaps orphans it would stay as a zombie.
                    let supervisor = self.guard.as_ref().map(Guard::supervisor);
                    let _ = supervisor.map(|pid| nix::sys::wait::waitpid(pid, None));
                    return Some(self.outcome(message.number));
                }
                Kind::EndedAlone => return Some(self.outcome(message.number)),
                Kind::Stopped => self.stop_like(self.program, message.number),
                Kind::Continued => self.continue_at = None,
                _ => {}
            }
        }
        None
    }

    fn outcome(&mut self, status: i32) -> Outcome {
        // It may have been said after the last look.
        self.hear_program();
        match self.not_executed {
            Some(errno) => Outcome::NotExecuted(errno),
            None if self.common.in_flight.ended() != 0 => Outcome::EndedOnHostClock,
            None => Outcome::of(status),
        }
    }

    /// The program's parent is gone, and this process is its parent now: its status comes here.
    fn replace_supervisor(&mut self) {
        let dead = self.guard.take().map(|guard| guard.supervisor());
        let progress = self.common.in_flight.progress();
        if progress != self.progress {
            (self.progress, self.successors) = (progress, 0);
        }
        self.successors += 1;
        // First of all, as those whom it traced begin now without a clock.
        if let Some(dead) = dead {
            self.tracer.adopt(dead, self.listener.as_ref().map(AsFd::as_fd));
        }
        if self.listener.is_none() {
            self.tracer.unless_injected(self.program, progress);
        }
        let listener = self.listener.as_ref().filter(|_| self.successors <= SUCCESSORS);
        let successor =
            listener.zip(dead).and_then(|(fd, dead)| fork_successor(self.common, fd, dead).ok());
        match successor {
            Some((pid, socket)) => {
                self.guard = Some(Guard::new(self.common.in_flight, pid, socket));
            }
            // With a listener that nobody listens to, whoever execs would wait for ever.
            None => self.listener = None,
        }
    }

    /// Hears of children and tracees, and gives the program's status once that has ended.
    fn reap(&mut self) -> Option<i32> {
        while let Some((pid, status)) = ptrace::wait_any() {
            if self.tracer.hear(pid, status) == Heard::Dealt || pid != self.program {
                continue;
            }
            if libc::WIFSTOPPED(status) {
                self.stop_like(pid, libc::WSTOPSIG(status));
            } else if libc::WIFCONTINUED(status) {
                self.continue_at = None;
            } else {
                return Some(status);
            }
        }
        None
    }

    /// Stops as the program has, so that the shell sees its job stopped; returns when continued.
    fn stop_like(&mut self, program: Pid, signal: i32) {
        // The terminal's own signal may have stopped this process, too, in the moment after an
        // earlier stop in which it is not blocked; then both have been continued since.
        if !is_stopped(program) {
            return;
        }
        let had_terminal =
            foreground_group().is_some_and(|group| Ok(group) == getpgid(Some(program)));
        stop_by(Signal::try_from(signal).unwrap_or(Signal::SIGSTOP));
        if is_in_our_group(program) {
            self.continue_at = Some(Instant::now() + CONTINUED_BY_OTHERS_WITHIN);
            return;
        }
        // The shell has given the terminal to our group. A program that had made a group of its own
        // and taken the terminal, as shells do, expects it there.
        if had_terminal
            && foreground_group() == Some(getpgrp())
            && let (Some(terminal), Ok(group)) = (terminal(), getpgid(Some(program)))
        {
            let _ = tcsetpgrp(terminal, group);
        }
        let _ = kill(program, Signal::SIGCONT);
    }
}

/// Gives a signal that was meant for the program to it.
fn pass_on(signal: &siginfo, program: Pid) {
    let number = signal.ssi_signo as i32;
    // From the terminal it goes to the whole foreground group, and so to the program by itself; but
    // a hang-up goes to the session's leader alone.
    let is_from_kernel = signal.ssi_code > 0;
    let is_hang_up = number == libc::SIGHUP && is_session_leader();
    match number {
        libc::SIGCHLD => {}
        // The shell continues its whole job.
        libc::SIGCONT if is_in_our_group(program) => {}
        _ if is_from_kernel && !is_hang_up => {}
        // Real-time signals are signals, too, but none of the enumeration's.
        // SAFETY: sends a signal, and nothing else.
        number => drop(unsafe { libc::kill(program.as_raw(), number) }),
    }
}

fn is_session_leader() -> bool {
    getsid(None) == Ok(getpid())
}

fn is_in_our_group(program: Pid) -> bool {
    getpgid(Some(program)) == Ok(getpgrp())
}

/// Whether any thread of the process is in a group stop. Its leader may have ended before the others.
/// So it is taken to be where that cannot be told.
fn is_stopped(program: Pid) -> bool {
    if !proc::is_ours() {
        return true;
    }
    let threads = std::fs::read_dir(format!("/proc/{program}/task"));
    threads.into_iter().flatten().flatten().any(|thread| {
        let stat = std::fs::read(thread.path().join("stat")).unwrap_or_default();
        let stat = String::from_utf8_lossy(&stat);
        // The state comes after the name, which may have anything in it.
        stat.rsplit(") ").next().is_some_and(|fields| fields.starts_with('T'))
    })
}

fn stop_by(signal: Signal) {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    let mut only = SigSet::empty();
    only.add(signal);
    // SAFETY: the default disposition runs no code of ours.
    let _ = unsafe { sigaction(signal, &default) };
    let stopped = raise(signal).and_then(|()| only.thread_unblock());
    let _ = only.thread_block();
    if stopped.is_err() {
        let _ = raise(Signal::SIGSTOP);
    }
}

fn terminal() -> Option<std::fs::File> {
    std::fs::File::options().read(true).write(true).open("/dev/tty").ok()
}

fn foreground_group() -> Option<Pid> {
    tcgetpgrp(terminal()?).ok()
}
