//! Programs on their way through `execve`: traced from the report of the call until they begin with the
//! image.
//!
//! Nothing interrupts a program in the call itself: a file system that waits for a server would give it
//! up (`EINTR`). So a call that fails is not seen at once. Such a process is traced, which it does not
//! notice, until it is found to do something else: `failed`. What a tracer that was killed has left: `left`. And who
//! has reported a call that its image is to make: `detours`. Programs that somebody else traces get no image: `elsewhere`.

mod detours;
mod elsewhere;
mod failed;
mod left;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vdso_host::proc::Status;

use super::foreign;
use super::in_flight::{InFlight, SlotIndex};
use super::listener::Listener;
use super::notice::{Notice, OnHostClock};
use super::report::Report;
use super::settings::Settings;
use super::target::Target;
use super::whereabouts::Look;
use crate::privilege;
use detours::FrequentSites;
use elsewhere::TracedElsewhere;
pub use elsewhere::is_traced_elsewhere;
pub use left::is_one_of_us;
use left::{is_alive, is_traced_by_one_of_us, tracer_of, wait_for_end};
use vdso_inject::arch::{ABIS, Abi};
use vdso_inject::detour::{self, Detour};
use vdso_inject::exec::{self, FileBy};
use vdso_inject::ptrace::{Detached, News, Seized, Stop, Stopped, Told, Until};
use vdso_inject::stub;
use vdso_inject::{Error, Result};

/// Those that this process traces.
pub struct Tracer<'a> {
    settings: &'a Settings<'a>,
    in_flight: &'a InFlight,
    traced: HashMap<Pid, (Seized, Traced)>,
    /// Processes that cannot be traced, with what they wanted to execute last, if that can be read.
    told: HashMap<Pid, Option<OsString>>,
    frequent: FrequentSites,
    elsewhere: TracedElsewhere,
    /// Predecessors that were killed. The kernel lets go of whom they traced a little later.
    dead: Vec<Pid>,
}

/// What is known of one of them.
#[derive(Debug)]
struct Traced {
    purpose: Purpose,
    slot: Option<SlotIndex>,
    /// What it wants to execute.
    program: Option<OsString>,
    look: Look,
}

impl Traced {
    fn new(purpose: Purpose) -> Self {
        Self { purpose, slot: None, program: None, look: Look::new() }
    }

    fn reported(purpose: Purpose, slot: SlotIndex, program: Option<OsString>) -> Self {
        Self { purpose, slot: Some(slot), program, look: Look::new() }
    }

    /// Whether it has reported an `execve` of which it is not known that it has succeeded. The first program
    /// is traced before its report.
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
    /// It waits, by a call of its image's, which lies between these addresses, until a time of a clock that was set.
    TranslateAnew(u64, u64),
    /// By mistake: the process that was meant has ended.
    Stranger,
}

/// Whether news was of a process that is traced here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was, and has been dealt with.
    Dealt,
    /// It is for whoever else waits for this process's children.
    OfChild {
        /// The child that the news are of.
        pid: Pid,
        /// The status, as `waitpid` gives it.
        status: i32,
    },
}

/// Whether it is known that a number is a reporter's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It is, as the thread was traced before: its number has not become another's.
    Traced,
    /// It may have become another's since the report.
    No,
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
        let (frequent, elsewhere) = (FrequentSites::default(), TracedElsewhere::default());
        let (traced, told, dead) = (HashMap::new(), HashMap::new(), Vec::new());
        Self { settings, in_flight, traced, told, frequent, elsewhere, dead }
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
        self.insert(Seized::seize(pid)?, Traced::new(Purpose::Exec(by)));
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
        let seized = self.seize_reporter(report);
        match seized {
            Ok((thread, Known::No)) if listener.is_gone(report) => {
                // The number may be another process's by now.
                self.let_go_of_stranger(thread);
                self.in_flight.slot(report.slot).clear();
                Followed::Untraced
            }
            Ok((thread, _)) => {
                self.elsewhere.forget(pid);
                let slot = self.in_flight.slot(report.slot);
                slot.set_name(target.name.as_deref());
                slot.hand_to(Pid::this(), leader_of(pid));
                let purpose = Purpose::Exec(FileBy::Request);
                let traced = Traced::reported(purpose, report.slot, target.name.clone());
                self.insert(thread, traced);
                listener.carry_on(report);
                Followed::Traced
            }
            Err(error) => {
                // It has ended, or has a clock already.
                let is_news = !listener.is_gone(report) && !is_traced_by_one_of_us(pid);
                let is_left = is_news && self.is_left_to_tracer(report, target);
                // Ended before it goes on, if at all; told of when it may have its new name.
                if is_news && !is_left {
                    self.end_if_asked(pid);
                }
                listener.carry_on(report);
                self.in_flight.slot(report.slot).clear();
                if is_news && !is_left && !self.is_told(pid, target) {
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

    /// The thread that has made a report. It may be traced already, by an exec that failed and was not seen to.
    fn seize_reporter(&mut self, report: Report) -> Result<(Seized, Known)> {
        match self.traced.remove(&report.pid) {
            Some((thread, before)) => {
                self.free(before.slot.filter(|&slot| slot != report.slot));
                Ok((thread, Known::Traced))
            }
            None => self.seize(report.pid).map(|thread| (thread, Known::No)),
        }
    }

    /// As soon as the kernel has let go of it, if a process that was killed traces it.
    fn seize(&self, pid: Pid) -> Result<Seized> {
        let refused = match Seized::seize(pid) {
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
        match Seized::seize(pid) {
            Err(_) if !is_alive(pid) => Err(Error::Gone { pid }),
            seized => seized,
        }
    }

    /// Whether another thread of the process is traced on its way through `execve`. An exec ends all other
    /// threads, and waits for the end of those that are traced until their tracer has heard of it; meanwhile
    /// it keeps the tracer waiting that wants to trace one more.
    pub fn has_traced_thread_beside(&self, pid: Pid) -> bool {
        let is_beside = |(&other, (_, traced)): (&Pid, &(Seized, Traced))| {
            other != pid
                && traced.purpose != Purpose::Failed
                && std::fs::exists(format!("/proc/{pid}/task/{other}")).unwrap_or(false)
        };
        self.traced.iter().any(is_beside)
    }

    /// Takes away the stub of whoever reports that it could not do its work, for this reason.
    pub fn rescue(&mut self, report: Report, listener: &Listener<'_>, reason: u64) {
        let pid = report.pid;
        let seized = Seized::seize(pid);
        let is_gone = listener.is_gone(report);
        match seized {
            // Stopped before it returns to the stub, which would then begin the program by itself.
            Ok(thread) if !is_gone && thread.interrupt().is_ok() => {
                self.insert(thread, Traced::new(Purpose::Rescue));
            }
            Ok(thread) => self.let_go_of_stranger(thread),
            Err(_) => {}
        }
        if !is_gone {
            self.untouched(pid, None, stub::failure(pid, reason));
        }
        listener.refuse(report, Errno::ENOMEM);
    }

    /// Hears news. Meanwhile `serve` is called where a program asks for the image's file, which somebody has
    /// to answer.
    pub fn hear(&mut self, news: News, serve: &mut dyn FnMut()) -> Heard {
        let (pid, status) = (news.pid(), news.status());
        let of_child = Heard::OfChild { pid, status };
        let Some((thread, traced)) = self.take(&news) else { return of_child };
        match thread.heard(news) {
            Told::Stopped(thread) => self.deal_with(thread, traced, serve),
            Told::Running(thread) => {
                self.insert(thread, traced);
                of_child
            }
            Told::Ended(_) => {
                self.free(traced.slot);
                // It had begun, and ended before anything could be done about it.
                if traced.purpose == Purpose::Repair {
                    self.untouched(pid, traced.program, Error::TracerKilled { pid });
                }
                of_child
            }
        }
    }

    /// A thread that execs is reported under its leader's id: it is known by the old one.
    fn take(&mut self, news: &News) -> Option<(Seized, Traced)> {
        let by_former_id = news.former_id().and_then(|former| self.traced.remove(&former));
        if by_former_id.is_some() {
            self.forget(news.pid());
        }
        by_former_id.or_else(|| self.traced.remove(&news.pid()))
    }

    fn deal_with(&mut self, mut thread: Stopped, traced: Traced, serve: &mut dyn FnMut()) -> Heard {
        match (thread.stop(), traced.purpose) {
            (Stop::Exec, Purpose::Exec(by)) => self.inject(thread, traced, by),
            (Stop::Exec, Purpose::Repair) => self.inject(thread, traced, FileBy::Request),
            (Stop::Interrupt | Stop::Group, Purpose::Repair) => self.repair(thread, traced, serve),
            (Stop::Interrupt | Stop::Group, Purpose::Rescue) => {
                if let Err(error) = exec::rescue(&mut thread) {
                    self.untouched(thread.tid(), None, error);
                }
                self.release(thread, traced)
            }
            (Stop::Interrupt | Stop::Group, Purpose::Detour(to)) => {
                self.divert(thread, traced, &to)
            }
            (Stop::Interrupt | Stop::Group, Purpose::TranslateAnew(start, end)) => {
                // Elsewhere: its wait has ended.
                let _ = detour::translate_anew(&mut thread, &(start..end));
                self.release(thread, traced)
            }
            // The exec failed, and the program goes on; or it was stopped like any other.
            (Stop::Interrupt | Stop::Group | Stop::Exec, _) => self.release(thread, traced),
            // It is out of execve.
            (_, Purpose::Exec(_) | Purpose::Failed) if traced.is_reported() => {
                self.release(thread, traced)
            }
            _ => {
                self.insert(thread.resume(Until::Event), traced);
                Heard::Dealt
            }
        }
    }

    fn inject(&mut self, mut thread: Stopped, mut traced: Traced, by: FileBy) -> Heard {
        let Settings { payload, announce, tokens, .. } = self.settings;
        let pid = thread.tid();
        let injected = match self.is_confined_at_start(&thread) {
            Ok(true) => Err(Error::Confined { pid }),
            Ok(false) => exec::inject(&mut thread, payload, by, *announce, tokens.of(pid)),
            Err(error) => Err(error),
        };
        let lost = privilege::lost(pid);
        if let Some(privilege) = lost {
            (self.settings.notice)(&Notice::Unprivileged { pid, privilege });
        }
        if let Err(error) = injected {
            self.untouched(pid, traced.program.take(), error);
        }
        self.release(thread, traced)
    }

    /// [`is_confined`](Self::is_confined) of one that stands at its first instruction.
    fn is_confined_at_start(&self, thread: &Stopped) -> Result<bool> {
        // Mostly there is no such filter, and no need to know the kind.
        let is_any = ABIS.iter().any(|abi| self.in_flight.confined_from(abi).is_some());
        Ok(is_any && self.is_confined(thread.tid(), exec::abi_at_start(thread)?))
    }

    /// Whether the program, of that kind, may have a filter of its own that does not let a stub do its work.
    fn is_confined(&self, pid: Pid, abi: &Abi) -> bool {
        let Some(confined_from) = self.in_flight.confined_from(abi) else { return false };
        foreign::filters_of(pid).is_none_or(|filters| filters >= confined_from)
    }

    /// Ends tracing. Of a program that has ended while it was worked on, somebody else wants to hear.
    fn release(&mut self, thread: Stopped, traced: Traced) -> Heard {
        let pid = thread.tid();
        // Done with before the tracer lets go: nobody has to do it again.
        self.free(traced.slot);
        match thread.detach() {
            Detached::Ended(Some(status)) => Heard::OfChild { pid, status },
            // What is dying has yet to tell its end, which is news of a child's.
            Detached::Free | Detached::Dying(_) | Detached::Ended(None) => Heard::Dealt,
        }
    }

    fn insert(&mut self, thread: Seized, traced: Traced) {
        let slot = traced.slot;
        if let Some((_, before)) = self.traced.insert(thread.tid(), (thread, traced))
            && before.slot != slot
        {
            self.free(before.slot);
        }
    }

    fn forget(&mut self, pid: Pid) {
        if let Some((_, traced)) = self.traced.remove(&pid) {
            self.free(traced.slot);
        }
    }

    fn free(&self, slot: Option<SlotIndex>) {
        if let Some(slot) = slot {
            self.in_flight.slot(slot).clear();
        }
        self.in_flight.note_progress();
    }

    fn let_go_of_stranger(&mut self, thread: Seized) {
        let _ = thread.interrupt();
        self.insert(thread, Traced::new(Purpose::Stranger));
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

/// The process that a thread belongs to.
fn leader_of(thread: Pid) -> Pid {
    // SAFETY: sends nothing; it only fails where the thread is not the leader of its process.
    let is_leader =
        unsafe { libc::syscall(libc::SYS_tgkill, thread.as_raw(), thread.as_raw(), 0) } == 0;
    if is_leader {
        return thread;
    }
    let leader = Status::read(thread).ok().and_then(|status| status.number("Tgid"));
    leader.map_or(thread, Pid::from_raw)
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
