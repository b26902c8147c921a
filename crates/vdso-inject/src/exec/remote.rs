//! System calls that a tracer makes in a stopped program's place.

use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::Pid;

use super::tracing;
use crate::arch::{Registers, jump};
use crate::error::{Error, Result};
use crate::ptrace::{self, Event};

/// How often a program is let go on for a moment, to stop where it can be worked on.
const MOMENTS: usize = 1000;
/// A served call that takes longer is interrupted: nobody has heard of it.
const SERVED_WITHIN: Duration = Duration::from_secs(1);
const LOOKS_EVERY: Duration = Duration::from_micros(20);

/// A program as it was before anything was done in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The program's registers, as words.
    pub registers: Vec<u64>,
    /// The signals that it had blocked.
    pub signals_blocked: u64,
}

/// Puts a stopped program back to where it was, if whoever made calls in its place was killed meanwhile: it
/// waits behind such a call then. Says whether it did.
pub fn restore(pid: Pid, vdso_end_addr: u64, kept: &Kept) -> Result<bool> {
    if !jump::is_at_call_site(vdso_end_addr, Registers::read(pid)?.instruction_addr()) {
        // Before the first call, only signals are blocked.
        if tracing::blocked_signals(pid)? == tracing::while_worked_on(kept.signals_blocked) {
            tracing::set_blocked_signals(pid, kept.signals_blocked)?;
        }
        return Ok(false);
    }
    let registers = Registers::from_words(&kept.registers).ok_or(Error::Architecture)?;
    tracing::set_blocked_signals(pid, kept.signals_blocked)?;
    registers.write(pid)?;
    Ok(true)
}

/// A program that is stopped, and as it was then.
#[derive(Debug)]
pub struct Remote {
    pid: Pid,
    /// Where in the program there is an instruction that makes a system call.
    call_addr: u64,
    registers: Registers,
    signals_blocked: u64,
    /// Came meanwhile.
    signals: Vec<i32>,
    state: State,
}

/// Where the program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Stopped.
    Stopped,
    /// It is no more.
    Gone,
}

impl Remote {
    /// Begins with a program that is stopped after an interrupt, at an address that `is_fit`: where it is
    /// not, or within what the program must not be interrupted in, it goes on for a moment.
    ///
    /// `keep` is given what [`restore`] needs, before anything changes.
    pub fn begin(
        pid: Pid,
        call_addr: u64,
        is_fit: impl Fn(u64) -> bool,
        keep: &dyn Fn(&Kept),
    ) -> Result<Self> {
        let mut registers = Registers::read(pid)?;
        for _ in 0..MOMENTS {
            let addr = registers.instruction_addr();
            if is_fit(addr) && !tracing::is_in_restartable_sequence(pid, addr)? {
                let signals_blocked = tracing::blocked_signals(pid)?;
                keep(&Kept { registers: registers.to_words(), signals_blocked });
                tracing::set_blocked_signals(pid, tracing::while_worked_on(signals_blocked))?;
                tracing::tell_calls_apart(pid)?;
                let (signals, state) = (Vec::new(), State::Stopped);
                return Ok(Self { pid, call_addr, registers, signals_blocked, signals, state });
            }
            go_on_for_a_moment(pid)?;
            registers = Registers::read(pid)?;
        }
        Err(Error::Busy { pid })
    }

    /// Makes a call. The outer result is about the program, the inner one is the call's.
    pub fn call(&mut self, number: i64, arguments: [u64; 6]) -> Result<nix::Result<u64>> {
        self.begin_call(number, arguments)?;
        self.go_to_call_stop(tracing::wait_for)?;
        self.end_call()
    }

    /// The same for a call that lasts until `serve` has done something about it.
    pub fn call_served(
        &mut self,
        number: i64,
        arguments: [u64; 6],
        serve: &mut dyn FnMut(),
    ) -> Result<nix::Result<u64>> {
        /// How often a call may be interrupted: each time by something that happens once.
        const TRIES: usize = 16;
        for _ in 1..TRIES {
            self.begin_call(number, arguments)?;
            self.go_to_call_stop(|pid| serve_until_stop(pid, serve))?;
            let result = self.end_call()?;
            // The kernel's own, by which it says that the call is to be made anew.
            if result != Err(Errno::UnknownErrno) {
                return Ok(result);
            }
        }
        Ok(Err(Errno::EINTR))
    }

    fn begin_call(&mut self, number: i64, arguments: [u64; 6]) -> Result<()> {
        let registers = self.registers.for_call(self.call_addr, number, arguments);
        registers.ok_or(Error::Architecture)?.write(self.pid)?;
        self.go_to_call_stop(tracing::wait_for)
    }

    fn end_call(&self) -> Result<nix::Result<u64>> {
        let result = Registers::read(self.pid)?.result();
        Ok(result.map_err(Errno::from_raw))
    }

    /// To the beginning or the end of a call.
    fn go_to_call_stop(&mut self, mut next_status: impl FnMut(Pid) -> Result<i32>) -> Result<()> {
        loop {
            tracing::resume_to_call(self.pid)?;
            match Event::of(next_status(self.pid)?) {
                Event::Signal(tracing::CALL) => return Ok(()),
                // The call was refused by a filter that sends this.
                Event::Signal(libc::SIGSYS) => {}
                Event::Signal(signal) => self.signals.push(signal),
                Event::Stop | Event::Exec | Event::Continued => {}
                Event::Ended => return Err(self.gone()),
            }
        }
    }

    /// Puts everything back, and leaves the program in a stop like that which it was in.
    pub fn end(mut self) -> Result<()> {
        if self.state == State::Gone {
            return Err(Error::Gone { pid: self.pid });
        }
        // In that stop the kernel has yet to look whether there is a call to be made anew.
        ptrace::interrupt(self.pid)?;
        loop {
            ptrace::resume_with(self.pid, 0);
            match Event::of(tracing::wait_for(self.pid)?) {
                Event::Stop => break,
                Event::Signal(libc::SIGSYS) => {}
                Event::Signal(signal) => self.signals.push(signal),
                Event::Ended => return Err(self.gone()),
                Event::Exec | Event::Continued => {}
            }
        }
        // The registers last: until then it is where it is found if this process is killed.
        tracing::tell_execs(self.pid)?;
        tracing::set_blocked_signals(self.pid, self.signals_blocked)?;
        self.registers.write(self.pid)?;
        for &signal in &self.signals {
            tracing::send(self.pid, signal);
        }
        Ok(())
    }

    fn gone(&mut self) -> Error {
        self.state = State::Gone;
        Error::Gone { pid: self.pid }
    }
}

fn serve_until_stop(pid: Pid, serve: &mut dyn FnMut()) -> Result<i32> {
    let mut interrupt_at = Some(Instant::now() + SERVED_WITHIN);
    loop {
        serve();
        if let Some(status) = tracing::poll_for(pid)? {
            return Ok(status);
        }
        if interrupt_at.is_some_and(|at| Instant::now() >= at) {
            interrupt_at = None;
            ptrace::interrupt(pid)?;
        }
        sleep(LOOKS_EVERY);
    }
}

fn go_on_for_a_moment(pid: Pid) -> Result<()> {
    let mut signal = 0;
    ptrace::interrupt(pid)?;
    loop {
        ptrace::resume_with(pid, signal);
        match Event::of(tracing::wait_for(pid)?) {
            Event::Stop => return Ok(()),
            Event::Signal(other) => signal = other,
            Event::Ended => return Err(Error::Gone { pid }),
            Event::Exec | Event::Continued => signal = 0,
        }
    }
}
