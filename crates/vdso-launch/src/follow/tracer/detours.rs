//! Threads that have reported a call which their image is to make: stopped for a moment, and sent there.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::ops::Range;

use nix::unistd::Pid;
use vdso_data::detour::NO_TIMER;
use vdso_inject::arch::TimedCall;
use vdso_inject::call_site::{self, Unfit};
use vdso_inject::detour::{self, CallSites, Detour, Diverted};
use vdso_inject::ptrace::Stopped;

use super::{Followed, Heard, Known, Purpose, Traced, Tracer};
use crate::follow::listener::Listener;
use crate::follow::notice::{Notice, called};
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
    /// Threads that could not be sent to their image, as they would not come back. They report the call anew, and the kernel
    /// makes it then.
    without_way_back: HashSet<Pid>,
}

/// How much is remembered of each.
const MOST: usize = 4096;

impl Tracer<'_> {
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
        if self.frequent.without_way_back.remove(&pid) {
            let notice = Notice::NoWayBack { pid, call: call.name };
            self.tell_of_wait(pid, &notice);
            listener.carry_on(report);
            self.in_flight.slot(report.slot).clear();
            return Followed::Untraced;
        }
        let place = self.place(report, call, args, instruction_addr);
        let seized = place.and_then(|to| {
            let (thread, known) = self.seize_reporter(report).ok()?;
            Some((to, thread, known))
        });
        match seized {
            Some((to, thread, known))
                if (known == Known::Traced || !listener.is_gone(report))
                    && thread.interrupt().is_ok() =>
            {
                self.insert(thread, Traced::reported(Purpose::Detour(to), report.slot, None));
                listener.restart(report);
                Followed::Traced
            }
            seized => {
                if place.is_some() && !listener.is_gone(report) {
                    self.tell_of_wait(pid, &Notice::HostWait { pid, call: call.name });
                }
                if let Some((_, thread, _)) = seized {
                    self.let_go_of_stranger(thread);
                }
                listener.carry_on(report);
                self.in_flight.slot(report.slot).clear();
                Followed::Untraced
            }
        }
    }

    /// Says why a thread cannot be sent to its image.
    fn tell_of_wait(&mut self, pid: Pid, notice: &Notice) {
        let told = &mut self.frequent.told_of;
        if told.len() < MOST && told.insert(called(pid)) {
            (self.settings.notice)(notice);
        }
    }

    /// Where it is to be sent; `None` if its process has no image of this launch's, or its timer no clock that is moved.
    fn place(
        &mut self,
        report: Report,
        call: &TimedCall,
        args: &[u64; 6],
        instruction_addr: u64,
    ) -> Option<Detour> {
        let pid = report.pid;
        let timer_clock = timers::clock(pid, call, args)?;
        let before = self.frequent.detour_addrs.get(&pid).copied();
        let detour_addr =
            detour::find(pid, report.abi()?, self.settings.payload, before, instruction_addr)?;
        if self.frequent.detour_addrs.len() >= MOST {
            self.frequent.detour_addrs.clear();
        }
        self.frequent.detour_addrs.insert(pid, detour_addr);
        Some(Detour { number: call.number, instruction_addr, detour_addr, timer_clock })
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
            Ok(Diverted::NoWayBack) => {
                self.frequent.without_way_back.insert(thread.tid());
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
