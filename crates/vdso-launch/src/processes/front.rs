//! The front: stands for the program towards the terminal and whoever started it.

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, raise, sigaction};
use nix::sys::signalfd::SignalFd;
use nix::unistd::{Pid, getpgid, getpgrp, setpgid, tcgetpgrp, tcsetpgrp};

use super::arrivals::{Arrival, Arrivals, Program, Reading};
use super::descendants::{end_all, has_ended};
use super::guard::Guard;
use super::message::{Kind, Socket};
use super::supervise::{Common, Prepared, fork_successor, let_go_of_standard_streams};
use super::witness::Witness;
use super::{Outcome, failed};
use crate::follow::{Heard, Tracer};
use crate::process;
use vdso_host::proc::{self, Stat};
use vdso_inject::Result;
use vdso_inject::ptrace;

/// How many supervisors in a row may end without having dealt with anything before the front gives up.
const SUCCESSORS: usize = 16;

/// How long somebody who is busy may take to send the rest of his signals.
const SENDERS_TAKE: Duration = Duration::from_millis(5);

/// Blocks every signal and gives a descriptor to read them from.
///
/// A fault of this process's own ends it all the same. The C library leaves out the two signals that are
/// its own, so the kernel is asked itself.
pub fn block_signals() -> Result<SignalFd> {
    let every = u64::MAX;
    let (set, length) = (&raw const every, size_of::<u64>());
    let none = std::ptr::null_mut::<u64>();
    // SAFETY: the kernel reads a set of that length, and no old one is asked for.
    let blocked =
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, set, none, length) };
    Errno::result(blocked).map_err(failed)?;
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: as above.
    let fd = unsafe { libc::syscall(libc::SYS_signalfd4, -1, set, length, flags) };
    let fd = Errno::result(fd).map_err(failed)?;
    // SAFETY: the kernel has just made this descriptor for us.
    let fd = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
    // SAFETY: it is one for signals.
    Ok(unsafe { SignalFd::from_owned_fd(fd) })
}

/// The program's end, as the kernel tells it at once.
enum End {
    /// Ready when the program has ended.
    Awaited(OwnedFd),
    /// It has ended.
    Seen,
    /// The kernel does not tell.
    Untold,
}

/// See the module.
pub struct Front<'a, 'launch> {
    common: Common<'a, 'launch>,
    signals: SignalFd,
    program: Pid,
    end: End,
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
    witness: Option<Witness>,
    arrivals: Arrivals,
    /// The end of a [`Caller`](super::Caller); `None` when that has ended, or is not watched.
    caller: Option<BorrowedFd<'launch>>,
}

impl<'a, 'launch> Front<'a, 'launch> {
    /// Stands for the program that was `prepared`.
    pub fn new(
        common: Common<'a, 'launch>,
        prepared: Prepared,
        signals: SignalFd,
        witness: Option<Witness>,
    ) -> Self {
        let (supervisor, socket) = prepared.supervisor;
        Self {
            common,
            signals,
            program: prepared.program,
            end: process::open(prepared.program).map_or(End::Untold, End::Awaited),
            start: Some(prepared.start),
            not_executed: None,
            guard: Some(Guard::new(common.in_flight, supervisor, socket)),
            listener: prepared.listener,
            tracer: Tracer::new(common.settings, common.in_flight),
            successors: 0,
            progress: 0,
            witness,
            arrivals: Arrivals::default(),
            caller: common.launch.caller.end(),
        }
    }

    /// Lets the program go, and stays until it has ended.
    pub fn run(mut self) -> Outcome {
        let program = self.program;
        // What was sent before there was a program is its as well, though it may have reached the witness, too.
        self.compare();
        self.arrivals.forget_witnessed();
        self.take_signals(program);
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
            self.expect_end();
            self.end_with_caller();
            self.take_signals(program);
            if let Some(status) = self.reap() {
                return self.outcome(status);
            }
            self.tracer.look();
            if let Some(guard) = &mut self.guard {
                guard.look(self.listener.as_ref());
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
        if let End::Awaited(end) = &self.end {
            fds.push(PollFd::new(end.as_fd(), PollFlags::POLLIN));
        }
        if let Some(witness) = self.witness.as_ref().filter(|_| !matches!(self.end, End::Seen)) {
            fds.push(PollFd::new(witness.socket(), PollFlags::POLLIN));
        }
        if let Some(caller) = self.caller {
            fds.push(PollFd::new(caller, PollFlags::POLLIN));
        }
        let until =
            |at: Instant| at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        let until_look = self.tracer.looks_at().map(until);
        let until_guarded = self.guard.as_ref().and_then(Guard::longest_wait);
        let timeout = [until_look, until_guarded].into_iter().flatten().min();
        let timeout = timeout.map_or(PollTimeout::NONE, |timeout| {
            PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX)
        });
        let _ = poll(&mut fds, timeout);
    }

    /// Gives the program what was sent for it to this process alone.
    fn take_signals(&mut self, program: Pid) {
        // Nobody sends to this process alone who knows the program itself, and nothing reaches one that has ended.
        if !self.common.launch.caller.is_none() || matches!(self.end, End::Seen) {
            while let Ok(Some(_)) = self.signals.read_signal() {}
            return;
        }
        let mut reading = self.compare();
        // Some send to a process first and then to its group, or to one process of many after another.
        // Before the front wakes up they have usually done that; if not, they are at it.
        let start = Instant::now();
        while self.arrivals.senders().any(is_running) && start.elapsed() < SENDERS_TAKE {
            std::thread::sleep(SENDERS_TAKE / 50);
            reading = self.compare();
        }
        let place = if is_in_our_group(program) { Program::InGroup } else { Program::Elsewhere };
        if self.arrivals.stops_front()
            && let Some(guard) = &mut self.guard
        {
            guard.expect_news();
        }
        let is_continued = self.arrivals.continues_front();
        for arrival in self.arrivals.for_program(place, reading) {
            pass_on(&arrival, program);
        }
        // What continued the group before it was stopped may stand for what has continued this process
        // alone: of two that merge nobody can tell them apart. A group's would have continued the program.
        if is_continued && place == Program::InGroup && is_stopped(program) {
            let _ = kill(program, Signal::SIGCONT);
        }
        if self.witness.is_none() {
            self.witness = Witness::start(&self.signals, self.common.launch.command).ok();
        }
    }

    /// Reads what has reached this process and the witness.
    fn compare(&mut self) -> Reading {
        // Somebody who never stops to send must not keep the front from all else.
        const MOST_ROUNDS: usize = 16;
        let mut has_news = self.witness.as_ref().is_some_and(Witness::has_news);
        for _ in 0..MOST_ROUNDS {
            if !self.read_signals() && !std::mem::take(&mut has_news) {
                return Reading::Complete;
            }
            // What has reached one of both has then reached the other, too.
            wait_for_senders();
            let witnessed = self.witness.as_ref().and_then(Witness::ask);
            if witnessed.is_none() {
                self.witness = None;
            }
            self.arrivals.reached_witness(witnessed);
            wait_for_senders();
        }
        Reading::Ongoing
    }

    /// Reads what has reached this process, if anything has.
    fn read_signals(&mut self) -> bool {
        let mut has_any = false;
        while let Ok(Some(signal)) = self.signals.read_signal() {
            if let Some(arrival) = Arrival::of(&signal) {
                self.arrivals.reached_front(arrival);
                has_any = true;
            }
        }
        has_any
    }

    /// The program has said that it could not be executed, or nothing, which means that it was, or that it
    /// has ended.
    fn hear_program(&mut self) {
        if self.start.as_ref().is_some_and(Socket::is_ready)
            && let Some(start) = self.start.take()
        {
            match start.receive() {
                Some(message) => self.not_executed = Some(Errno::from_raw(message.number)),
                None => (self.common.launch.executed)(self.program),
            }
        }
    }

    /// The program has ended, which the supervisor has to tell.
    fn expect_end(&mut self) {
        let End::Awaited(end) = &self.end else { return };
        let mut fds = [PollFd::new(end.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::ZERO) == Ok(0) {
            return;
        }
        self.end = End::Seen;
        // It ends while the supervisor tells, and ends.
        if let Some(witness) = &self.witness {
            witness.dismiss();
        }
        if let Some(guard) = &mut self.guard {
            guard.expect_news();
        }
    }

    /// Nothing is left when the caller is gone.
    fn end_with_caller(&mut self) {
        if !has_ended(self.caller) {
            return;
        }
        self.caller = None;
        let supervisor = self.guard.as_ref().map(Guard::supervisor);
        end_all(supervisor);
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
        while let Some(news) = ptrace::wait_any() {
            // Whoever asks for a file meanwhile is answered by the supervisor.
            let Heard::OfChild { pid, status } = self.tracer.hear(news, &mut || {}) else {
                continue;
            };
            if pid != self.program {
                continue;
            }
            if libc::WIFSTOPPED(status) {
                self.stop_like(pid, libc::WSTOPSIG(status));
            } else if !libc::WIFCONTINUED(status) {
                return Some(status);
            }
        }
        None
    }

    /// Stops as the program has, so that the shell sees its job stopped; returns when continued.
    fn stop_like(&mut self, program: Pid, signal: i32) {
        // Whoever knows the program itself lets that go on, and not this process.
        if !self.common.launch.caller.is_none() {
            return;
        }
        // The terminal's own signal may have stopped this process, too, in the moment after an
        // earlier stop in which it is not blocked; then both have been continued since.
        if !is_stopped(program) {
            return;
        }
        // Whoever has continued this process since must not find that it stops: that is read, and passed on.
        if is_pending(Signal::SIGCONT) {
            return;
        }
        let had_terminal =
            foreground_group().is_some_and(|group| Ok(group) == getpgid(Some(program)));
        stop_by(Signal::try_from(signal).unwrap_or(Signal::SIGSTOP));
        // Whatever continued this process is a signal like others: read, and passed on if it was for
        // this process alone.
        if is_in_our_group(program) {
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

/// Returns when all who were sending signals to a process group have sent them to all of it: they hold
/// a lock that this call takes, which changes nothing. Source: `kernel/signal.c`, `kernel/sys.c`, Linux 6.18.
fn wait_for_senders() {
    let _ = setpgid(Pid::from_raw(0), getpgrp());
}

/// Gives a signal that was meant for the program to it.
fn pass_on(arrival: &Arrival, program: Pid) {
    // With what came with it, where that is allowed: by `sigqueue`, not by `kill`.
    if arrival.code == libc::SI_QUEUE && queue(arrival, program).is_ok() {
        return;
    }
    // Real-time signals are signals, too, but none of the enumeration's.
    // SAFETY: sends a signal, and nothing else.
    unsafe { libc::kill(program.as_raw(), arrival.number) };
}

/// `sigqueue`, in its sender's name.
fn queue(arrival: &Arrival, program: Pid) -> nix::Result<()> {
    // The start of a `siginfo_t` where pointers have 64 bits, `asm-generic/siginfo.h`, and its end.
    #[repr(C)]
    struct Info {
        number: i32,
        errno: i32,
        code: i32,
        padding: i32,
        sender: i32,
        uid: u32,
        value: u64,
        rest: [u64; 12],
    }
    const { assert!(size_of::<Info>() == size_of::<libc::siginfo_t>()) };
    let &Arrival { number, code, sender, uid, value } = arrival;
    let info = Info { number, errno: 0, code, padding: 0, sender, uid, value, rest: [0; 12] };
    let (pid, info) = (program.as_raw(), &raw const info);
    // SAFETY: the kernel reads the structure, which is as long as it expects.
    Errno::result(unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, number, info) }).map(drop)
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
    let threads = proc::numbers_in(format!("/proc/{program}/task")).into_iter().flatten();
    let states = threads.filter_map(|id| Stat::read(format_args!("{program}/task/{id}")).ok());
    states.into_iter().any(|stat| stat.state() == Some('T'))
}

/// Whether a process is at work, or waits for a moment only.
fn is_running(pid: i32) -> bool {
    proc::is_ours() && Stat::read(pid).is_ok_and(|stat| matches!(stat.state(), Some('R' | 'D')))
}

/// Whether a signal has arrived and has not been read yet.
fn is_pending(signal: Signal) -> bool {
    let mut pending = *SigSet::empty().as_ref();
    // SAFETY: the set is ours.
    let result = unsafe { libc::sigpending(&mut pending) };
    // SAFETY: as above; the number is a signal's.
    result == 0 && unsafe { libc::sigismember(&pending, signal as libc::c_int) } == 1
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
