//! A traced thread, by the state that it is in.

use std::marker::PhantomData;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::ptrace::Options;
use nix::unistd::Pid;

use super::news::{News, Stop, wait_with};
use super::request::RegisterSet;
use super::{FOLLOW_EXEC, request};
use crate::arch::Registers;
use crate::error::{Error, Result};

/// A thread that this one traces and that is not known to have stopped: it runs, or waits in the kernel,
/// and may end at any time.
///
/// Nothing happens when this is dropped: the kernel lets go of stopped threads alone. The thread stays
/// traced, and its news come to [`wait_any`](super::wait_any), until the tracer ends. So whoever no longer
/// wants to trace it interrupts it, and detaches it when it has stopped.
#[derive(Debug)]
pub struct Seized {
    tid: Pid,
    tracer: TracerThread,
}

/// A tracer is a thread: what another one of its process asks for is refused. So these stay where they
/// were made.
type TracerThread = PhantomData<*const ()>;

/// A traced thread that stands still.
///
/// When this is dropped the thread is let go of, with the signal that it stopped for: left alone, it
/// would stand until the tracer ends. If it was killed meanwhile, its end stays to be heard of by
/// [`wait_any`](super::wait_any).
#[derive(Debug)]
#[must_use = "dropped, the thread goes on untraced"]
pub struct Stopped {
    tid: Pid,
    stop: Stop,
    /// The signal that the thread gets when it goes on; zero for none.
    signal: i32,
    hold: Hold,
    tracer: TracerThread,
}

/// Whether a stopped thread is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// It has not been let go of.
    Held,
    /// It has.
    LetGo,
    /// It ended while it went on for a moment. With its status, if that was for this process.
    Ended(Option<i32>),
}

/// What a wait says of a traced thread.
#[derive(Debug)]
pub enum Told {
    /// It has stopped.
    Stopped(Stopped),
    /// Neither stopped nor ended.
    Running(Seized),
    /// It has ended. With its status, as `waitpid` gives it, unless somebody else has heard of that.
    Ended(Option<i32>),
}

/// What has become of a thread that was to be let go of.
#[derive(Debug)]
#[must_use = "one that was killed is still to be waited for"]
pub enum Detached {
    /// It goes on by itself.
    Free,
    /// It was killed while it stood still, and is about to end. Until its tracer has waited for that, its
    /// parent does not hear of it.
    Dying(Seized),
    /// It has ended, and was waited for, while it was worked on. With its status, which nobody else hears
    /// of, unless somebody has heard of it already.
    Ended(Option<i32>),
}

/// When a thread stops next, at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// At a signal, or at an event that was asked for.
    Event,
    /// At the beginning or the end of a system call, too.
    Call,
    /// Behind its next instruction, too: at [`Stop::Signal`] of `SIGTRAP`, which is not for the program.
    Instruction,
    /// It stays stopped, as a signal wants it to be, until another one continues it.
    Continued,
}

/// A system call that a thread is about to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemCall {
    /// The architecture whose numbers of calls are used, as `AUDIT_ARCH_…`.
    pub architecture: u32,
    /// The number of the call.
    pub number: u64,
    /// The arguments of the call.
    pub arguments: [u64; 6],
    /// The address of the instruction behind the one that makes the call.
    pub instruction_addr: u64,
    /// The stack pointer at the call.
    pub stack_addr: u64,
}

impl Seized {
    /// Traces a thread without stopping it, with [`FOLLOW_EXEC`]. If this process dies, it goes on.
    pub fn seize(tid: Pid) -> Result<Self> {
        Self::seize_with(tid, FOLLOW_EXEC)
    }

    /// Traces a thread without stopping it, with these options.
    pub fn seize_with(tid: Pid, options: Options) -> Result<Self> {
        request::seize(tid, options).map(|()| Self::new(tid))
    }

    fn new(tid: Pid) -> Self {
        Self { tid, tracer: PhantomData }
    }

    /// The id of the thread.
    pub fn tid(&self) -> Pid {
        self.tid
    }

    /// Makes it stop before it next returns to its program. It may stop for something else before: then
    /// nothing is left of this once it is detached. One that has ended may take this, too: the next wait tells.
    pub fn interrupt(&self) -> Result<()> {
        request::interrupt(self.tid)
    }

    /// Its next stop, or its end.
    pub fn wait(self) -> Told {
        self.waited(0)
    }

    /// Its stop or its end, if there is news of one by now.
    pub fn try_wait(self) -> Told {
        self.waited(libc::WNOHANG)
    }

    fn waited(self, flags: libc::c_int) -> Told {
        match wait(self.tid, flags) {
            Waited::Status(status) => Told::of(self.tid, status),
            Waited::Nothing => Told::Running(self),
            Waited::Unknown => Told::Ended(None),
        }
    }

    /// What has become of it, by news of this thread, under its own id or its leader's after an exec.
    /// Others say nothing of it.
    pub fn heard(self, news: News) -> Told {
        let pid = news.pid();
        match pid == self.tid || news.former_id() == Some(self.tid) {
            true => Told::of(pid, news.status()),
            false => Told::Running(self),
        }
    }
}

impl Told {
    /// By a status of a tracee's.
    pub(super) fn of(tid: Pid, status: i32) -> Self {
        if libc::WIFCONTINUED(status) {
            Self::Running(Seized::new(tid))
        } else if libc::WIFSTOPPED(status) {
            Self::Stopped(Stopped::new(tid, status))
        } else {
            Self::Ended(Some(status))
        }
    }
}

impl Stopped {
    /// By a status that says that this tracee has stopped.
    fn new(tid: Pid, status: i32) -> Self {
        let stop = Stop::of(status);
        Self { tid, stop, signal: stop.signal(), hold: Hold::Held, tracer: PhantomData }
    }

    /// The id of the thread.
    pub fn tid(&self) -> Pid {
        self.tid
    }

    /// Why it has stopped.
    pub fn stop(&self) -> Stop {
        self.stop
    }

    /// Lets it go on, with the signal that it stopped for. One that was killed is about to end: that is
    /// heard of as from any other.
    pub fn resume(mut self, until: Until) -> Seized {
        let tid = self.tid;
        if self.hold == Hold::Held {
            // An error means that it was killed.
            let _ = self.resume_in_place(until);
            self.hold = Hold::LetGo;
        }
        Seized::new(tid)
    }

    /// Ends tracing, and lets it go on, with the signal that it stopped for.
    pub fn detach(mut self) -> Detached {
        if let Hold::Ended(status) = self.hold {
            return Detached::Ended(status);
        }
        self.hold = Hold::LetGo;
        match request::detach(self.tid, self.signal) {
            Ok(()) => Detached::Free,
            Err(_) => Detached::Dying(Seized::new(self.tid)),
        }
    }

    /// Lets it go on to its next stop, with the signal that it stopped for; it has stopped again when this
    /// returns. If it ends instead, it is gone, and [`detach`](Self::detach) gives the status.
    pub fn go_on(&mut self, until: Until) -> Result<()> {
        self.go_on_by(until, &mut |tid| wait(tid, 0))
    }

    /// Lets it go on to its next stop as [`go_on`](Self::go_on) does, where somebody has to do something for
    /// that: `serve`, again and again. What takes longer than `limit` is interrupted.
    pub fn go_on_served(
        &mut self,
        until: Until,
        serve: &mut dyn FnMut(),
        limit: Duration,
    ) -> Result<()> {
        const LOOKS_EVERY: Duration = Duration::from_micros(20);
        let mut interrupt_at = Some(Instant::now() + limit);
        self.go_on_by(until, &mut |tid| {
            serve();
            let polled = wait(tid, libc::WNOHANG);
            if polled == Waited::Nothing {
                if interrupt_at.is_some_and(|at| Instant::now() >= at) {
                    interrupt_at = None;
                    // An error means that it ends, which is heard of next.
                    let _ = request::interrupt(tid);
                }
                sleep(LOOKS_EVERY);
            }
            polled
        })
    }

    /// Makes it stop again before it next returns to its program, once it goes on.
    pub fn interrupt(&self) -> Result<()> {
        self.held()?;
        request::interrupt(self.tid)
    }

    /// Keeps the signal that it stopped for from it, and says which that was.
    pub fn take_signal(&mut self) -> Option<i32> {
        let signal = std::mem::take(&mut self.signal);
        (signal != 0).then_some(signal)
    }

    /// What it is traced with from now on.
    pub fn set_options(&mut self, options: Options) -> Result<()> {
        self.held()?;
        request::set_options(self.tid, options)
    }

    /// Its general registers.
    pub fn registers(&self) -> Result<Registers> {
        self.held()?;
        Registers::read(self)
    }

    /// Sets its general registers.
    pub fn set_registers(&mut self, registers: &Registers) -> Result<()> {
        self.held()?;
        registers.write(self)
    }

    /// The signals that it has blocked.
    pub fn blocked_signals(&self) -> Result<u64> {
        self.held()?;
        request::blocked_signals(self.tid)
    }

    /// Blocks these signals, and no others.
    pub fn set_blocked_signals(&mut self, blocked: u64) -> Result<()> {
        self.held()?;
        request::set_blocked_signals(self.tid, blocked)
    }

    /// Where its `struct rseq` is: rseq(2). Zero if it has none, or if the kernel does not tell.
    pub fn rseq_addr(&self) -> Result<u64> {
        self.held()?;
        request::rseq_addr(self.tid)
    }

    /// Of a stop at a system call: what it is about to do; `None` if it has just done it. Needs Linux 5.3.
    pub fn system_call(&self) -> Result<Option<SystemCall>> {
        self.held()?;
        let info = request::call_info(self.tid)?;
        Ok((info.op == request::CallInfo::ENTRY).then_some(SystemCall {
            architecture: info.architecture,
            number: info.number,
            arguments: info.arguments,
            instruction_addr: info.instruction_addr,
            stack_addr: info.stack_addr,
        }))
    }

    /// Writes a word to a page whatever its protection.
    pub(crate) fn poke(&mut self, addr: u64, word: libc::c_long) -> Result<()> {
        self.held()?;
        request::poke(self.tid, addr, word)
    }

    /// An error if there is nobody any more whom this is about: another may have the id by now.
    pub(crate) fn held(&self) -> Result<()> {
        match self.hold {
            Hold::Held => Ok(()),
            Hold::LetGo | Hold::Ended(_) => Err(Error::Gone { pid: self.tid }),
        }
    }

    fn go_on_by(&mut self, until: Until, next: &mut dyn FnMut(Pid) -> Waited) -> Result<()> {
        self.held()?;
        self.resume_in_place(until)?;
        let ended = loop {
            match next(self.tid) {
                Waited::Status(status) if libc::WIFSTOPPED(status) => {
                    self.stop = Stop::of(status);
                    self.signal = self.stop.signal();
                    return Ok(());
                }
                Waited::Status(status) => break Some(status),
                Waited::Unknown => break None,
                Waited::Nothing => {}
            }
        };
        self.hold = Hold::Ended(ended);
        Err(Error::Gone { pid: self.tid })
    }

    fn resume_in_place(&self, until: Until) -> Result<()> {
        match until {
            Until::Event => request::cont(self.tid, self.signal),
            Until::Call => request::cont_to_call(self.tid, self.signal),
            Until::Instruction => request::step(self.tid, self.signal),
            Until::Continued => request::listen(self.tid),
        }
    }
}

/// Requests that only an architecture's registers make: see [`crate::arch`].
#[allow(dead_code, reason = "each architecture has some of them")]
impl Stopped {
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn user_registers(&self) -> Result<libc::user_regs_struct> {
        request::user_registers(self.tid)
    }

    #[cfg(target_arch = "x86_64")]
    pub(crate) fn set_user_registers(&mut self, registers: libc::user_regs_struct) -> Result<()> {
        request::set_user_registers(self.tid, registers)
    }

    /// Fills `registers` with those of a set, and says how many bytes that were.
    ///
    /// # Safety
    /// Any bytes must be a valid `T`.
    pub(crate) unsafe fn read_register_set<T>(
        &self,
        set: RegisterSet,
        registers: &mut T,
    ) -> Result<usize> {
        // SAFETY: the caller answers for it.
        unsafe { request::read_registers(self.tid, set, registers) }
    }

    pub(crate) fn write_register_set<T>(&mut self, registers: &T) -> Result<()> {
        request::write_registers(self.tid, registers)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if self.hold == Hold::Held {
            // An error means that it was killed.
            let _ = request::detach(self.tid, self.signal);
        }
    }
}

/// What a wait for one thread gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    Status(i32),
    /// It has neither stopped nor ended.
    Nothing,
    /// It is not this process's, or no more: somebody else has heard of its end.
    Unknown,
}

fn wait(tid: Pid, flags: libc::c_int) -> Waited {
    match wait_with(tid.as_raw(), flags) {
        Ok(Some((_, status))) => Waited::Status(status),
        Ok(None) => Waited::Nothing,
        Err(_) => Waited::Unknown,
    }
}
