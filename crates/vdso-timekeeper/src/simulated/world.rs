//! The machine's counter and clocks.

use core::cell::Cell;
use core::time::Duration;

use vdso_data::arithmetic::Timespec;
use vdso_data::clock;
use vdso_data::gettimeofday::Timezone;

use crate::reference::{Fallback, Reference, Resolutions, Sample, Slopes};
use crate::steering::Fixed;

const SECOND: Fixed = 1_000_000_000 << 32;
const MS: Fixed = SECOND / 1000;
const NS: Fixed = 1 << 32;

/// A machine's clocks as straight lines over its counter, which NTP, people and sleep bend.
///
/// A borrow of it is a [`Reference`], so it can be changed while it is followed.
#[derive(Debug)]
pub struct World {
    cycles: Cell<u64>,
    fixed: Cell<[Fixed; clock::LINES]>,
    raw_slope: u128,
    slewed_ppm: Cell<i64>,
    told: Cell<Option<Slopes>>,
    standstill_cycles: Cell<u64>,
    has_counter: Cell<bool>,
    time_zone: Cell<Option<Timezone>>,
    fallback: Cell<Fallback>,
}

impl World {
    /// One with a counter of 2.5 GHz.
    pub fn new() -> Self {
        Self::of_hz(2_500_000_000)
    }

    /// One whose counter counts so often a second.
    pub fn of_hz(hz: u64) -> Self {
        let mut fixed = [0; clock::LINES];
        fixed[clock::REALTIME as usize] = 1_700_000_000 * SECOND + 123;
        fixed[clock::TAI as usize] = fixed[clock::REALTIME as usize] + 37 * SECOND;
        fixed[clock::MONOTONIC as usize] = 5_000 * SECOND + 456;
        fixed[clock::BOOTTIME as usize] = 6_000 * SECOND + 789;
        fixed[clock::MONOTONIC_RAW as usize] = 4_999 * SECOND + 12;
        Self {
            cycles: Cell::new(1 << 50),
            fixed: Cell::new(fixed),
            raw_slope: Slopes::of_hz(hz).raw,
            slewed_ppm: Cell::new(0),
            told: Cell::new(None),
            standstill_cycles: Cell::new(0),
            has_counter: Cell::new(true),
            time_zone: Cell::new(None),
            fallback: Cell::new(Fallback::Kernel),
        }
    }

    /// The counter now.
    pub fn cycles(&self) -> u64 {
        self.cycles.get()
    }

    /// A clock now, units of 2^-32 ns.
    pub fn time(&self, id: u32) -> Fixed {
        self.fixed.get()[id as usize]
    }

    /// What its kernel says of a clock when it is asked with the counter at `cycles`, or now.
    pub fn says(&self, id: u32, cycles: u64) -> Timespec {
        let passed = i128::from(cycles.saturating_sub(self.cycles()));
        let fixed = self.time(id) + ((passed * self.slope(id) as i128) >> 32);
        Timespec::from_nanos(fixed >> 32).unwrap_or_default()
    }

    /// How fast a clock runs now, units of 2^-64 ns a cycle.
    pub fn slope(&self, id: u32) -> u128 {
        let ppm = if id == clock::MONOTONIC_RAW { 0 } else { self.slewed_ppm.get() };
        let slope = self.raw_slope as i128;
        (slope + slope / 1_000_000 * i128::from(ppm)) as u128
    }

    /// How often the counter counts in a time.
    pub fn cycles_in(&self, duration: Duration) -> u64 {
        ((duration.as_nanos() << 64) / self.raw_slope) as u64
    }

    /// Lets the counter come to `cycles`, which is not in the past.
    pub fn advance_to(&self, cycles: u64) {
        let passed = i128::from(cycles.saturating_sub(self.cycles()));
        self.cycles.set(self.cycles().max(cycles));
        self.change(clock::HIGH_RESOLUTION, |id| (passed * self.slope(id) as i128) >> 32);
    }

    /// Lets a time pass.
    pub fn pass(&self, duration: Duration) {
        self.advance_to(self.cycles() + self.cycles_in(duration));
    }

    /// From now on NTP has all clocks but MONOTONIC_RAW run faster by so many parts in a million.
    pub fn slew(&self, ppm: i64) {
        self.slewed_ppm.set(ppm);
    }

    /// `clock_settime`: TAI is set with REALTIME.
    pub fn set_realtime(&self, by: Fixed) {
        self.change(clock::SETTABLE, |_| by);
    }

    /// A leap second is inserted.
    pub fn insert_leap_second(&self) {
        self.change(1 << clock::REALTIME, |_| -SECOND);
    }

    /// The machine sleeps while its counter counts on, as most do.
    pub fn suspend(&self, cycles: u64) {
        self.cycles.set(self.cycles() + cycles);
        self.count_sleep((i128::from(cycles) * self.raw_slope as i128) >> 32);
    }

    /// The machine sleeps for so long, and its counter stands still.
    pub fn suspend_with_counter(&self, slept: Fixed) {
        self.count_sleep(slept);
    }

    fn count_sleep(&self, slept: Fixed) {
        self.change(clock::SETTABLE | 1 << clock::BOOTTIME, |_| slept);
    }

    /// Whoever looks at the counter the next time has stood still for so long before that.
    pub fn stand_still(&self, cycles: u64) {
        self.standstill_cycles.set(cycles);
    }

    /// The counter is another one: a snapshot was restored, or somebody has written to it.
    pub fn set_counter(&self, cycles: u64) {
        self.cycles.set(cycles);
    }

    /// The clocks no longer run on the counter.
    pub fn give_up_counter(&self) {
        self.has_counter.set(false);
    }

    /// They do again.
    pub fn take_counter_back(&self) {
        self.has_counter.set(true);
    }

    /// `settimeofday` of a time zone.
    pub fn set_time_zone(&self, zone: Timezone) {
        self.time_zone.set(Some(zone));
    }

    /// From now on its programs have no kernel to ask.
    pub fn leave_alone(&self) {
        self.fallback.set(Fallback::Nobody);
    }

    /// What it says of its slopes, if not the truth: a calibration may be wrong.
    pub fn tell(&self, slopes: Slopes) {
        self.told.set(Some(slopes));
    }

    /// Now and then, NTP finds another frequency.
    pub fn slew_at_random(&self, random: &mut super::Random) {
        if random.one_in(3) {
            self.slew(random.between(-500, 500));
        }
    }

    /// Now and then, something happens to the clocks that does happen.
    pub fn disturb(&self, random: &mut super::Random) {
        self.slew_at_random(random);
        match random.below(12) {
            // By a person, by an hour and more.
            0 => self.set_realtime(i128::from(random.between(-5_000_000, 5_000_000)) * MS),
            // By a daemon, around what is slewed away rather than stepped.
            1 => self.set_realtime(i128::from(random.between(-3_000_000, 3_000_000)) * NS),
            2 => self.suspend_with_counter(i128::from(random.between(0, 90_000)) * MS),
            3 => self.insert_leap_second(),
            _ => {}
        }
    }

    fn change(&self, clocks: u32, by: impl Fn(u32) -> Fixed) {
        let mut fixed = self.fixed.get();
        for id in clock::HIGH_RESOLUTION_IDS.into_iter().filter(|&id| clock::is_in(id, clocks)) {
            fixed[id as usize] += by(id);
        }
        self.fixed.set(fixed);
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Reference for &World {
    fn counter(&self) -> u64 {
        self.advance_to(self.cycles() + self.standstill_cycles.take());
        self.cycles()
    }

    fn sample(&mut self) -> Option<Sample> {
        let sample = Sample { cycles: self.cycles(), fixed: self.fixed.get() };
        self.has_counter.get().then_some(sample)
    }

    fn slopes(&self) -> Slopes {
        let truth =
            Slopes { steered: self.slope(clock::MONOTONIC), raw: self.slope(clock::MONOTONIC_RAW) };
        self.told.get().unwrap_or(truth)
    }

    fn time_zone(&self) -> Option<Timezone> {
        self.time_zone.get()
    }

    fn fallback(&self) -> Fallback {
        self.fallback.get()
    }

    /// Those of a kernel with a tick of 250 Hz.
    fn resolutions(&self) -> Resolutions {
        Resolutions { fine_ns: 1, coarse_ns: 4_000_000 }
    }
}
