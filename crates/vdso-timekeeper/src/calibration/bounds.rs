//! Between which slopes a counter's is.

use vdso_data::arithmetic::NSEC_PER_SEC;

use super::Pace;
use crate::reference::Slopes;

/// A timer has come to a number: when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    /// The number, without wraps.
    pub ticks: u64,
    /// The counter before the last reading that showed less.
    pub since: u64,
    /// The counter before the first reading that showed the number.
    pub before: u64,
    /// The counter after that reading.
    pub after: u64,
}

impl Point {
    /// The least that the counter can have been: the number was no older than a tick when it was read.
    pub fn earliest(&self, tick_cycles: Option<u64>) -> u64 {
        let by_age = tick_cycles.and_then(|cycles| self.before.checked_sub(cycles));
        self.since.max(by_age.unwrap_or(0))
    }
}

/// What all measurements together allow, slopes in units of 2^-64 ns a cycle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pace: Pace,
    jitter_ticks: u64,
    low: u128,
    high: u128,
}

impl Bounds {
    /// Anything.
    pub fn unknown(pace: Pace, jitter_ticks: u64) -> Self {
        Self { pace, jitter_ticks, low: 0, high: u128::MAX }
    }

    /// With what two points say.
    pub fn narrow(&mut self, from: &Point, to: &Point) {
        let tick_cycles = self.tick_cycles();
        let (from_earliest, to_earliest) = (from.earliest(tick_cycles), to.earliest(tick_cycles));
        let ticks = to.ticks.saturating_sub(from.ticks);
        let slowest = slope(self.fixed_ns(ticks.saturating_sub(self.jitter_ticks)), {
            to.after.saturating_sub(from_earliest)
        });
        let fastest =
            slope(self.fixed_ns(ticks.saturating_add(self.jitter_ticks)).saturating_add(1), {
                to_earliest.saturating_sub(from.after)
            });
        self.low = self.low.max(slowest);
        self.high = self.high.min(fastest.saturating_add(1));
    }

    /// The most cycles that can be in one tick, jitter included; `None` if nothing is known yet.
    pub fn tick_cycles(&self) -> Option<u64> {
        if self.low == 0 {
            return None;
        }
        let fixed = self.fixed_ns(1 + self.jitter_ticks).saturating_add(1);
        u64::try_from((fixed << 32) / self.low + 1).ok()
    }

    /// How uncertain it is when a point was.
    pub fn width_cycles(&self, point: &Point) -> u64 {
        point.after - point.earliest(self.tick_cycles())
    }

    /// The result, unless the measurements contradict each other.
    pub fn calibrated(&self) -> Option<Calibrated> {
        let is_one = 0 < self.low && self.low <= self.high && self.high < u128::MAX;
        is_one.then_some(Calibrated { low: self.low, high: self.high })
    }

    /// Nanoseconds in so many ticks, units of 2^-32 ns, rounded down.
    fn fixed_ns(&self, ticks: u64) -> u128 {
        let numerator = u128::from(ticks).saturating_mul(u128::from(self.pace.ns));
        // What does not fit so would take centuries.
        numerator.saturating_mul(1 << 32) / u128::from(self.pace.ticks.max(1))
    }
}

fn slope(fixed_ns: u128, cycles: u64) -> u128 {
    // Without any cycles there is no upper bound.
    fixed_ns.saturating_mul(1 << 32).checked_div(u128::from(cycles)).unwrap_or(u128::MAX - 1)
}

/// A counter's frequency, as far as it is certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calibrated {
    low: u128,
    high: u128,
}

impl Calibrated {
    /// The slope of a clock on this counter, as a [`Reference`](crate::Reference) tells it.
    pub fn slopes(&self) -> Slopes {
        let slope = self.slope();
        Slopes { steered: slope, raw: slope }
    }

    /// The counter's frequency, Hz.
    pub fn hz(&self) -> u64 {
        hz(self.slope())
    }

    /// The least and the largest frequency that it can have, Hz, if the timer has its own.
    pub fn hz_range(&self) -> core::ops::RangeInclusive<u64> {
        hz(self.high)..=hz(self.low).saturating_add(1)
    }

    /// How far from the frequency the true one can be, parts in 10^9.
    pub fn uncertainty_ppb(&self) -> u64 {
        let half = (self.high - self.low) / 2;
        let ppb = half.saturating_mul(u128::from(NSEC_PER_SEC)) / self.slope().max(1);
        u64::try_from(ppb).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn slope(&self) -> u128 {
        self.low + (self.high - self.low) / 2
    }
}

fn hz(slope: u128) -> u64 {
    let hz = (u128::from(NSEC_PER_SEC) << 64) / slope.max(1);
    u64::try_from(hz).unwrap_or(u64::MAX)
}
