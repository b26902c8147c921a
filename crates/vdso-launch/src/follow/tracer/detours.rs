//! Threads that have reported a call which their image is to make: stopped for a moment, and sent there. Where that cannot be
//! done the supervisor answers, if it can.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::ops::Range;

use nix::unistd::Pid;
use vdso_data::detour::NO_TIMER;
use vdso_inject::arch::{TimedCall, Times};
use vdso_inject::call_site::{self, Unfit};
use vdso_inject::detour::{self, CallSites, Detour, Diverted, Maker};
use vdso_inject::ptrace::Stopped;

use super::{Followed, Heard, Known, Purpose, Traced, Tracer};
use crate::follow::listener::Listener;
use crate::follow::notice::{NoDetour, Notice, called};
use crate::follow::report::Report;
use crate::follow::timers;

/// What is remembered of reports, to do less at the next one. Any of it may be forgotten.
#[derive(Debug, Default)]
pub struct FrequentSites {
    /// Where threads went on: another process may have the number by now.
    detour_addrs: HashMap<Pid, u64>,
    /// How often call sites have reported: by the addresses of their image's detour, and behind their instruction.
    reports: HashMap<(u64, u64), u32>,
    /// Programs whose waits somebody keeps from being sent to their image, by what they are called.
    told_of: HashSet<OsString>,
    /// Threads that could not be sent to their image, as their stack may be too small. They report the call anew, and get the
    /// supervisor's answer then, or the kernel makes it.
    without_room: HashSet<Pid>,
}

/// How much is remembered of each.
const MOST: usize = 4096;

/// What the supervisor gives as a call's result, in the kernel's and the image's place; `None` if it cannot.
pub type Answer<'a> = &'a dyn Fn() -> Option<i64>;

/// Who makes a call that was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The image, where the thread is to be sent.
    Image(Detour),
    /// The supervisor, or else the kernel, by the host's clock.
    Supervisor(NoDetour),
    /// The kernel.
    Kernel,
}

impl Tracer<'_> {
    /// Has the image make a call that a thread has reported; where that cannot be done it gets the supervisor's answer, and
    /// where there is none the kernel makes the call as it is.
    pub fn detour(
        &mut self,
        report: Report,
        listener: &Listener<'_>,
        call: &TimedCall,
        args: &[u64; 6],
        instruction_addr: u64,
        answer: Answer<'_>,
    ) -> Followed {
        let why = match self.place(report, call, args, instruction_addr) {
            Place::Image(to) => match self.send(report, listener, to) {
                Followed::Traced => return Followed::Traced,
                Followed::Untraced => Some(NoDetour::Traced),
            },
            Place::Supervisor(why) => Some(why),
            Place::Kernel => None,
        };
        let why = why.filter(|_| !listener.is_gone(report));
        match why.and_then(|_| answer()) {
            Some(result) => listener.answer(report, result),
            None => {
                if let Some(why) = why {
                    self.tell_of_wait(report.pid, call, why);
                }
                listener.carry_on(report);
            }
        }
        self.in_flight.slot(report.slot).clear();
        Followed::Untraced
    }

    /// Stops a thread to send it there, and answers its report so that its call is made there.
    fn send(&mut self, report: Report, listener: &Listener<'_>, to: Detour) -> Followed {
        match self.seize_reporter(report) {
            Ok((thread, known))
                if (known == Known::Traced || !listener.is_gone(report))
                    && thread.interrupt().is_ok() =>
            {
                self.insert(thread, Traced::reported(Purpose::Detour(to), report.slot, None));
                listener.restart(report);
                Followed::Traced
            }
            Ok((thread, _)) => {
                self.let_go_of_stranger(thread);
                Followed::Untraced
            }
            Err(_) => Followed::Untraced,
        }
    }

    /// Says that a thread cannot be sent to its image. Of what it asks there is nothing to be said.
    fn tell_of_wait(&mut self, pid: Pid, call: &TimedCall, why: NoDetour) {
        if matches!(call.times, Times::Now { .. }) {
            return;
        }
        let told = &mut self.frequent.told_of;
        if told.len() < MOST && told.insert(called(pid)) {
            (self.settings.notice)(&Notice::HostWait { pid, call: call.name, why });
        }
    }

    /// Who can make it.
    fn place(
        &mut self,
        report: Report,
        call: &TimedCall,
        args: &[u64; 6],
        instruction_addr: u64,
    ) -> Place {
        let pid = report.pid;
        let (Some(timer_clock), Some(abi)) = (timers::clock(pid, call, args), report.abi()) else {
            return Place::Kernel;
        };
        let before = self.frequent.detour_addrs.get(&pid).copied();
        if self.frequent.without_room.remove(&pid) {
            return Place::Supervisor(NoDetour::SmallStack);
        }
        let payload = self.settings.payload;
        match detour::find(pid, abi, payload, before, call, instruction_addr) {
            Maker::Image(detour_addr) => {
                if self.frequent.detour_addrs.len() >= MOST {
                    self.frequent.detour_addrs.clear();
                }
                self.frequent.detour_addrs.insert(pid, detour_addr);
                let number = call.number;
                Place::Image(Detour { number, instruction_addr, detour_addr, timer_clock })
            }
            Maker::Kernel => Place::Kernel,
            Maker::NoImage if self.makes_calls(pid) => Place::Supervisor(NoDetour::Traced),
            Maker::NoImage => Place::Kernel,
            Maker::Unmapped => Place::Supervisor(NoDetour::Unmapped),
        }
    }

    /// Has those translate their deadline anew that wait until a time of a clock which was set, in calls of their images,
    /// which lie there.
    pub fn translate_anew(&mut self, waiting: Vec<(Pid, Range<u64>)>) {
        for (pid, image) in waiting {
            // Whom somebody else traces waits on.
            if self.traced.contains_key(&pid) {
                continue;
            }
            let Ok(thread) = self.seize(pid) else { continue };
            let _ = thread.interrupt();
            self.insert(thread, Traced::new(Purpose::TranslateAnew(image.start, image.end)));
        }
    }

    /// Sends it there from its stop.
    pub(super) fn divert(&mut self, mut thread: Stopped, traced: Traced, to: &Detour) -> Heard {
        match detour::divert(&mut thread, to) {
            Ok(Diverted::NoRoom) => {
                self.frequent.without_room.insert(thread.tid());
            }
            // Elsewhere, or gone: the call is reported anew, or nobody is there to make it.
            Ok(Diverted::Sent | Diverted::Elsewhere) | Err(_) => {
                self.rewrite_if_frequent(&mut thread, to);
            }
        }
        self.release(thread, traced)
    }

    /// A call site that reports again and again is made to jump to the image, if that can be done.
    fn rewrite_if_frequent(&mut self, thread: &mut Stopped, to: &Detour) {
        const FREQUENT: u32 = 3;
        const UNFIT: u32 = u32::MAX;
        if self.settings.payload.detours.call_sites == CallSites::Kept || to.timer_clock != NO_TIMER
        {
            return;
        }
        if self.frequent.reports.len() >= MOST {
            self.frequent.reports.clear();
        }
        // The image's address is another in each program.
        let site = (to.detour_addr, to.instruction_addr);
        let reports = self.frequent.reports.entry(site).or_default();
        if *reports == UNFIT {
            return;
        }
        *reports = reports.saturating_add(1).min(FREQUENT);
        if *reports < FREQUENT {
            return;
        }
        // Processes that were forked before have the same addresses, and each a copy of its own.
        match call_site::rewrite(thread, to) {
            // It has been rewritten since another thread's report; or it is this process's memory that cannot be written.
            Ok(()) | Err(Unfit::Instruction | Unfit::Memory(_)) => {}
            // It goes on reporting.
            Err(_) => *reports = UNFIT,
        }
    }
}
