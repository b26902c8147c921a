//! Programs on their way through `execve`: traced from the report of the call until they begin with the
//! image.
//!
//! Nothing interrupts a program in the call itself: a file system that waits for a server would give it
//! up (`EINTR`). So a call that fails is not seen at once. Such a process is traced, which it does not
//! notice, until it is found to do something else: [`Tracer::look`].

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::foreign;
use super::in_flight::{InFlight, Slot, SlotIndex};
use super::listener::{Listener, is_waiting};
use super::notice::{Notice, OnHostClock};
use super::report::{Call, Report};
use super::target::Target;
use super::timers;
use super::whereabouts::{Look, Whereabouts, is_in_execve, whereabouts};
use crate::privilege;
use vdso_data::detour::NO_TIMER;
use vdso_inject::arch::{ABIS, Abi, TimedCall};
use vdso_inject::call_site;
use vdso_inject::detour::{self, CallSites};
use vdso_inject::exec::{self, Announce, FileBy, Kept, Memo, Memory, Payload, Repaired};
use vdso_inject::proc;
use vdso_inject::ptrace::{self, Event};
use vdso_inject::stub;
use vdso_inject::{Error, Result, Stack};

/// What is the same for all programs of a launch.
pub struct Settings<'a> {
    /// What programs get.
    pub payload: &'a Payload,
    /// Hears what a person may want to know.
    pub notice: &'a dyn Fn(&Notice),
    /// Whether programs tell where their image is.
    pub announce: Announce,
    /// What becomes of programs that do not get it.
    pub on_host_clock: OnHostClock,
    /// By which the requests of stubs are known.
    pub tokens: Tokens,
}

/// Makes the words by which a supervisor knows the requests of its own stubs: a secret of the launch,
/// mixed with the process's id. A stub has it in a register, which it wipes, so the program that follows
/// never sees it.
#[derive(Clone, Debug, Default)]
pub struct Tokens(RandomState);

impl Tokens {
    /// That of a process.
    pub fn of(&self, pid: Pid) -> u64 {
        self.0.hash_one(pid.as_raw())
    }

    /// Whether a request comes from a stub.
    pub fn is_from_stub(&self, pid: Pid, abi: &Abi, token: u64) -> bool {
        abi.token(token) == abi.token(self.of(pid))
    }
}

/// Those that this process traces.
pub struct Tracer<'a> {
    settings: &'a Settings<'a>,
    in_flight: &'a InFlight,
    traced: HashMap<Pid, Traced>,
    /// Processes that cannot be traced, with what they wanted to execute last, if that can be read.
    told: HashMap<Pid, Option<OsString>>,
    /// How often call sites have reported: by the addresses of their image's detour, and behind their instruction.
    sites: HashMap<(u64, u64), u32>,
    /// How much stack the threads of programs have: by the address of their image's detour.
    stacks: HashMap<u64, Stack>,
    /// Predecessors that were killed. The kernel lets go of whom they traced a little later.
    dead: Vec<Pid>,
}

/// One of them.
#[derive(Debug)]
struct Traced {
    purpose: Purpose,
    slot: Option<SlotIndex>,
    /// What it wants to execute.
    program: Option<OsString>,
    look: Look,
}

impl Traced {
    /// Whether it has reported an `execve` of which it is not known that it has succeeded.
    fn is_reported(&self) -> bool {
        self.slot.is_some() || self.purpose == Purpose::Failed
    }
}

/// Why a process is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// It is in `execve`, or that has failed.
    Exec(FileBy),
    /// Its `execve` has failed, and what it does now would not bear an interruption.
    Failed,
    /// Its stub could not do its work.
    Rescue,
    /// Its tracer was killed while it began: it runs on the kernel's vDSO already.
    Repair,
    /// It has reported a call that its image is to make.
    Detour(Detour),
    /// By mistake: the process that was meant has ended.
    Stranger,
}

/// Where a thread is to be sent from the answer of its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Detour {
    number: u32,
    /// Behind the call's instruction.
    instruction_addr: u64,
    detour_addr: u64,
    timer_clock: u32,
    stack: Stack,
}

/// Whether news was of a process that is traced here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was, and has been dealt with.
    Dealt,
    /// It is for whoever else waits for this process's children.
    OfChild,
}

/// What became of a report of `execve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// News of the process will come.
    Traced,
    /// None will.
    Untraced,
}

impl<'a> Tracer<'a> {
    /// Traces nobody yet.
    pub fn new(settings: &'a Settings<'a>, in_flight: &'a InFlight) -> Self {
        Self {
            settings,
            in_flight,
            traced: HashMap::new(),
            told: HashMap::new(),
            sites: HashMap::new(),
            stacks: HashMap::new(),
            dead: Vec::new(),
        }
    }

    /// What is the same for all programs of the launch.
    pub(super) fn settings(&self) -> &'a Settings<'a> {
        self.settings
    }

    /// What is being worked on.
    pub(super) fn in_flight(&self) -> &'a InFlight {
        self.in_flight
    }

    /// Traces `pid`, which is about to exec, without a report.
    pub fn trace_exec(&mut self, pid: Pid, by: FileBy) -> Result<()> {
        ptrace::seize(pid)?;
        let purpose = Purpose::Exec(by);
        self.insert(pid, Traced { purpose, slot: None, program: None, look: Look::new() });
        Ok(())
    }

    /// Traces whoever reports that it execs, and lets it do so.
    pub fn follow_exec(
        &mut self,
        report: Report,
        listener: &Listener<'_>,
        target: &Target,
    ) -> Followed {
        let pid = report.pid;
        // Traced already: by a try that failed, and was not seen to.
        let is_traced = self.traced.contains_key(&pid);
        let seized = if is_traced { Ok(()) } else { self.seize(pid) };
        match seized {
            Ok(()) if !is_traced && listener.is_gone(report) => {
                // The number may be another process's by now.
                self.let_go_of_stranger(pid);
                self.in_flight.slot(report.slot).clear();
                Followed::Untraced
            }
            Ok(()) => {
                let slot = self.in_flight.slot(report.slot);
                slot.set_name(target.name.as_deref());
                slot.hand_to(Pid::this(), leader_of(pid));
                let purpose = Purpose::Exec(FileBy::Request);
                let (slot, program) = (Some(report.slot), target.name.clone());
                self.insert(pid, Traced { purpose, slot, program, look: Look::new() });
                listener.carry_on(report);
                Followed::Traced
            }
            Err(error) => {
                // It has ended, or has a clock already.
                let is_news = !listener.is_gone(report) && !is_traced_by_one_of_us(pid);
                // Ended before it goes on, if at all; told of when it may have its new name.
                if is_news {
                    self.end_if_asked(pid);
                }
                listener.carry_on(report);
                self.in_flight.slot(report.slot).clear();
                if is_news && !self.is_told(pid, target) {
                    self.tell_untouched(pid, target.name.clone(), error);
                }
                Followed::Untraced
            }
        }
    }

    /// Whether it was told of this process and this name already, as by a search through `PATH`; notes it.
    fn is_told(&mut self, pid: Pid, target: &Target) -> bool {
        const MOST: usize = 1024;
        if self.told.len() >= MOST {
            self.told.clear();
        }
        let name = target.name.as_deref().and_then(|name| Path::new(name).file_name());
        let name = name.map(OsStr::to_owned);
        self.told.insert(pid, name.clone()) == Some(name)
    }

    /// Has the image make a call that a thread has reported; where that cannot be done the kernel makes it as it is.
    pub fn detour(
        &mut self,
        report: Report,
        listener: &Listener<'_>,
        call: &TimedCall,
        args: &[u64; 6],
        instruction_addr: u64,
    ) -> Followed {
        let pid = report.pid;
        let payload = self.settings.payload;
        let detour_addr = report.abi().and_then(|abi| detour::find(pid, abi, payload));
        let timer_clock = timers::clock(pid, call, args);
        let stack = detour_addr.map_or(Stack::Usual, |addr| self.stack(report, addr));
        let is_traced = self.traced.contains_key(&pid);
        let seized = detour_addr.is_some()
            && timer_clock.is_some()
            && (is_traced || self.seize(pid).is_ok());
        let is_gone = listener.is_gone(report);
        match (detour_addr, timer_clock) {
            (Some(detour_addr), Some(timer_clock))
                if seized && !is_gone && ptrace::interrupt(pid).is_ok() =>
            {
                let purpose = Purpose::Detour(Detour {
                    number: call.number,
                    instruction_addr,
                    detour_addr,
                    timer_clock,
                    stack,
                });
                let slot = Some(report.slot);
                self.insert(pid, Traced { purpose, slot, program: None, look: Look::new() });
                listener.restart(report);
                Followed::Traced
            }
            _ => {
                if seized && !is_traced {
                    self.let_go_of_stranger(pid);
                }
                listener.carry_on(report);
                self.in_flight.slot(report.slot).clear();
                Followed::Untraced
            }
        }
    }

    /// How much stack the threads of a program have, which is known by the address of its image's detour.
    fn stack(&mut self, report: Report, detour_addr: u64) -> Stack {
        const MOST: usize = 4096;
        if self.stacks.len() >= MOST {
            self.stacks.clear();
        }
        let find = || report.abi().map_or(Stack::Usual, |abi| detour::stack(report.pid, abi));
        *self.stacks.entry(detour_addr).or_insert_with(find)
    }

    /// A call site that reports again and again is made to jump to the image, if that can be done.
    fn rewrite_if_frequent(&mut self, pid: Pid, to: &Detour) {
        const FREQUENT: u32 = 3;
        const MOST: usize = 4096;
        if self.settings.payload.detours.call_sites == CallSites::Kept || to.timer_clock != NO_TIMER
        {
            return;
        }
        if self.sites.len() >= MOST {
            self.sites.clear();
        }
        // The image's address is another in each program.
        let reports = self.sites.entry((to.detour_addr, to.instruction_addr)).or_default();
        *reports += 1;
        if *reports == FREQUENT {
            // If it stays as it is it goes on reporting.
            let _ =
                call_site::rewrite(pid, to.instruction_addr, to.number, to.detour_addr, to.stack);
        }
    }

    /// As soon as the kernel has let go of it, if a process that was killed traces it.
    fn seize(&self, pid: Pid) -> Result<()> {
        let refused = match ptrace::seize(pid) {
            Err(error @ Error::System { errno: Errno::EPERM, .. }) => error,
            seized => return seized,
        };
        match tracer_of(pid) {
            Some(tracer) if self.dead.contains(&tracer) => wait_for_end(tracer),
            Some(_) => return Err(refused),
            None if !is_alive(pid) => return Err(Error::Gone { pid }),
            // Its tracer may have ended since the request.
            None => {}
        }
        match ptrace::seize(pid) {
            Err(_) if !is_alive(pid) => Err(Error::Gone { pid }),
            seized => seized,
        }
    }

    /// Whether another thread of the process is traced on its way through `execve`. An exec ends all other
    /// threads, and waits for the end of those that are traced until their tracer has heard of it; meanwhile
    /// it keeps the tracer waiting that wants to trace one more.
    pub fn has_traced_thread_beside(&self, pid: Pid) -> bool {
        let is_beside = |(&other, traced): (&Pid, &Traced)| {
            other != pid
                && traced.purpose != Purpose::Failed
                && std::fs::exists(format!("/proc/{pid}/task/{other}")).unwrap_or(false)
        };
        self.traced.iter().any(is_beside)
    }

    /// Takes away the stub of whoever reports that it could not do its work, for this reason.
    pub fn rescue(&mut self, report: Report, listener: &Listener<'_>, reason: u64) {
        let pid = report.pid;
        // Stopped before it returns to the stub, which would then begin the program by itself.
        let seized = ptrace::seize(pid);
        let is_gone = listener.is_gone(report);
        if seized.is_ok() && !is_gone && ptrace::interrupt(pid).is_ok() {
            let purpose = Purpose::Rescue;
            self.insert(pid, Traced { purpose, slot: None, program: None, look: Look::new() });
        } else if seized.is_ok() {
            self.let_go_of_stranger(pid);
        }
        if !is_gone {
            self.untouched(pid, None, stub::failure(pid, reason));
        }
        listener.refuse(report, Errno::ENOMEM);
    }

    /// Hears news that `waitpid` gave. Meanwhile `serve` is called where a program asks for the image's file,
    /// which somebody has to answer.
    pub fn hear(&mut self, pid: Pid, status: i32, serve: &mut dyn FnMut()) -> Heard {
        let event = Event::of(status);
        let Some(purpose) = self.purpose_of(pid, event) else { return Heard::OfChild };
        match (event, purpose) {
            (Event::Ended, purpose) => {
                let program = self.traced.get_mut(&pid).and_then(|traced| traced.program.take());
                self.forget(pid);
                // It had begun, and ended before anything could be done about it.
                if purpose == Purpose::Repair {
                    self.untouched(pid, program, Error::TracerKilled { pid });
                }
                return Heard::OfChild;
            }
            (Event::Continued, _) => return Heard::OfChild,
            (Event::Exec, Purpose::Exec(by)) => self.inject(pid, by),
            (Event::Exec, Purpose::Repair) => self.inject(pid, FileBy::Request),
            (Event::Stop, Purpose::Repair) => self.repair(pid, serve),
            (Event::Stop, Purpose::Rescue) => {
                if let Err(error) = exec::rescue(pid) {
                    self.untouched(pid, None, error);
                }
                self.release(pid);
            }
            (Event::Stop, Purpose::Detour(to)) => {
                // Elsewhere, or gone: the call is reported anew, or nobody is there to make it.
                let _ = detour::divert(
                    pid,
                    to.number,
                    to.instruction_addr,
                    to.detour_addr,
                    detour::sender_word(to.timer_clock, to.stack),
                );
                self.rewrite_if_frequent(pid, &to);
                self.release(pid);
            }
            // The exec failed, and the program goes on; or it was stopped like any other.
            (Event::Stop | Event::Exec, _) => self.release(pid),
            // It is out of execve.
            (Event::Signal(signal), Purpose::Exec(_) | Purpose::Failed)
                if self.is_reported(pid) =>
            {
                self.forget(pid);
                ptrace::detach_with(pid, signal);
            }
            (Event::Signal(signal), _) => ptrace::resume_with(pid, signal),
        }
        Heard::Dealt
    }

    /// A thread that execs is reported under its leader's id: the old one is looked up, too.
    fn purpose_of(&mut self, pid: Pid, event: Event) -> Option<Purpose> {
        if event == Event::Exec
            && let Some(former) = ptrace::event_message(pid)
            && former != pid
            && let Some(traced) = self.traced.remove(&former)
        {
            self.insert(pid, traced);
        }
        self.traced.get(&pid).map(|traced| traced.purpose)
    }

    /// Whether the process has reported that it execs. The first one is traced before that.
    fn is_reported(&self, pid: Pid) -> bool {
        self.traced.get(&pid).is_some_and(Traced::is_reported)
    }

    fn inject(&mut self, pid: Pid, by: FileBy) {
        let Settings { payload, announce, tokens, .. } = self.settings;
        let injected = match self.is_confined_at_start(pid) {
            Ok(true) => Err(Error::Confined { pid }),
            Ok(false) => exec::inject(pid, payload, by, *announce, tokens.of(pid)),
            Err(error) => Err(error),
        };
        let lost = privilege::lost(pid);
        if let Some(privilege) = lost {
            (self.settings.notice)(&Notice::Unprivileged { pid, privilege });
        }
        match injected {
            Ok(()) => {}
            Err(error) => {
                let program = self.traced.get_mut(&pid).and_then(|traced| traced.program.take());
                self.untouched(pid, program, error);
            }
        }
        self.release(pid);
    }

    /// [`is_confined`](Self::is_confined) of one that stands at its first instruction.
    fn is_confined_at_start(&self, pid: Pid) -> Result<bool> {
        // Mostly there is no such filter, and no need to know the kind.
        let is_any = ABIS.iter().any(|abi| self.in_flight.confined_from(abi).is_some());
        Ok(is_any && self.is_confined(pid, exec::abi_at_start(pid)?))
    }

    /// Whether the program, of that kind, may have a filter of its own that does not let a stub do its work.
    fn is_confined(&self, pid: Pid, abi: &Abi) -> bool {
        let Some(confined_from) = self.in_flight.confined_from(abi) else { return false };
        foreign::filters_of(pid).is_none_or(|filters| filters >= confined_from)
    }

    fn release(&mut self, pid: Pid) {
        // Done with before the tracer lets go: nobody has to do it again.
        self.forget(pid);
        ptrace::detach(pid);
    }

    fn insert(&mut self, pid: Pid, traced: Traced) {
        let slot = traced.slot;
        if let Some(before) = self.traced.insert(pid, traced)
            && before.slot != slot
        {
            self.free(before.slot);
        }
    }

    fn forget(&mut self, pid: Pid) {
        if let Some(traced) = self.traced.remove(&pid) {
            self.free(traced.slot);
        }
    }

    fn free(&self, slot: Option<SlotIndex>) {
        if let Some(slot) = slot {
            self.in_flight.slot(slot).clear();
        }
        self.in_flight.note_progress();
    }

    fn let_go_of_stranger(&mut self, pid: Pid) {
        let purpose = Purpose::Stranger;
        self.insert(pid, Traced { purpose, slot: None, program: None, look: Look::new() });
        let _ = ptrace::interrupt(pid);
    }

    /// Says that a program runs on the host's clock, or ends it.
    pub fn untouched(&self, pid: Pid, program: Option<OsString>, error: Error) {
        if !matches!(error, Error::Gone { .. }) {
            self.end_if_asked(pid);
            self.tell_untouched(pid, program, error);
        }
    }

    fn end_if_asked(&self, pid: Pid) {
        if self.settings.on_host_clock == OnHostClock::End {
            self.in_flight.note_ended();
            let _ = kill(pid, Signal::SIGKILL);
        }
    }

    fn tell_untouched(&self, pid: Pid, program: Option<OsString>, error: Error) {
        (self.settings.notice)(&match self.settings.on_host_clock {
            OnHostClock::Tell => Notice::Untouched { pid, program, error },
            OnHostClock::End => Notice::Ended { pid, program, error },
        });
    }
}

// What a tracer that was killed has left.
impl Tracer<'_> {
    /// `dead`, a process of this launch, was killed, and another takes over whom it traced.
    pub fn succeed(&mut self, dead: Pid) {
        self.dead.push(dead);
    }

    /// Takes over whom `dead`, a process of this launch, traced when it was killed, and whom a former one
    /// left that it had not come to itself.
    pub fn adopt(&mut self, dead: Pid, listener: Option<BorrowedFd<'_>>) {
        self.succeed(dead);
        let in_flight = self.in_flight;
        for report in in_flight.taken() {
            let slot = in_flight.slot(report.slot);
            match (report.call, slot.tracer()) {
                (_, Some((tracer, _))) if tracer != dead && is_alive(tracer) => {}
                // It had not come to the answer: whoever receives reports does it again.
                (_, Some(_)) if listener.is_some_and(|fd| is_waiting(fd, report)) => {
                    slot.hand_back()
                }
                (Call::Exec { .. }, Some((_, process))) => self.adopt_exec(report, process),
                _ => {}
            }
        }
    }

    fn adopt_exec(&mut self, report: Report, process: Pid) {
        // Once a thread has exec'd it has its leader's number.
        let seized = match self.seize(report.pid) {
            Err(Error::Gone { .. }) if process != report.pid => {
                self.seize(process).map(|()| process)
            }
            seized => seized.map(|()| report.pid),
        };
        let slot = self.in_flight.slot(report.slot);
        match seized {
            Ok(pid) => {
                slot.hand_to(Pid::this(), process);
                let has_begun = slot.kept().is_some() || self.has_begun_without(pid);
                let purpose =
                    if has_begun { Purpose::Repair } else { Purpose::Exec(FileBy::Request) };
                let (program, look) = (slot.name(), Look::new());
                self.insert(pid, Traced { purpose, slot: Some(report.slot), program, look });
                if has_begun {
                    let _ = ptrace::interrupt(pid);
                }
            }
            Err(error) => {
                let program = slot.name();
                slot.clear();
                let error = match error {
                    // Meanwhile it has begun, and ended.
                    Error::Gone { .. } => Error::TracerKilled { pid: process },
                    error => error,
                };
                self.untouched(process, program, error);
            }
        }
    }

    /// Whether a process is out of `execve`, without the image. Below this launch, whoever execs has it or is
    /// one of ours; what begins does not have it yet.
    fn has_begun_without(&self, pid: Pid) -> bool {
        let is_old = has_image(pid, self.settings.payload) || is_one_of_us(pid);
        !is_old && !is_in_execve(pid)
    }

    /// The supervisor of a program that nobody follows was killed, and `progress` tells what it had dealt
    /// with: one that it had not given its image runs on the host's clock.
    pub fn unless_injected(&self, program: Pid, progress: u64) {
        if progress == 0 && !has_image(program, self.settings.payload) {
            self.untouched(program, None, Error::TracerKilled { pid: program });
        }
    }

    /// The program has begun without the image: it is given it now.
    fn repair(&mut self, pid: Pid, serve: &mut dyn FnMut()) {
        let Settings { payload, tokens, on_host_clock, .. } = self.settings;
        if exec::stands_at_its_start(pid) {
            return self.inject(pid, FileBy::Request);
        }
        // What it has read of the host's clock meanwhile cannot be taken back.
        let repaired = match on_host_clock {
            OnHostClock::End => Err(Error::TracerKilled { pid }),
            // Those of other kinds are not repaired.
            OnHostClock::Tell if ABIS.first().is_some_and(|abi| self.is_confined(pid, abi)) => {
                Err(Error::Confined { pid })
            }
            OnHostClock::Tell => {
                let slot = self.traced.get(&pid).and_then(|traced| traced.slot);
                let slot = slot.map(|index| self.in_flight.slot(index));
                let keep = |kept: &Kept| slot.iter().for_each(|slot| slot.keep(kept));
                let memo = Memo { keep: &keep, kept: slot.and_then(Slot::kept) };
                exec::inject_running(pid, payload, tokens.of(pid), &memo, serve)
            }
        };
        let program = self.traced.get_mut(&pid).and_then(|traced| traced.program.take());
        match repaired {
            Ok(Repaired::Injected) => (self.settings.notice)(&Notice::Late { pid, program }),
            Ok(Repaired::WasInjected) => {}
            Err(error) => self.untouched(pid, program, error),
        }
        self.release(pid);
    }
}

// Calls of `execve` that have failed.
impl Tracer<'_> {
    /// When to call [`look`](Self::look) next.
    pub fn looks_at(&self) -> Option<Instant> {
        let reported = self.traced.values().filter(|traced| traced.is_reported());
        reported.map(|traced| traced.look.next).min()
    }

    /// Looks for processes whose `execve` has failed, to let go of them.
    pub fn look(&mut self) {
        if self.traced.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut no_longer_needed = Vec::new();
        for (&pid, traced) in &mut self.traced {
            if !traced.is_reported() || now < traced.look.next {
                continue;
            }
            let mut longest = Look::LONGEST;
            if matches!(traced.purpose, Purpose::Exec(_) | Purpose::Failed) {
                match whereabouts(pid, &mut traced.look) {
                    // It stops, which is heard of.
                    Whereabouts::Interruptible => {
                        let _ = ptrace::interrupt(pid);
                    }
                    Whereabouts::InCall => {
                        traced.purpose = Purpose::Failed;
                        no_longer_needed.extend(traced.slot.take());
                        longest = Look::LONGEST_OF_FAILED;
                    }
                    Whereabouts::MaybeInExecve => {}
                }
            }
            traced.look.again(longest);
        }
        for slot in no_longer_needed {
            self.free(Some(slot));
        }
    }
}

/// Whether a process has not ended yet.
fn is_alive(pid: Pid) -> bool {
    proc::state(pid).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// Waits until a process that is being killed has ended, and the kernel has let go of whom it traced. Asleep:
/// it may need this processor for that.
fn wait_for_end(pid: Pid) {
    const LONGEST: Duration = Duration::from_secs(1);
    const INTERVAL: Duration = Duration::from_millis(1);
    if let Some(fd) = proc::open(pid) {
        let timeout = PollTimeout::try_from(LONGEST).unwrap_or(PollTimeout::MAX);
        let _ = poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout);
        return;
    }
    // Before Linux 5.3, or it is gone.
    let start = Instant::now();
    while is_alive(pid) && start.elapsed() < LONGEST {
        std::thread::sleep(INTERVAL);
    }
}

/// Whether the image's file is mapped in a process.
fn has_image(pid: Pid, payload: &Payload) -> bool {
    Memory::of(pid).has_mapping_of(payload.file.identity()).unwrap_or(false)
}

/// The process that a thread belongs to.
fn leader_of(thread: Pid) -> Pid {
    // SAFETY: sends nothing; it only fails where the thread is not the leader of its process.
    let is_leader =
        unsafe { libc::syscall(libc::SYS_tgkill, thread.as_raw(), thread.as_raw(), 0) } == 0;
    if is_leader { thread } else { proc::status(thread, "Tgid").map_or(thread, Pid::from_raw) }
}

/// Whether a launch within this one has the process: it gets a clock, though not from here.
fn is_traced_by_one_of_us(pid: Pid) -> bool {
    tracer_of(pid).is_some_and(is_one_of_us)
}

fn tracer_of(pid: Pid) -> Option<Pid> {
    proc::status(pid, "TracerPid").filter(|&tracer| tracer != 0).map(Pid::from_raw)
}

/// Whether a process is one of a launch's own, of whichever launch: these alone may write to the pages of
/// clocks.
pub fn is_one_of_us(pid: Pid) -> bool {
    let maps = std::fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
    let is_own_page = |line: &&[u8]| {
        let Ok(line) = std::str::from_utf8(line) else { return false };
        let mut fields = line.split_ascii_whitespace().skip(1);
        fields.next() == Some("rw-s")
            && fields.nth(3).is_some_and(|path| path.starts_with("/memfd:vdso-"))
    };
    maps.split(|&byte| byte == b'\n').any(|line| is_own_page(&line))
}
