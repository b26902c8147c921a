//! How a published line is continued.
//!
//! A line is a clock as a straight function of the counter. An update replaces it by one that
//! starts at the update's counter value and aims to meet the host at the next update. Two rules
//! hold for every clock that may not go back:
//!
//! - the new line is nowhere below the old one for [`OVERLAP_CYCLES`]: a reader with the old line
//!   and a later reader with the new one never see time go back, however the update is preempted
//!   within that (for [`SHORT_OVERLAP_CYCLES`] where not the host slews but the clock's rate changes);
//! - its slope is at least zero.
//!
//! Times here are in units of 2^-32 ns (`Fixed`), slopes in units of 2^-64 ns a cycle. All of it takes any
//! numbers, as a page may hold any: sums and products that do not fit are the largest or least that do.

use vdso_data::arithmetic::{Mult, Nanos, Timespec, Transform};
use vdso_data::own::CounterView;

use crate::reference::Sample;

/// Time in units of 2^-32 ns.
pub type Fixed = i128;

/// A tenth of a second and more of any counter up to 5 GHz: how long an update may be preempted
/// between reading the counter and publishing.
pub const OVERLAP_CYCLES: u64 = 1 << 29;

/// The same where a rate was changed: as long as publishing takes, and a hundred times more. To stay
/// above a much faster line for longer would be a jump.
pub const SHORT_OVERLAP_CYCLES: u64 = 1 << 20;

/// The largest correction of a slope, as a part of it: 500 ppm, as NTP's.
const MAX_SLEW_DIVISOR: i128 = 2_000;

/// A deviation of more than this is not slewed away: the host's clock was set, ns.
const STEP_NS: i128 = 1_000_000;

/// A clock as a function of the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The counter's value at which the line starts.
    pub cycles: u64,
    /// The time at that value.
    pub start: Fixed,
    /// How fast the clock runs, units of 2^-64 ns a cycle.
    pub slope: u128,
}

impl Line {
    /// The time at a counter value, which may lie before the start.
    pub fn at(&self, cycles: u64) -> Fixed {
        let delta = i128::from(cycles.wrapping_sub(self.cycles) as i64);
        // In two parts, as a slope of up to 2^90 (the fastest clock on the slowest counter) and a delta
        // of up to 2^63 have no product of 128 bits.
        let (whole, part) =
            ((self.slope >> 32) as i128, (self.slope & u128::from(u32::MAX)) as i128);
        self.start.saturating_add(delta.saturating_mul(whole)).saturating_add((delta * part) >> 32)
    }

    /// The inverse of [`view`](Self::view).
    pub fn from_view(view: &CounterView) -> Self {
        let start = Timespec { sec: view.sec, nsec: view.nanos.ns as i64 };
        Self {
            cycles: view.cycle_last,
            start: (start.as_nanos() << 32) + Fixed::from(view.nanos.fraction >> 32),
            slope: u128::from(view.mult.whole) << 64 | u128::from(view.mult.fraction),
        }
    }

    /// As it stands in the page, to be used for `stale_cycles` from its start.
    pub fn view(&self, stale_cycles: u64) -> CounterView {
        let start = Timespec::from_nanos(self.start >> 32).unwrap_or_default();
        CounterView {
            cycle_last: self.cycles,
            stale_cycles,
            mult: Mult { whole: (self.slope >> 64) as u64, fraction: self.slope as u64 },
            sec: start.sec,
            nanos: Nanos { ns: start.nsec as u64, fraction: (self.start as u64) << 32 },
        }
    }
}

/// Whether a clock may be set, and so go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// REALTIME, TAI.
    Settable,
    /// MONOTONIC, MONOTONIC_RAW, BOOTTIME.
    NeverBack,
    /// One of the first kind that somebody has just set.
    Set,
    /// One of the first kind whose rate somebody has just changed: it goes on from where it belongs.
    Slewed,
}

/// The line that continues `old` from `now`, where the clock should read `target` and run at
/// `slope`, and will be updated again after `interval_cycles`.
pub fn continued(
    old: &Line,
    (now, target): (u64, Fixed),
    slope: u128,
    interval_cycles: u64,
    kind: Kind,
) -> Line {
    let reads = old.at(now);
    let deviation = target.saturating_sub(reads);
    match kind {
        Kind::Set => return Line { cycles: now, start: target, slope },
        Kind::Slewed => {
            // Above the old one for as long as publishing takes; for longer would be a jump.
            let lift = lift_for(SHORT_OVERLAP_CYCLES, old.slope, slope);
            return Line { cycles: now, start: target.max(reads).saturating_add(lift), slope };
        }
        Kind::Settable | Kind::NeverBack => {}
    }
    let was_set = deviation.saturating_abs() > STEP_NS << 32;
    if was_set && (kind == Kind::Settable || deviation > 0) {
        let floor = match kind {
            Kind::NeverBack => reads.saturating_add(lift(old.slope, slope)),
            Kind::Settable | Kind::Set | Kind::Slewed => target,
        };
        return Line { cycles: now, start: target.max(floor), slope };
    }
    let slope = i128::try_from(slope).unwrap_or(i128::MAX);
    let most = slope / MAX_SLEW_DIVISOR;
    // Not within less than some overlaps: the end of a correction lifts the line by what it corrects
    // in one overlap, and a short, strong one would be worse than what it is for.
    let wanted =
        deviation.saturating_mul(1 << 32) / i128::from(interval_cycles.max(4 * OVERLAP_CYCLES));
    let corrected = slope.saturating_add(wanted.clamp(-most, most)).max(0) as u128;
    let start = reads.saturating_add(lift(old.slope, corrected));
    Line { cycles: now, start, slope: corrected }
}

/// How far above an old line a slower new one has to start, so that they meet at the overlap's end.
fn lift(old_slope: u128, slope: u128) -> Fixed {
    lift_for(overlap_cycles(old_slope, slope), old_slope, slope)
}

fn lift_for(overlap_cycles: u64, old_slope: u128, slope: u128) -> Fixed {
    let slower_by = old_slope.saturating_sub(slope);
    // Every shift drops a fraction of a unit, so two units more.
    let dropped = if old_slope == 0 && slope == 0 { 0 } else { 2 };
    (slower_by.saturating_mul(overlap_cycles.into()) >> 32) as Fixed + dropped
}

/// For how long a line that continues one of `old_slope` is nowhere below it: it has to be published
/// within that.
pub fn overlap_cycles(old_slope: u128, slope: u128) -> u64 {
    // NTP's 500 ppm and a correction of as much, either way.
    let is_slewed = old_slope.saturating_sub(slope) <= old_slope / 500;
    if is_slewed { OVERLAP_CYCLES } else { SHORT_OVERLAP_CYCLES }
}

/// The virtual time at the host's `fixed`.
pub fn transformed(transform: &Transform, fixed: Fixed) -> Fixed {
    if transform.is_offset_only() {
        return fixed.saturating_add(transform.offset.as_nanos() << 32);
    }
    let host = Timespec::from_nanos(fixed >> 32).unwrap_or_default();
    transform.apply(host).as_nanos() << 32
}

/// A host's slope as seen through `transform`.
pub fn transformed_slope(transform: &Transform, slope: u128) -> u128 {
    // In two parts, as their product has more than 128 bits.
    let fraction = u128::from(transform.rate.fraction);
    let (whole, part) = (slope >> 64, u128::from(slope as u64));
    let fraction = whole * fraction + ((part * fraction) >> 64);
    slope.saturating_mul(u128::from(transform.rate.whole)).saturating_add(fraction)
}

/// Slope of a clock between two samples; `None` if they are not apart, or have no such clock.
pub fn slope_between(from: &Sample, to: &Sample, id: u32) -> Option<u128> {
    let cycles = to.cycles.checked_sub(from.cycles).filter(|&cycles| cycles != 0)?;
    let time = |sample: &Sample| sample.fixed.get(id as usize).copied();
    let passed = time(to)?.checked_sub(time(from)?)?;
    let passed = u128::try_from(passed).ok()?;
    Some(passed.checked_mul(1 << 32)? / u128::from(cycles))
}

#[cfg(test)]
mod tests;
