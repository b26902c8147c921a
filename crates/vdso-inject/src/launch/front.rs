//! The front: stands for the program towards the terminal and whoever started it.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, raise, sigaction};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getsid, tcgetpgrp, tcsetpgrp};

use super::message::{Kind, Socket};
use super::supervise::{Refusal, Started, fork_successor, let_go_of_standard_streams};
use super::{Launch, Outcome, SharedInFlight, failed};
use crate::error::{Attempt, Error, Result};
use crate::{proc, ptrace};

/// How many supervisors in a row may end without having received a report before the front gives up.
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
    launch: &'a Launch<'launch>,
    in_flight: &'a SharedInFlight,
    supervisor_socket: Option<Socket>,
    started: Started,
    signals: SignalFd,
    successors: usize,
    /// Of the last report, when a supervisor ended last.
    last_id: u64,
    /// Set when this process was continued, until the program was, too: when to help it.
    continue_at: Option<Instant>,
}

/// A shell continues both processes at once; somebody who continues only this one means the program.
const CONTINUED_BY_OTHERS_WITHIN: Duration = Duration::from_millis(50);

impl<'a, 'launch> Front<'a, 'launch> {
    /// Stands for the program that was `started`.
    pub fn new(
        launch: &'a Launch<'launch>,
        in_flight: &'a SharedInFlight,
        supervisor_socket: Socket,
        started: Started,
        signals: SignalFd,
    ) -> Self {
        let supervisor_socket = Some(supervisor_socket);
        Self {
            launch,
            in_flight,
            supervisor_socket,
            started,
            signals,
            successors: 0,
            last_id: 0,
            continue_at: None,
        }
    }

    /// Until the program has ended.
    pub fn run(mut self) -> Result<Outcome> {
        let program = match self.started.program {
            Ok(program) => program,
            Err(Refusal::Exec(errno)) => {
                let _ = nix::sys::wait::waitpid(self.started.supervisor, None);
                return Ok(Outcome::NotExecuted(errno));
            }
            Err(Refusal::Trace(errno)) => return Err(Error::on_self(Attempt::Seize, errno)),
            Err(Refusal::Start(errno)) => return Err(failed(errno)),
        };
        let_go_of_standard_streams(&[0, 1]);
        loop {
            self.wait();
            if let Some(outcome) = self.hear(program) {
                return Ok(outcome);
            }
            while let Ok(Some(signal)) = self.signals.read_signal() {
                pass_on(&signal, program);
            }
            if let Some(outcome) = self.reap(program) {
                return Ok(outcome);
            }
            if self.continue_at.is_some_and(|at| Instant::now() >= at) {
                self.continue_at = None;
                let _ = kill(program, Signal::SIGCONT);
            }
        }
    }

    fn wait(&self) {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if let Some(socket) = &self.supervisor_socket {
            fds.push(PollFd::new(socket.0.as_fd(), PollFlags::POLLIN));
        }
        let timeout = self.continue_at.map_or(PollTimeout::NONE, |at| {
            let wait = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)
        });
        let _ = poll(&mut fds, timeout);
    }

    /// What the supervisor says; if it is gone, there must be another.
    fn hear(&mut self, program: Pid) -> Option<Outcome> {
        while self.supervisor_socket.as_ref().is_some_and(Socket::is_ready) {
            let Some(message) = self.supervisor_socket.as_ref().and_then(Socket::receive) else {
                self.replace_supervisor();
                return None;
            };
            match message.kind {
                Kind::Ended => {
                    // It is about to end. Where nobody reaps orphans it would stay as a zombie.
                    let _ = nix::sys::wait::waitpid(self.started.supervisor, None);
                    return Some(Outcome::of(message.number));
                }
                Kind::EndedAlone => return Some(Outcome::of(message.number)),
                Kind::Stopped => self.stop_like(program, message.number),
                Kind::Continued => self.continue_at = None,
                _ => {}
            }
        }
        None
    }

    /// The program's parent is gone, and this process is its parent now: its status comes here.
    fn replace_supervisor(&mut self) {
        self.supervisor_socket = None;
        let last_id = self.in_flight.last_id();
        if last_id != self.last_id {
            (self.last_id, self.successors) = (last_id, 0);
        }
        self.successors += 1;
        let listener = self.started.listener.as_ref().filter(|_| self.successors <= SUCCESSORS);
        let successor = listener
            .and_then(|listener| fork_successor(self.launch, self.in_flight, listener).ok());
        match successor {
            Some((pid, socket)) => {
                self.started.supervisor = pid;
                self.supervisor_socket = Some(socket);
            }
            // With a listener that nobody listens to, whoever execs would wait for ever.
            None => self.started.listener = None,
        }
    }

    fn reap(&mut self, program: Pid) -> Option<Outcome> {
        while let Some((pid, status)) = ptrace::wait_any() {
            if pid != program {
                continue;
            }
            if libc::WIFSTOPPED(status) {
                self.stop_like(program, libc::WSTOPSIG(status));
            } else if libc::WIFCONTINUED(status) {
                self.continue_at = None;
            } else {
                return Some(Outcome::of(status));
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
