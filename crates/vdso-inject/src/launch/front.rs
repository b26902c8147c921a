//! The front: stands for the program towards the terminal and whoever started it.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, raise, sigaction};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::unistd::{Pid, getpgid, getpgrp};
use std::os::fd::AsFd;

use super::message::{Kind, Socket};
use super::supervise::{Refusal, Started, fork_successor};
use super::{Launch, Outcome, SharedInFlight, failed};
use crate::error::{Attempt, Error, Result};
use crate::ptrace;

/// How many supervisors may be killed before the front gives up.
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
}

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
        Self { launch, in_flight, supervisor_socket, started, signals, successors: 0 }
    }

    /// Until the program has ended.
    pub fn run(mut self) -> Result<Outcome> {
        let program = match self.started.program {
            Ok(program) => program,
            Err(Refusal::NotExecuted(errno)) => {
                let _ = nix::sys::wait::waitpid(self.started.supervisor, None);
                return Ok(Outcome::NotExecuted(errno));
            }
            Err(Refusal::NotTraced(errno)) => {
                let _ = nix::sys::wait::waitpid(self.started.supervisor, None);
                return Err(Error::on_self(Attempt::Seize, errno));
            }
        };
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
        }
    }

    fn wait(&self) {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if let Some(socket) = &self.supervisor_socket {
            fds.push(PollFd::new(socket.0.as_fd(), PollFlags::POLLIN));
        }
        let _ = poll(&mut fds, PollTimeout::NONE);
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
                Kind::Stopped => stop_like(program, message.number),
                _ => {}
            }
        }
        None
    }

    /// The program's parent is gone, and this process is its parent now: its status comes here.
    fn replace_supervisor(&mut self) {
        self.supervisor_socket = None;
        self.successors += 1;
        if self.successors <= SUCCESSORS
            && let Some(listener) = &self.started.listener
            && let Ok((pid, socket)) = fork_successor(self.launch, self.in_flight, listener)
        {
            self.started.supervisor = pid;
            self.supervisor_socket = Some(socket);
        }
    }

    fn reap(&mut self, program: Pid) -> Option<Outcome> {
        while let Some((pid, status)) = ptrace::wait_any() {
            if pid != program {
                continue;
            }
            if libc::WIFSTOPPED(status) {
                stop_like(program, libc::WSTOPSIG(status));
            } else {
                return Some(Outcome::of(status));
            }
        }
        None
    }
}

/// Gives a signal that was meant for the program to it.
fn pass_on(signal: &siginfo, program: Pid) {
    let Ok(number) = Signal::try_from(signal.ssi_signo as i32) else {
        return;
    };
    // From the terminal it goes to the whole foreground group, and so to the program by itself.
    let is_from_kernel = signal.ssi_code > 0;
    match number {
        Signal::SIGCHLD => {}
        // The shell continues its whole job.
        Signal::SIGCONT if is_in_our_group(program) => {}
        _ if is_from_kernel => {}
        number => {
            let _ = kill(program, number);
        }
    }
}

fn is_in_our_group(program: Pid) -> bool {
    getpgid(Some(program)) == Ok(getpgrp())
}

/// Stops as the program has, so that the shell sees its job stopped; returns when continued.
fn stop_like(program: Pid, signal: i32) {
    let signal = Signal::try_from(signal).unwrap_or(Signal::SIGSTOP);
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    let mut only = SigSet::empty();
    only.add(signal);
    // What the terminal sent to the group is for this process, too, and still waits.
    // SAFETY: the default disposition runs no code of ours.
    let _ = unsafe { sigaction(signal, &default) };
    let stopped = raise(signal).and_then(|()| only.thread_unblock());
    let _ = only.thread_block();
    if stopped == Err(Errno::EINVAL) {
        let _ = raise(Signal::SIGSTOP);
    }
    if !is_in_our_group(program) {
        let _ = kill(program, Signal::SIGCONT);
    }
}
