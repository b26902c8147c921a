//! How fast a counter counts, found out against a timer whose rate is known.
//!
//! Needed where the processor does not say it: a kernel compares its counter with the PIT, the HPET or the
//! ACPI timer, a guest with its host's clock. That is one [`Timer`] each: what it shows, how fast that grows
//! and where it wraps.
//!
//! The timer is read between two reads of the counter, again and again. Of each reading that shows another
//! number it is then certain between which values of the counter the timer came to that number. Two such
//! readings bound the counter's frequency, and all that were made bound it together: so the result is no
//! estimate but an interval, and a disturbed reading (system management, a host that ran something else) makes it no
//! wrong one, but a wide one, which is left for a better. Where the bounds contradict each other, either does
//! not run at one rate, or the timer has wrapped unseen.
//!
//! ```
//! use vdso_timekeeper::calibration::{Pace, Wanted, calibrate};
//! use vdso_timekeeper::simulated::{Hardware, World};
//!
//! // On a real machine: port 0x408 or what the ACPI tables say, by the caller's own `Timer`.
//! let world = World::of_hz(2_400_000_000);
//! let mut timer = Hardware::new(&world, Pace::ACPI_PM, 24);
//! let wanted = Wanted { uncertainty_ppb: 100_000, at_most_ns: 100_000_000 };
//! let calibrated = calibrate(|| world.cycles(), &mut timer, wanted)?;
//! assert!(calibrated.hz().abs_diff(2_400_000_000) < 240_000);
//! # Ok::<(), vdso_timekeeper::calibration::Error>(())
//! ```

mod bounds;
mod watch;

use core::fmt;

pub use bounds::Calibrated;
use bounds::{Bounds, Point};
use watch::Watch;

/// A timer of known rate.
///
/// How exact it is by itself is not known here and not part of a result: quartzes differ by some ten parts in a
/// million.
pub trait Timer {
    /// What it shows: a number that grows, and goes on from zero at 2^[`bits`](Self::bits). One that counts down,
    /// as the PIT, is subtracted from zero. Where a read may be wrong, as of some ACPI timers, it is to be
    /// repeated here until two agree.
    fn read(&mut self) -> u64;

    /// How fast that grows.
    fn pace(&self) -> Pace;

    /// How many bits it has, 64 at most. It must be read more often than twice in a round: on a machine that
    /// stands still for longer at every single reading, a slow timer cannot be told from a fast counter.
    fn bits(&self) -> u32;

    /// By how many numbers two readings may be off against each other, beside that it shows whole ones: where
    /// processors do not agree on it, for example.
    fn jitter_ticks(&self) -> u64 {
        0
    }

    /// May let up to so much time pass, as nothing needs to be read meanwhile. Otherwise it is read all the
    /// time.
    fn pause(&mut self, _at_most_ns: u64) {}
}

/// How fast a timer's number grows: by `ticks` in `ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// By how much; not zero.
    pub ticks: u64,
    /// In how many nanoseconds; not zero.
    pub ns: u64,
}

impl Pace {
    /// The PC's interval timer: a third of NTSC's colour carrier, 105/88 MHz.
    pub const PIT: Self = Self { ticks: 105, ns: 88_000 };
    /// The ACPI power management timer: three times as fast.
    pub const ACPI_PM: Self = Self { ticks: 315, ns: 88_000 };
    /// A clock that is read in nanoseconds.
    pub const NANOSECONDS: Self = Self { ticks: 1, ns: 1 };

    /// So many a second.
    pub const fn of_hz(hz: u64) -> Self {
        Self { ticks: hz, ns: 1_000_000_000 }
    }

    /// One in so many femtoseconds, as the HPET says it (`COUNTER_CLK_PERIOD`).
    pub const fn of_period_fs(period_fs: u64) -> Self {
        Self { ticks: 1_000_000, ns: period_fs }
    }

    /// How many ticks so many nanoseconds are, rounded down.
    fn ticks_in(self, ns: u64) -> u64 {
        let ticks = u128::from(ns) * u128::from(self.ticks) / u128::from(self.ns.max(1));
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// How many nanoseconds so many ticks are, rounded down.
    fn ns_in(self, ticks: u64) -> u64 {
        let ns = u128::from(ticks) * u128::from(self.ns) / u128::from(self.ticks.max(1));
        u64::try_from(ns).unwrap_or(u64::MAX)
    }
}

/// How good a result is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// How uncertain it may be, parts in 10^9.
    pub uncertainty_ppb: u64,
    /// For how long it may be tried, ns; three times as long where something comes in the way.
    pub at_most_ns: u64,
}

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The timer shows the same for ever.
    TimerStuck,
    /// The counter does not count.
    CounterStuck,
    /// The counter went back: it is not the same on all processors, for example.
    CounterWentBack,
    /// What is measured now contradicts what was measured before: counter or timer do not run at one rate, or
    /// the timer was not read for half a round of it.
    Unsteady,
    /// Everything agrees, but not as closely as was wanted, in the time that was given.
    Imprecise(Calibrated),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimerStuck => f.write_str("the timer stands still"),
            Self::CounterStuck => f.write_str("the counter stands still"),
            Self::CounterWentBack => f.write_str("the counter went back"),
            Self::Unsteady => f.write_str("the counter and the timer do not run at one rate"),
            Self::Imprecise(so_far) => {
                let (hz, ppb) = (so_far.hz(), so_far.uncertainty_ppb());
                write!(f, "the counter's {hz} Hz are uncertain by {ppb} parts in 10^9")
            }
        }
    }
}

impl core::error::Error for Error {}

/// How often it is begun anew where something came in the way.
const ATTEMPTS: u32 = 3;

/// How many spans must agree, so that something that comes in the way is noticed.
const LEAST_SPANS: u32 = 4;

/// Spans grow from this part of the whole time, each to twice the one before.
const FIRST_SPAN_DIVISOR: u64 = 256;

/// Finds the frequency of `counter`, which must be read in order.
///
/// Where interrupts can be off, for this long, the result comes sooner.
pub fn calibrate(
    counter: impl Fn() -> u64,
    timer: &mut impl Timer,
    wanted: Wanted,
) -> Result<Calibrated, Error> {
    for _ in 1..ATTEMPTS {
        match attempt(&counter, timer, wanted) {
            // Whatever it was, it may be over.
            Err(Error::Unsteady) => {}
            result => return result,
        }
    }
    attempt(&counter, timer, wanted)
}

fn attempt(
    counter: &impl Fn() -> u64,
    timer: &mut impl Timer,
    wanted: Wanted,
) -> Result<Calibrated, Error> {
    let pace = timer.pace();
    // Whatever it was at first, it does not come to its end.
    let origin = counter();
    let counter = || counter().wrapping_sub(origin);
    let all_ticks = pace.ticks_in(wanted.at_most_ns);
    let mut watch = Watch::begin(&counter, timer)?;
    let longest_span = watch.round_ticks() / 4;
    let mut bounds = Bounds::unknown(pace, watch.jitter_ticks());
    let first = watch.point(&bounds)?;
    let (mut narrowest, mut last, mut span) = (first, first, all_ticks / FIRST_SPAN_DIVISOR);
    let mut spans = 0;
    loop {
        watch.pass(span.clamp(1, longest_span.max(1)))?;
        let point = watch.point(&bounds)?;
        spans += 1;
        narrow(&mut bounds, [&last, &first, &narrowest], &point)?;
        if spans >= LEAST_SPANS {
            let calibrated = bounds.calibrated().ok_or(Error::Unsteady)?;
            if calibrated.uncertainty_ppb() <= wanted.uncertainty_ppb {
                return Ok(calibrated);
            }
            if point.ticks - first.ticks >= all_ticks {
                return Err(Error::Imprecise(calibrated));
            }
        }
        if bounds.width_cycles(&point) < bounds.width_cycles(&narrowest) {
            narrowest = point;
        }
        (last, span) = (point, span.saturating_mul(2).min(longest_span));
    }
}

fn narrow(bounds: &mut Bounds, from: [&Point; 3], to: &Point) -> Result<(), Error> {
    for from in from {
        if to.after == from.before {
            return Err(Error::CounterStuck);
        }
        bounds.narrow(from, to);
    }
    Ok(())
}
