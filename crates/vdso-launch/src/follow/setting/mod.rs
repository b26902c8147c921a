//! A program sets the clock: its own, which all programs of the launch share, and never the host's.
//!
//! The supervisor answers such a call in the kernel's place: with the kernel's checks, and its permissions unless the launch
//! gives them to anybody. A change is made by one store to memory that all processes of the launch share
//! ([`KeptClock`]), with the number of the report; whoever finds that report unanswered publishes what is kept, and
//! answers, but does not make the change once more.

mod memory;
mod waits;

use nix::errno::Errno;
use nix::unistd::Pid;
use vdso_data::arithmetic::{Rate, Timespec, Transform};
use vdso_data::clock;
use vdso_data::gettimeofday::Timezone;
use vdso_data::own::OwnPage;
use vdso_host::by_call::read;
use vdso_host::proc::Status;
use vdso_inject::arch::{Clock, Setter, TimedCall, Times, Word};
use vdso_inject::detour;
use vdso_inject::exec::Payload;
use vdso_timekeeper::settable::{ADJ_SETOFFSET, Refusal, Settable, State, Timex, is_time};
use vdso_timekeeper::{How, Moved};

use super::in_flight::{KeptClock, LastSet};
use super::report::Report;
use memory::TimesOf;

use waits::Timers;
pub use waits::waiting_on_set_clocks;

/// The clock of a launch's programs, as they set it.
pub struct OwnClock<'a> {
    kept: &'a KeptClock,
    last: LastSet,
    /// Of all clocks; those that are set are replaced.
    launch: [Transform; clock::LINES],
    setting: detour::Setting,
    payload: &'a Payload,
    jump: Option<Jump>,
}

/// The clock is about to be somewhere else.
struct Jump {
    before: Transform,
    timers: Timers,
}

/// Who sets a clock.
pub struct Caller<'a> {
    /// Its report.
    pub report: Report,
    /// The size of a number in the times that it gives.
    pub word: Word,
    /// Whether it has ended since.
    pub is_gone: &'a dyn Fn() -> bool,
}

impl Caller<'_> {
    fn memory(&self) -> TimesOf {
        TimesOf { pid: self.report.pid, word: self.word }
    }
}

/// What a call has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it gives: a state, zero, or an errno, negative.
    pub result: i64,
    /// Whether the clock is another now.
    pub change: Option<How>,
}

impl<'a> OwnClock<'a> {
    /// As the last one has set it, or as the payload's page has it from the launch.
    pub fn new(kept: &'a KeptClock, payload: &'a Payload) -> Self {
        let page: &OwnPage = payload.file.page();
        let launch =
            page.read(|| (), |(), lines| lines.each_ref().map(|line| line.load_transform()));
        let last = kept.load().unwrap_or_else(|| {
            let clock = as_launched(&launch);
            LastSet { clock, report_id: 0, result: 0 }
        });
        let setting = payload.detours.setting;
        Self { kept, last, launch, setting, payload, jump: None }
    }

    /// Whether anybody has set it.
    pub fn was_set(&self) -> bool {
        self.kept.load().is_some()
    }

    /// For the page's publisher.
    pub fn moved(&self, how: How) -> Moved {
        let transforms = self.last.clock.transforms(self.launch);
        Moved { transforms, zone: self.last.clock.zone(), how }
    }

    /// Does what a call asks for. Nothing is published yet.
    pub fn answer(&mut self, caller: &Caller<'_>, setter: Setter, args: &[u64; 6]) -> Answer {
        if self.last.report_id == caller.report.id {
            // A predecessor has made the change, and was killed.
            return Answer { result: self.last.result, change: Some(How::Set) };
        }
        if !self.was_set() {
            // Kept as right as the host's, of which something else may be so by now.
            self.last.clock = as_launched(&self.launch);
        }
        let [first, second, ..] = *args;
        let done = match setter {
            Setter::ClockSettime => self.settime(caller, second),
            Setter::Stime => self.stime(caller, first),
            Setter::Settimeofday => self.settimeofday(caller, first, second),
            Setter::Adjtimex => self.adjust(caller, first),
            Setter::ClockAdjtime => self.adjust(caller, second),
        };
        done.unwrap_or_else(|errno| {
            self.jump = None;
            Answer { result: -i64::from(errno as i32), change: None }
        })
    }

    /// Slews, and inserts seconds, where it is time for that.
    pub fn advance(&mut self) -> Option<How> {
        /// More than whoever slews does at once.
        const JUMP_NS: i128 = 100_000_000;
        let now = read(clock::REALTIME);
        let (before, mut clock) = (self.last.clock, self.last.clock);
        let has_changed = clock.advance(now);
        let jumps = clock.at(now).wrapping_sub(before.at(now)).as_nanos().abs() > JUMP_NS;
        if has_changed && jumps {
            self.prepare_jump();
        }
        self.last.clock = clock;
        if !has_changed {
            return None;
        }
        self.kept.store(&self.last);
        Some(if jumps { How::Set } else { How::Slewed })
    }

    /// When that is to be called next.
    pub fn wait_ns(&self) -> Option<u64> {
        self.last.clock.wait_ns(read(clock::REALTIME))
    }

    /// What a call that asks for the time is to give, by a thread that waits in its report of it; `None` if it tells more than
    /// a time.
    pub fn answer_now(&self, pid: Pid, call: &TimedCall, args: &[u64; 6]) -> Option<i64> {
        let Times::Now { clock, word } = call.times else { return None };
        let times = TimesOf { pid, word };
        match (clock, call.name) {
            (Clock::Argument(_), _) => self.answer_gettime(times, args[0] as u32, args[1]),
            (_, "gettimeofday" | "time") => Some(self.answer_time_of_day(times, call.name, args)),
            _ => None,
        }
    }

    fn answer_gettime(&self, times: TimesOf, asked: u32, time_addr: u64) -> Option<i64> {
        let id = clock::shown_by(asked);
        let transforms = self.last.clock.transforms(self.launch);
        let transform = transforms.get(id as usize)?;
        // Those that wake a machine are clocks of machines that have a timer for that.
        if asked != id && !memory::kernel_has(asked) {
            return Some(-i64::from(Errno::EINVAL as i32));
        }
        // As the image does: much may pass on such a clock between two ticks of the host's.
        let read_id = if transform.rate == Rate::ONE { id } else { clock::fine_twin(id) };
        let Timespec { sec, nsec } = transform.apply(read(read_id));
        let written = match time_addr {
            0 => Err(Errno::EFAULT),
            _ => times.write(time_addr, &[sec, nsec]),
        };
        Some(written.map_or_else(|errno| -i64::from(errno as i32), |()| 0))
    }

    /// What `gettimeofday` or `time` is to give that was called in the legacy vsyscall page.
    pub fn answer_vsyscall(&self, pid: Pid, name: &str, args: &[u64; 6]) -> i64 {
        self.answer_time_of_day(TimesOf::of_64_bits(pid), name, args)
    }

    fn answer_time_of_day(&self, times: TimesOf, name: &str, args: &[u64; 6]) -> i64 {
        let [first, second, ..] = *args;
        let written = if name == "time" {
            let Timespec { sec, .. } = self.last.clock.at(read(clock::REALTIME_COARSE));
            times.write(first, &[sec]).map(|()| sec)
        } else {
            let Timespec { sec, nsec } = self.last.clock.at(read(clock::REALTIME));
            let zone = self.last.clock.zone().unwrap_or_else(memory::host_zone);
            times
                .write(first, &[sec, nsec / 1_000])
                .and_then(|()| memory::write_zone(times.pid, second, zone))
                .map(|()| 0)
        };
        written.unwrap_or_else(|errno| -i64::from(errno as i32))
    }

    fn settime(&mut self, caller: &Caller<'_>, time_addr: u64) -> nix::Result<Answer> {
        let wanted = caller.memory().timespec(time_addr)?;
        self.set(caller, Some(wanted), None)
    }

    fn stime(&mut self, caller: &Caller<'_>, seconds_addr: u64) -> nix::Result<Answer> {
        let sec = caller.memory().seconds(seconds_addr)?;
        self.set(caller, Some(Timespec { sec, nsec: 0 }), None)
    }

    fn settimeofday(
        &mut self,
        caller: &Caller<'_>,
        time_addr: u64,
        zone_addr: u64,
    ) -> nix::Result<Answer> {
        let wanted = match time_addr {
            0 => None,
            addr => Some(caller.memory().timeval(addr)?),
        };
        let zone = match zone_addr {
            0 => None,
            addr => Some(memory::read_zone(caller.report.pid, addr)?),
        };
        self.set(caller, wanted, zone)
    }

    fn set(
        &mut self,
        caller: &Caller<'_>,
        wanted: Option<Timespec>,
        zone: Option<Timezone>,
    ) -> nix::Result<Answer> {
        // A time that is none is refused to everybody.
        if !wanted.is_none_or(is_time) {
            return Err(Errno::EINVAL);
        }
        self.check_permission(caller.report.pid)?;
        self.prepare_jump();
        let mut clock = self.last.clock;
        let now = read(clock::REALTIME);
        if let Some(wanted) = wanted {
            clock.set(now, wanted, self.monotonic()).map_err(errno_of)?;
        }
        if let Some(zone) = zone {
            clock.set_zone(zone).map_err(errno_of)?;
        }
        self.keep(caller, clock, 0)?;
        Ok(Answer { result: 0, change: Some(How::Set) })
    }

    fn adjust(&mut self, caller: &Caller<'_>, timex_addr: u64) -> nix::Result<Answer> {
        let mut timex: Timex = caller.memory().timex(timex_addr)?;
        if timex.is_refused_to_all() {
            return Err(Errno::EINVAL);
        }
        let only_asks = timex.only_asks();
        if !only_asks {
            self.check_permission(caller.report.pid)?;
        }
        let is_step = timex.modes & ADJ_SETOFFSET != 0;
        if is_step {
            self.prepare_jump();
        }
        let mut clock = self.last.clock;
        let state: State =
            clock.adjust(read(clock::REALTIME), &mut timex, self.monotonic()).map_err(errno_of)?;
        let result = state as i64;
        if !only_asks {
            self.keep(caller, clock, result)?;
        }
        let how = if is_step { How::Set } else { How::Slewed };
        let change = (!only_asks).then_some(how);
        // The clock has changed also where nobody can be told so.
        let told = caller.memory().write_timex(timex_addr, &timex);
        let result = told.map_or_else(|errno| -i64::from(errno as i32), |()| result);
        Ok(Answer { result, change })
    }

    fn prepare_jump(&mut self) {
        let before = self.realtime();
        self.jump = Some(Jump { before, timers: Timers::of_programs(self.payload) });
    }

    /// To be called when a jump is published: timers are set anew.
    pub fn finish_jump(&mut self) {
        if let Some(Jump { before, timers }) = self.jump.take() {
            timers.translate(&before, &self.realtime());
        }
    }

    /// How REALTIME is moved.
    fn realtime(&self) -> Transform {
        self.last.clock.transforms(self.launch)[clock::REALTIME as usize]
    }

    /// What MONOTONIC shows.
    fn monotonic(&self) -> Timespec {
        self.launch[clock::MONOTONIC as usize].apply(read(clock::MONOTONIC))
    }

    fn keep(&mut self, caller: &Caller<'_>, clock: Settable, result: i64) -> nix::Result<()> {
        // What was read may be another process's, which has its number by now.
        if (caller.is_gone)() {
            return Err(Errno::ESRCH);
        }
        self.last = LastSet { clock, report_id: caller.report.id, result };
        self.kept.store(&self.last);
        Ok(())
    }

    fn check_permission(&self, pid: Pid) -> nix::Result<()> {
        match self.setting {
            detour::Setting::Anybody => Ok(()),
            detour::Setting::Privileged if may_set_clocks(pid) => Ok(()),
            detour::Setting::Privileged => Err(Errno::EPERM),
        }
    }
}

/// A clock that nobody has set.
fn as_launched(launch: &[Transform; clock::LINES]) -> Settable {
    let realtime = launch[clock::REALTIME as usize];
    Settable::new(realtime, &memory::host_timex(), read(clock::REALTIME))
}

/// Whether a thread has `CAP_SYS_TIME`, in its own user namespace: it is a clock of its own.
fn may_set_clocks(pid: Pid) -> bool {
    const CAP_SYS_TIME: u32 = 25;
    let effective = Status::read(pid).ok().and_then(|status| status.set("CapEff"));
    effective.is_some_and(|set| set >> CAP_SYS_TIME & 1 == 1)
}

fn errno_of(refusal: Refusal) -> Errno {
    match refusal {
        Refusal::Invalid => Errno::EINVAL,
        Refusal::NotPermitted => Errno::EPERM,
    }
}

#[cfg(test)]
mod tests;
