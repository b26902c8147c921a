//! System calls that a tracer makes in a stopped program's place.

use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::memory::Memory;
use crate::arch::{Registers, jump};
use crate::error::{Error, Result};
use crate::ptrace::{FOLLOW_EXEC, Options, Stop, Stopped, Until};

/// How often a program is let go on for a moment, to stop where it can be worked on.
const MOMENTS: usize = 1000;
/// A served call that takes longer is interrupted: nobody has heard of it.
const SERVED_WITHIN: Duration = Duration::from_secs(1);

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
pub fn restore(thread: &mut Stopped, vdso_end_addr: u64, kept: &Kept) -> Result<bool> {
    if !jump::is_at_call_site(vdso_end_addr, thread.registers()?.instruction_addr()) {
        // Before the first call, only signals are blocked.
        if thread.blocked_signals()? == while_worked_on(kept.signals_blocked) {
            thread.set_blocked_signals(kept.signals_blocked)?;
        }
        return Ok(false);
    }
    let registers = Registers::from_words(&kept.registers).ok_or(Error::Architecture)?;
    thread.set_blocked_signals(kept.signals_blocked)?;
    thread.set_registers(&registers)?;
    Ok(true)
}

/// A program that is stopped, and as it was then.
#[derive(Debug)]
pub struct Remote<'a> {
    thread: &'a mut Stopped,
    /// Where in the program there is an instruction that makes a system call.
    call_addr: u64,
    registers: Registers,
    signals_blocked: u64,
    /// How calls are made: [`Until::Call`], or [`Until::Instruction`] with one stop instead of two.
    by: Until,
    /// Came meanwhile.
    signals: Vec<i32>,
}

impl<'a> Remote<'a> {
    /// Begins with a program that is stopped after an interrupt, at an address that `is_fit`: where it is
    /// not, or within what the program must not be interrupted in, it goes on for a moment.
    ///
    /// `keep` is given what [`restore`] needs, before anything changes.
    pub fn begin(
        thread: &'a mut Stopped,
        call_addr: u64,
        is_fit: impl Fn(u64) -> bool,
        keep: &dyn Fn(&Kept),
    ) -> Result<Self> {
        for _ in 0..MOMENTS {
            let registers = thread.registers()?;
            let addr = registers.instruction_addr();
            if is_fit(addr) && !is_in_restartable_sequence(thread, addr)? {
                let signals_blocked = thread.blocked_signals()?;
                keep(&Kept { registers: registers.to_words(), signals_blocked });
                thread.set_blocked_signals(while_worked_on(signals_blocked))?;
                thread.set_options(FOLLOW_EXEC | Options::PTRACE_O_TRACESYSGOOD)?;
                let (by, signals) = (Until::Call, Vec::new());
                return Ok(Self { thread, call_addr, registers, signals_blocked, by, signals });
            }
            go_on_for_a_moment(thread)?;
        }
        Err(Error::Busy { pid: thread.tid() })
    }

    /// Begins with a program that is stopped where it may be worked on. Whenever this process is killed, the program
    /// goes on by itself, at `resume_addr` or behind a call at `call_addr`: there must be instructions that put back its
    /// registers and the signals that it blocks.
    pub fn begin_resumable(
        thread: &'a mut Stopped,
        call_addr: u64,
        resume_addr: u64,
    ) -> Result<Self> {
        let registers = thread.registers()?;
        let signals_blocked = thread.blocked_signals()?;
        // There first: what follows is put back from there.
        let resuming = registers.for_call(resume_addr, 0, [0; 6]).ok_or(Error::Architecture)?;
        thread.set_registers(&resuming)?;
        thread.set_blocked_signals(while_worked_on(signals_blocked))?;
        let (by, signals) = (Until::Instruction, Vec::new());
        Ok(Self { thread, call_addr, registers, signals_blocked, by, signals })
    }

    /// The program that stands still between two calls.
    pub fn thread(&mut self) -> &mut Stopped {
        self.thread
    }

    /// Makes a call. The outer result is about the program, the inner one is the call's.
    pub fn call(&mut self, number: i64, arguments: [u64; 6]) -> Result<nix::Result<u64>> {
        match self.by {
            Until::Instruction => self.step_over_call(number, arguments)?,
            _ => {
                self.begin_call(number, arguments)?;
                self.go_to_call_stop(|thread| thread.go_on(Until::Call))?;
            }
        }
        self.end_call()
    }

    /// The whole call is one instruction.
    fn step_over_call(&mut self, number: i64, arguments: [u64; 6]) -> Result<()> {
        self.set_call(number, arguments)?;
        loop {
            self.thread.go_on(Until::Instruction)?;
            let is_behind = self.thread.registers()?.instruction_addr() != self.call_addr;
            if is_behind && self.thread.stop() == Stop::Signal(libc::SIGTRAP) {
                self.thread.take_signal();
                return Ok(());
            }
            self.keep_signal();
        }
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
            self.go_to_call_stop(|thread| thread.go_on_served(Until::Call, serve, SERVED_WITHIN))?;
            let result = self.end_call()?;
            // The kernel's own, by which it says that the call is to be made anew.
            if result != Err(Errno::UnknownErrno) {
                return Ok(result);
            }
        }
        Ok(Err(Errno::EINTR))
    }

    fn set_call(&mut self, number: i64, arguments: [u64; 6]) -> Result<()> {
        let registers = self.registers.for_call(self.call_addr, number, arguments);
        self.thread.set_registers(&registers.ok_or(Error::Architecture)?)
    }

    fn begin_call(&mut self, number: i64, arguments: [u64; 6]) -> Result<()> {
        self.set_call(number, arguments)?;
        self.go_to_call_stop(|thread| thread.go_on(Until::Call))
    }

    fn end_call(&self) -> Result<nix::Result<u64>> {
        let result = self.thread.registers()?.result();
        Ok(result.map_err(Errno::from_raw))
    }

    /// To the beginning or the end of a call.
    fn go_to_call_stop(&mut self, mut go_on: impl FnMut(&mut Stopped) -> Result<()>) -> Result<()> {
        loop {
            go_on(self.thread)?;
            if self.thread.stop() == Stop::Call {
                return Ok(());
            }
            self.keep_signal();
        }
    }

    /// The program gets it afterwards.
    fn keep_signal(&mut self) {
        match self.thread.take_signal() {
            // The call was refused by a filter that sends this.
            None | Some(libc::SIGSYS) => {}
            Some(signal) => self.signals.push(signal),
        }
    }

    /// Puts everything back, and leaves the program in a stop like that which it was in.
    pub fn end(mut self) -> Result<()> {
        // In that stop the kernel has yet to look whether there is a call to be made anew.
        self.thread.interrupt()?;
        loop {
            self.thread.go_on(Until::Event)?;
            if matches!(self.thread.stop(), Stop::Interrupt | Stop::Group) {
                break;
            }
            self.keep_signal();
        }
        // The registers last: until then it is where it is found if this process is killed.
        self.thread.set_options(FOLLOW_EXEC)?;
        self.thread.set_blocked_signals(self.signals_blocked)?;
        self.thread.set_registers(&self.registers)?;
        for &signal in &self.signals {
            send(self.thread.tid(), signal);
        }
        Ok(())
    }
}

fn go_on_for_a_moment(thread: &mut Stopped) -> Result<()> {
    thread.interrupt()?;
    loop {
        thread.go_on(Until::Event)?;
        if matches!(thread.stop(), Stop::Interrupt | Stop::Group) {
            return Ok(());
        }
    }
}

/// All signals, beyond `blocked`, but those that the program's own instructions raise, for which the kernel
/// would forget their handlers.
fn while_worked_on(blocked: u64) -> u64 {
    let own =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS];
    let own = own.iter().fold(0, |set, signal| set | 1_u64 << (signal - 1));
    // Nobody blocks these: they would not be read back.
    let never =
        [libc::SIGKILL, libc::SIGSTOP].iter().fold(0, |set, signal| set | 1_u64 << (signal - 1));
    (blocked | !own) & !never
}

/// Whether it is, at `addr`, in a sequence that the kernel must have begin anew when it is interrupted:
/// rseq(2). If it went on elsewhere first, the kernel would take the sequence for left. Where the kernel does
/// not tell, the C libraries have no such sequences.
pub fn is_in_restartable_sequence(thread: &Stopped, addr: u64) -> Result<bool> {
    /// Of `rseq_cs` in `struct rseq`, `include/uapi/linux/rseq.h`.
    const SEQUENCE: u64 = 8;
    let (rseq_addr, memory) = (thread.rseq_addr()?, thread.memory());
    if rseq_addr == 0 {
        return Ok(false);
    }
    let sequence_addr = word_at(&memory, rseq_addr + SEQUENCE)?;
    if sequence_addr == 0 {
        return Ok(false);
    }
    // `start_ip` and `post_commit_offset` in `struct rseq_cs`.
    let start = word_at(&memory, sequence_addr + 8)?;
    let length = word_at(&memory, sequence_addr + 16)?;
    Ok(addr.wrapping_sub(start) < length)
}

fn word_at(memory: &Memory, addr: u64) -> Result<u64> {
    let mut word = [0; 8];
    memory.read(addr, &mut word)?;
    Ok(u64::from_ne_bytes(word))
}

/// Sends a signal that was kept from a thread.
fn send(tid: Pid, signal: i32) {
    // SAFETY: takes numbers. An error means that it is gone.
    unsafe { libc::syscall(libc::SYS_tkill, tid.as_raw(), signal) };
}
