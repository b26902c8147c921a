//! A clock of a program's own that programs set: what clock_settime(2) and adjtimex(2) do to REALTIME and TAI.
//!
//! As far as a program sees, it does what the kernel does (`kernel/time/ntp.c`, Linux 6.18). Unlike there, nothing is
//! done at each tick: a slew is a rate for a while, and what it has done is reckoned when the rate is changed next.
//! MONOTONIC and BOOTTIME are not slewed with it: they are what the launch made of the host's.

mod timex;

use vdso_data::arithmetic::{NSEC_PER_SEC, Rate, Timespec, Transform};
use vdso_data::clock;
use vdso_data::gettimeofday::Timezone;

pub use timex::*;

/// How REALTIME and TAI are moved against the host's, how they are disciplined, and the time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settable {
    /// REALTIME's.
    realtime: Transform,
    /// What the launch has it run at.
    rate: Rate,
    /// Seconds that the host's TAI is ahead of its REALTIME.
    host_tai_sec: i64,
    zone: Option<Timezone>,
    status: i32,
    state: State,
    /// Units of 2^-16 ppm.
    freq: i64,
    tick_usec: i64,
    constant: i64,
    tai_sec: i64,
    maxerror_usec: i64,
    esterror_usec: i64,
    /// The host's seconds when `maxerror_usec` was that.
    error_since_sec: i64,
    /// The clock's seconds of the last [`ADJ_OFFSET`].
    reference_sec: i64,
    /// What the loop is still to slew.
    offset: Slew,
    /// What `adjtime` is still to slew.
    adjust: Slew,
}

/// What is still to be slewed, and how fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slew {
    left_ns: i64,
    /// Nanoseconds in a second of a clock that is not slewed.
    speed_ns: i64,
}

/// Words that a [`Settable`] is kept in.
pub const WORDS: usize = 26;

/// `NTP_PHASE_LIMIT`: an error as large as this is unknown, microseconds.
const MOST_ERROR_USEC: i64 = 16_000_000;
/// By how much an error grows in a second, microseconds.
const ERROR_USEC_PER_SEC: i64 = 500;
/// `MAXFREQ`, units of 2^-16 ppm.
const MOST_FREQ: i64 = 500 << 16;
/// `MAXPHASE`, ns.
const MOST_OFFSET_NS: i64 = 500_000_000;
/// `MAX_TICKADJ`: how fast `adjtime` slews, ns in a second.
const ADJUST_NS: i64 = 500_000;
const USUAL_TICK_USEC: i64 = 10_000;

impl Settable {
    /// A clock that nobody has set: moved as the launch does, and kept as right as the `host`'s, of which this is what
    /// adjtimex(2) says.
    pub fn new(realtime: Transform, host: &Timex, now: Timespec) -> Self {
        Self {
            realtime,
            rate: realtime.rate,
            host_tai_sec: host.tai.into(),
            zone: None,
            status: host.status,
            state: State::Ok,
            freq: 0,
            tick_usec: USUAL_TICK_USEC,
            constant: host.constant,
            tai_sec: host.tai.into(),
            maxerror_usec: host.maxerror,
            esterror_usec: host.esterror,
            error_since_sec: now.sec,
            reference_sec: 0,
            offset: Slew::default(),
            adjust: Slew::default(),
        }
    }

    /// What REALTIME shows at the host's `now`.
    pub fn at(&self, now: Timespec) -> Timespec {
        self.realtime.apply(now)
    }

    /// The launch's transforms with those of the clocks that can be set.
    pub fn transforms(&self, mut launch: [Transform; clock::LINES]) -> [Transform; clock::LINES] {
        let sec = |sec| Timespec { sec, nsec: 0 };
        let realtime = self.realtime;
        let tai = Transform {
            base: realtime.base.wrapping_add(sec(self.host_tai_sec)),
            offset: realtime.offset.wrapping_add(sec(self.tai_sec - self.host_tai_sec)),
            ..realtime
        };
        launch[clock::REALTIME as usize] = realtime;
        launch[clock::REALTIME_COARSE as usize] = realtime;
        launch[clock::TAI as usize] = tai;
        launch
    }

    /// The time zone, if one was set.
    pub fn zone(&self) -> Option<Timezone> {
        self.zone
    }

    /// `settimeofday` of a time zone.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] if there is no such zone.
    pub fn set_zone(&mut self, zone: Timezone) -> Result<(), Refusal> {
        const MOST_MINUTES: i32 = 15 * 60;
        if !(-MOST_MINUTES..=MOST_MINUTES).contains(&zone.minutes_west) {
            return Err(Refusal::Invalid);
        }
        self.zone = Some(zone);
        Ok(())
    }

    /// `clock_settime`: at the host's `now` the clock shows `wanted`. It may not be before `monotonic`, which is what
    /// MONOTONIC shows then.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] if the kernel takes no such time.
    pub fn set(
        &mut self,
        now: Timespec,
        wanted: Timespec,
        monotonic: Timespec,
    ) -> Result<(), Refusal> {
        if !is_time(wanted) || wanted < monotonic {
            return Err(Refusal::Invalid);
        }
        self.put(now, wanted);
        self.forget_discipline(now);
        Ok(())
    }

    /// `adjtimex`; the answer is written to `timex`. Gives what the call gives.
    ///
    /// # Errors
    /// As the kernel has them, but for permissions.
    pub fn adjust(
        &mut self,
        now: Timespec,
        timex: &mut Timex,
        monotonic: Timespec,
    ) -> Result<State, Refusal> {
        timex.check()?;
        self.advance(now);
        if timex.modes & ADJ_SETOFFSET != 0 {
            let wanted = self.at(now).wrapping_add(timex.step());
            self.set(now, wanted, monotonic)?;
        }
        if timex.modes & ADJ_ADJTIME != 0 {
            let left_usec = self.adjust.left_ns / 1_000;
            if timex.modes & ADJ_NANO == 0 {
                self.adjust.left_ns = timex.offset.saturating_mul(1_000);
            }
            timex.offset = left_usec;
        } else {
            self.change(now, timex);
            let is_nano = self.status & STA_NANO != 0;
            timex.offset = if is_nano { self.offset.left_ns } else { self.offset.left_ns / 1_000 };
        }
        if !timex.only_asks() {
            self.put(now, self.at(now));
        }
        self.say(now, timex);
        Ok(if self.status & STA_UNSYNC != 0 { State::Error } else { self.state })
    }

    /// To be called now and then, as [`wait_ns`](Self::wait_ns) says: reckons what was slewed, and how it goes on. Whether
    /// the clock has changed.
    pub fn advance(&mut self, now: Timespec) -> bool {
        let before = *self;
        let shows = self.at(now);
        // Without what was slewed itself.
        let passed = self.rate.scale(now.wrapping_sub(self.realtime.base));
        let speed_before = (self.offset.speed_ns, self.adjust.speed_ns);
        self.offset.pass(passed);
        self.adjust.pass(passed);
        let (sec, error) = (now.sec - self.error_since_sec, self.maxerror_usec);
        self.error_since_sec = now.sec;
        self.maxerror_usec =
            error.saturating_add(sec.saturating_mul(ERROR_USEC_PER_SEC)).clamp(0, MOST_ERROR_USEC);
        if self.maxerror_usec == MOST_ERROR_USEC {
            self.status |= STA_UNSYNC;
        }
        let shows = self.leap(shows);
        if speed_before != (0, 0) || self.is_slewing() || shows != before.at(now) {
            self.put(now, shows);
        }
        *self != before && self.realtime != before.realtime
    }

    /// How long the host takes until [`advance`](Self::advance) has something to do; `None` if it has not.
    pub fn wait_ns(&self, now: Timespec) -> Option<u64> {
        if self.rate == Rate::ZERO {
            return None;
        }
        let host_span =
            |rate: Rate, span: Timespec| rate.host_span(span.max(Timespec { sec: 0, nsec: 1 }));
        let second = Timespec { sec: 1, nsec: 0 };
        let slewing = self.is_slewing().then(|| host_span(self.rate, second));
        let shows = self.at(now);
        let leap =
            self.next_leap(shows).map(|at| host_span(self.realtime.rate, at.wrapping_sub(shows)));
        let wait = slewing.into_iter().chain(leap).flatten().min()?;
        u64::try_from(wait.as_nanos()).ok()
    }

    fn is_slewing(&self) -> bool {
        self.offset != Slew::default() || self.adjust != Slew::default()
    }

    /// From the host's `now` on the clock goes on from `shows`, at the rate that it is to have.
    fn put(&mut self, now: Timespec, shows: Timespec) {
        let shift = 2 + self.constant.clamp(0, 10) as u32;
        self.offset.speed_ns = self.offset.part(shift);
        self.adjust.speed_ns = self.adjust.left_ns.clamp(-ADJUST_NS, ADJUST_NS);
        let rate = self.disciplined_rate();
        self.realtime = Transform { base: now, offset: shows.wrapping_sub(now), rate };
    }

    /// The launch's rate, made faster or slower.
    fn disciplined_rate(&self) -> Rate {
        /// A part in this is 2^-16 ns in a second.
        const WHOLE: i128 = (NSEC_PER_SEC as i128) << 16;
        const NSEC_PER_TICK_USEC: i128 = 100_000;
        let tick = i128::from(self.tick_usec - USUAL_TICK_USEC) * NSEC_PER_TICK_USEC;
        let slewed = i128::from(self.offset.speed_ns) + i128::from(self.adjust.speed_ns);
        let parts = ((tick + slewed) << 16) + i128::from(self.freq) * 1_000;
        if parts == 0 {
            return self.rate;
        }
        let rate = (i128::from(self.rate.whole) << 64) + i128::from(self.rate.fraction);
        let rate = rate + rate / WHOLE * parts + rate % WHOLE * parts / WHOLE;
        let rate = rate.max(0).unsigned_abs();
        Rate { whole: (rate >> 64) as u64, fraction: rate as u64 }
    }

    /// What setting a clock does to its discipline.
    fn forget_discipline(&mut self, now: Timespec) {
        self.status |= STA_UNSYNC;
        (self.maxerror_usec, self.esterror_usec) = (MOST_ERROR_USEC, MOST_ERROR_USEC);
        self.error_since_sec = now.sec;
        (self.offset, self.adjust) = (Slew::default(), Slew::default());
        self.put(now, self.at(now));
    }

    fn change(&mut self, now: Timespec, timex: &Timex) {
        let is = |modes| timex.modes & modes != 0;
        if is(ADJ_STATUS) {
            self.set_status(now, timex.status);
        }
        if is(ADJ_NANO) {
            self.status |= STA_NANO;
        }
        if is(ADJ_MICRO) {
            self.status &= !STA_NANO;
        }
        if is(ADJ_FREQUENCY) {
            self.freq = timex.freq.clamp(-MOST_FREQ, MOST_FREQ);
        }
        if is(ADJ_MAXERROR) {
            self.maxerror_usec = timex.maxerror.clamp(0, MOST_ERROR_USEC);
        }
        if is(ADJ_ESTERROR) {
            self.esterror_usec = timex.esterror.clamp(0, MOST_ERROR_USEC);
        }
        if is(ADJ_TIMECONST) {
            let added = if self.status & STA_NANO == 0 { 4 } else { 0 };
            self.constant = timex.constant.saturating_add(added).clamp(0, 10);
        }
        if is(ADJ_TAI) && (0..=100_000).contains(&timex.constant) {
            self.tai_sec = timex.constant;
        }
        if is(ADJ_OFFSET) {
            self.set_offset(now, timex.offset);
        }
        if is(ADJ_TICK) {
            self.tick_usec = timex.tick;
        }
    }

    fn set_status(&mut self, now: Timespec, status: i32) {
        if self.status & STA_PLL != 0 && status & STA_PLL == 0 {
            self.state = State::Ok;
            self.status = STA_UNSYNC;
        }
        if self.status & STA_PLL == 0 && status & STA_PLL != 0 {
            self.reference_sec = self.at(now).sec;
        }
        self.status = self.status & STA_RONLY | status & !STA_RONLY;
        self.state = match self.state {
            State::Ok | State::Ins | State::Del if self.status & STA_INS != 0 => State::Ins,
            State::Ok | State::Ins | State::Del if self.status & STA_DEL != 0 => State::Del,
            State::Oop => State::Oop,
            State::Wait if self.status & (STA_INS | STA_DEL) != 0 => State::Wait,
            _ => State::Ok,
        };
    }

    /// What the loop is to slew, and what that tells of the frequency.
    fn set_offset(&mut self, now: Timespec, offset: i64) {
        const LONGEST_SEC: i64 = 2048;
        const SHORTEST_SEC: i64 = 256;
        if self.status & STA_PLL == 0 {
            return;
        }
        let ns = if self.status & STA_NANO != 0 {
            offset
        } else {
            offset.clamp(-1_000_000, 1_000_000) * 1_000
        };
        let ns = ns.clamp(-MOST_OFFSET_NS, MOST_OFFSET_NS);
        let now_sec = self.at(now).sec;
        let sec = if self.status & STA_FREQHOLD != 0 { 0 } else { now_sec - self.reference_sec };
        self.reference_sec = now_sec;
        // `SHIFT_FLL` is 2, `SHIFT_PLL` 2; here in 2^-16 ppm.
        let is_long = sec >= SHORTEST_SEC && (self.status & STA_FLL != 0 || sec > LONGEST_SEC);
        let by_frequency =
            if is_long { (i128::from(ns) << 16) / 1_000 / (4 * i128::from(sec)) } else { 0 };
        let most_sec = 1i128 << (3 + self.constant).clamp(0, 32);
        let integral = (i128::from(ns) << 16) / 1_000 * i128::from(sec).clamp(0, most_sec);
        let by_phase = integral >> (2 * (2 + 2 + self.constant)).clamp(0, 64);
        let freq = i128::from(self.freq) + by_frequency + by_phase;
        self.freq = freq.clamp(-i128::from(MOST_FREQ), i128::from(MOST_FREQ)) as i64;
        self.offset.left_ns = ns;
    }

    fn say(&self, now: Timespec, timex: &mut Timex) {
        let Timespec { sec, nsec } = self.at(now);
        let is_nano = self.status & STA_NANO != 0;
        *timex = Timex {
            freq: self.freq,
            maxerror: self.maxerror_usec,
            esterror: self.esterror_usec,
            status: self.status,
            constant: self.constant,
            precision: 1,
            tolerance: MOST_FREQ,
            time: [sec, if is_nano { nsec } else { nsec / 1_000 }],
            tick: self.tick_usec,
            tai: self.tai_sec as i32,
            ..*timex
        };
    }
}

/// Whether a clock can be set to that at all.
pub fn is_time(wanted: Timespec) -> bool {
    /// `TIME_SETTOD_SEC_MAX` of `include/linux/time64.h`: 30 years before 64 bits of nanoseconds end.
    const END_SEC: i64 = i64::MAX / NSEC_PER_SEC as i64 - 30 * 365 * 86_400;
    (0..END_SEC).contains(&wanted.sec) && (0..NSEC_PER_SEC as i64).contains(&wanted.nsec)
}

const SECONDS_PER_DAY: i64 = 86_400;

// Leap seconds.
impl Settable {
    /// When the clock is to be looked at for that, by itself.
    fn next_leap(&self, shows: Timespec) -> Option<Timespec> {
        let midnight = shows.sec - shows.sec.rem_euclid(SECONDS_PER_DAY) + SECONDS_PER_DAY;
        let sec = match self.state {
            State::Ins => midnight,
            State::Del => midnight - 1,
            // The day's last second for the second time.
            State::Oop => midnight,
            _ => return None,
        };
        Some(Timespec { sec, nsec: 0 })
    }

    /// What the clock is to show where it shows this.
    fn leap(&mut self, shows: Timespec) -> Timespec {
        let second = |sec| Timespec { sec, nsec: 0 };
        let of_day = shows.sec.rem_euclid(SECONDS_PER_DAY);
        // It is looked at when that time has come, or somewhat later.
        let just_past = of_day < SECONDS_PER_DAY / 2;
        match self.state {
            State::Ins if just_past && shows.sec >= self.leap_after() => {
                (self.state, self.tai_sec) = (State::Oop, self.tai_sec + 1);
                shows.wrapping_sub(second(1))
            }
            State::Del if of_day == SECONDS_PER_DAY - 1 => {
                (self.state, self.tai_sec) = (State::Wait, self.tai_sec - 1);
                shows.wrapping_add(second(1))
            }
            State::Oop if just_past => {
                self.state = State::Wait;
                shows
            }
            State::Wait if self.status & (STA_INS | STA_DEL) == 0 => {
                self.state = State::Ok;
                shows
            }
            _ => shows,
        }
    }

    /// The midnight after the clock was set or slewed last.
    fn leap_after(&self) -> i64 {
        let began = self.at(self.realtime.base).sec;
        began - began.rem_euclid(SECONDS_PER_DAY) + SECONDS_PER_DAY
    }
}

impl Slew {
    /// So long the clock has been slewed.
    fn pass(&mut self, passed: Timespec) {
        let ns = i128::from(self.speed_ns) * passed.as_nanos() / NSEC_PER_SEC as i128;
        let left = i128::from(self.left_ns);
        // Not beyond what was to be done: whoever comes late has slewed too far, and that is taken back.
        self.left_ns = (left - ns).clamp(i64::MIN.into(), i64::MAX.into()) as i64;
    }

    /// The part of it that a second is to do, to its end.
    fn part(&self, shift: u32) -> i64 {
        let part = self.left_ns / (1 << shift);
        if part == 0 { self.left_ns } else { part }
    }
}

// For memory that outlives a process.
impl Settable {
    /// As words, for [`from_words`](Self::from_words).
    pub fn to_words(self) -> [u64; WORDS] {
        let Transform { offset, base, rate } = self.realtime;
        let zone = self.zone.map_or(0, |zone| {
            1 << 63
                | u64::from(zone.minutes_west as u32 & 0x7fff_ffff) << 32
                | u64::from(zone.dst_time as u32)
        });
        let words = [
            offset.sec,
            offset.nsec,
            base.sec,
            base.nsec,
            rate.whole as i64,
            rate.fraction as i64,
            self.rate.whole as i64,
            self.rate.fraction as i64,
            self.host_tai_sec,
            zone as i64,
            self.status.into(),
            self.state as i64,
            self.freq,
            self.tick_usec,
            self.constant,
            self.tai_sec,
            self.maxerror_usec,
            self.esterror_usec,
            self.error_since_sec,
            self.reference_sec,
            self.offset.left_ns,
            self.offset.speed_ns,
            self.adjust.left_ns,
            self.adjust.speed_ns,
            0,
            0,
        ];
        words.map(i64::cast_unsigned)
    }

    /// From what [`to_words`](Self::to_words) gave.
    pub fn from_words(words: [u64; WORDS]) -> Self {
        let [
            offset_sec,
            offset_nsec,
            base_sec,
            base_nsec,
            whole,
            fraction,
            launch_whole,
            launch_fraction,
            host_tai_sec,
            zone,
            status,
            state,
            freq,
            tick_usec,
            constant,
            tai_sec,
            maxerror_usec,
            esterror_usec,
            error_since_sec,
            reference_sec,
            offset_left,
            offset_speed,
            adjust_left,
            adjust_speed,
            _,
            _,
        ] = words.map(u64::cast_signed);
        let minutes_west = ((zone >> 32) as i32) << 1 >> 1;
        Self {
            realtime: Transform {
                offset: Timespec { sec: offset_sec, nsec: offset_nsec },
                base: Timespec { sec: base_sec, nsec: base_nsec },
                rate: Rate { whole: whole as u64, fraction: fraction as u64 },
            },
            rate: Rate { whole: launch_whole as u64, fraction: launch_fraction as u64 },
            host_tai_sec,
            zone: (zone < 0).then_some(Timezone { minutes_west, dst_time: zone as i32 }),
            status: status as i32,
            state: State::of(state as u64),
            freq,
            tick_usec,
            constant,
            tai_sec,
            maxerror_usec,
            esterror_usec,
            error_since_sec,
            reference_sec,
            offset: Slew { left_ns: offset_left, speed_ns: offset_speed },
            adjust: Slew { left_ns: adjust_left, speed_ns: adjust_speed },
        }
    }
}

#[cfg(test)]
mod tests;
