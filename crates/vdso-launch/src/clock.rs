//! What clock a program is to have, and how each of the kernel's clocks is moved for that.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use vdso_data::arithmetic::{NSEC_PER_SEC, Rate, Timespec, Transform};
use vdso_data::clock;
use vdso_host::by_call::read;
pub use vdso_inject::detour::Setting;

/// The clock that a program is to have. Unchanged, it is the host's.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use vdso_launch::{Clock, Clocks};
///
/// let in_2038 = UNIX_EPOCH + Duration::from_secs(i32::MAX as u64);
/// let clock = Clock::builder().at(in_2038).rate(60).clocks(Clocks::All).build()?;
/// # Ok::<(), vdso_launch::ClockError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    start: Start,
    speed: Speed,
    clocks: Option<ClockSet>,
    setting: Setting,
}

/// Where a clock begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Start {
    /// At the host's time.
    #[default]
    Host,
    /// At this time of REALTIME.
    At(SystemTime),
    /// So many nanoseconds ahead of the host, or behind it.
    Ahead(i128),
}

/// A [`Rate`] that is one by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Speed(Rate);

impl Default for Speed {
    fn default() -> Self {
        Self(Rate::ONE)
    }
}

/// Clocks of the kernel's that are moved together, each with its coarse twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Clocks {
    /// `CLOCK_REALTIME`, `CLOCK_TAI`, `gettimeofday` and `time`: what setting the time moves.
    Realtime,
    /// `CLOCK_MONOTONIC` and `CLOCK_MONOTONIC_RAW`.
    Monotonic,
    /// `CLOCK_BOOTTIME`.
    Boottime,
    /// All of these.
    All,
}

/// Several of [`Clocks`]; [`Clocks::Realtime`] by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSet(u32);

/// Makes a [`Clock`].
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct ClockBuilder {
    clock: Clock,
    rate: Option<f64>,
}

/// Why there is no such clock.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClockError {
    /// It would run backwards, too fast, or at no speed at all (NaN).
    #[error("a clock cannot run at the rate {rate}: from 0 to {} can be given", Clock::MAX_RATE)]
    Rate {
        /// How many times as fast as the host's it was to be.
        rate: f64,
    },
    /// It would show a time that does not fit into 64 bits of seconds.
    #[error("a clock cannot begin that far from the host's time")]
    OutOfRange,
    /// A clock that counts from the machine's start would begin before that.
    #[error(
        "the monotonic clocks would start before zero: this machine has been up for {up_sec} s only"
    )]
    BeforeZero {
        /// The host's time on that clock, in seconds.
        up_sec: i64,
    },
}

impl Clock {
    /// The fastest that a clock can run, in times as fast as the host's.
    pub const MAX_RATE: u64 = 1_000_000;

    /// The host's clock, to be changed.
    pub fn builder() -> ClockBuilder {
        ClockBuilder::default()
    }

    /// The clocks that begin elsewhere than the host's.
    fn beginning(&self) -> ClockSet {
        self.clocks.unwrap_or_default()
    }

    /// The clocks that run at its speed.
    fn running(&self) -> ClockSet {
        let usual = if self.speed.0 == Rate::ZERO { Clocks::Realtime } else { Clocks::All };
        self.clocks.unwrap_or(usual.into())
    }

    /// Whether it runs at a speed of its own.
    pub fn has_rate(&self) -> bool {
        self.speed.0 != Rate::ONE
    }
}

impl ClockBuilder {
    /// Begins at `time`: from the program's first instruction on, no clock of its own that shows the time
    /// of day shows an earlier one. Takes the place of an offset that was given before.
    pub fn at(mut self, time: impl Into<SystemTime>) -> Self {
        self.clock.start = Start::At(time.into());
        self
    }

    /// Begins so much ahead of the host. Takes the place of a time that was given before.
    pub fn ahead(mut self, by: Duration) -> Self {
        self.clock.start = Start::Ahead(by.as_nanos() as i128);
        self
    }

    /// Begins so much behind the host. Takes the place of a time that was given before.
    pub fn behind(mut self, by: Duration) -> Self {
        self.clock.start = Start::Ahead(-(by.as_nanos() as i128));
        self
    }

    /// Runs so many times as fast as the host: from 0, which is a clock that stands still, to
    /// [`Clock::MAX_RATE`].
    pub fn rate(mut self, rate: impl Into<f64>) -> Self {
        self.rate = Some(rate.into());
        self
    }

    /// The same without rounding.
    pub fn exact_rate(mut self, rate: Rate) -> Self {
        self.clock.speed = Speed(rate);
        self.rate = None;
        self
    }

    /// Stands still.
    pub fn freeze(self) -> Self {
        self.exact_rate(Rate::ZERO)
    }

    /// Which of the kernel's clocks are moved; all others are the host's. If it is not said, a beginning is that
    /// of [`Clocks::Realtime`], as if the time was set, and so is a standstill; a rate is that of [`Clocks::All`],
    /// as if time itself ran faster.
    pub fn clocks(mut self, clocks: impl Into<ClockSet>) -> Self {
        self.clock.clocks = Some(clocks.into());
        self
    }

    /// Can be set by programs that have it without any privilege: by `clock_settime`, `adjtimex` and their like, which move
    /// it for all of them. Where it is changed in any other way, those may that have `CAP_SYS_TIME`. The host's clock is
    /// never set.
    pub fn settable(mut self) -> Self {
        self.clock.setting = Setting::Anybody;
        self
    }

    /// # Errors
    /// [`ClockError::Rate`]. Whether its beginning can be shown is known when a program starts.
    pub fn build(self) -> Result<Clock, ClockError> {
        let mut clock = self.clock;
        if let Some(rate) = self.rate {
            clock.speed = Speed(rate_of(rate).ok_or(ClockError::Rate { rate })?);
        }
        let Rate { whole, fraction } = clock.speed.0;
        if whole > Clock::MAX_RATE || whole == Clock::MAX_RATE && fraction != 0 {
            return Err(ClockError::Rate { rate: float_of(clock.speed.0) });
        }
        Ok(clock)
    }
}

impl From<Clock> for ClockBuilder {
    fn from(clock: Clock) -> Self {
        Self { clock, rate: None }
    }
}

fn rate_of(rate: f64) -> Option<Rate> {
    let is_possible = (0.0..=Clock::MAX_RATE as f64).contains(&rate);
    let whole = rate.trunc();
    // Exact: a float's fraction has 53 bits at most.
    let fraction = ((rate - whole) * 2f64.powi(64)) as u64;
    is_possible.then_some(Rate { whole: whole as u64, fraction })
}

fn float_of(rate: Rate) -> f64 {
    rate.whole as f64 + rate.fraction as f64 / 2f64.powi(64)
}

impl Default for ClockSet {
    fn default() -> Self {
        Clocks::Realtime.into()
    }
}

impl From<Clocks> for ClockSet {
    fn from(clocks: Clocks) -> Self {
        Self(match clocks {
            Clocks::Realtime => clock::SETTABLE | 1 << clock::REALTIME_COARSE,
            Clocks::Monotonic => {
                1 << clock::MONOTONIC | 1 << clock::MONOTONIC_RAW | 1 << clock::MONOTONIC_COARSE
            }
            Clocks::Boottime => 1 << clock::BOOTTIME,
            Clocks::All => u32::MAX,
        })
    }
}

impl<const N: usize> From<[Clocks; N]> for ClockSet {
    fn from(clocks: [Clocks; N]) -> Self {
        clocks.into_iter().collect()
    }
}

impl FromIterator<Clocks> for ClockSet {
    fn from_iter<I: IntoIterator<Item = Clocks>>(clocks: I) -> Self {
        clocks.into_iter().fold(Self(0), |set, clocks| Self(set.0 | Self::from(clocks).0))
    }
}

/// How each of the kernel's clocks is moved, by its id, for a [`Clock`] that begins now.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// For the page of clocks.
    pub transforms: [Transform; clock::LINES],
    /// What is added to the clocks that are moved.
    pub offset: Timespec,
    /// How many seconds of the clocks that are moved are in one of the kernel's.
    pub rate: Rate,
    /// Who may set it.
    pub setting: Setting,
}

impl Plan {
    /// Of a clock that begins now.
    ///
    /// # Errors
    /// [`ClockError::OutOfRange`], [`ClockError::BeforeZero`].
    pub fn of(clock: &Clock) -> Result<Self, ClockError> {
        Self::from_now(clock, &Now::read())
    }

    fn from_now(clock: &Clock, now: &Now) -> Result<Self, ClockError> {
        let offset = now.offset(clock.start)?;
        let Speed(rate) = clock.speed;
        let mut transforms = [Transform::IDENTITY; clock::LINES];
        for &(id, base) in &now.clocks {
            let begins_elsewhere = clock::is_in(id, clock.beginning().0);
            let has_rate = clock::is_in(id, clock.running().0);
            let offset = if begins_elsewhere { offset } else { Timespec::default() };
            let rate = if has_rate { rate } else { Rate::ONE };
            // Of an unmoved clock nothing is to be reported.
            if offset == Timespec::default() && rate == Rate::ONE {
                continue;
            }
            let moved = base.wrapping_add(offset);
            if moved.sec < 0 && !clock::is_in(id, clock::SETTABLE | 1 << clock::REALTIME_COARSE) {
                return Err(ClockError::BeforeZero { up_sec: base.sec });
            }
            transforms[id as usize] = Transform { offset, base, rate };
        }
        Ok(Self { transforms, offset, rate, setting: clock.setting })
    }

    /// Whether any clock runs at a speed of its own.
    pub fn has_rate(&self) -> bool {
        self.rate != Rate::ONE
    }
}

/// `offset +86400.000000000 s, rate 60`.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.offset.as_nanos();
        let (sign, ns) = (if ns < 0 { '-' } else { '+' }, ns.unsigned_abs());
        let per_sec = u128::from(NSEC_PER_SEC);
        write!(f, "offset {sign}{}.{:09} s", ns / per_sec, ns % per_sec)?;
        match self.rate {
            Rate::ONE => Ok(()),
            Rate::ZERO => write!(f, ", frozen"),
            rate => write!(f, ", rate {}", float_of(rate)),
        }
    }
}

/// The host's clocks at its last tick.
///
/// Coarse clocks stand there until the next one. What is computed from an earlier moment than they show
/// would have them begin before the time that was asked for.
struct Now {
    clocks: [(u32, Timespec); 7],
}

impl Now {
    fn read() -> Self {
        Self::by(read)
    }

    fn by(mut read: impl FnMut(u32) -> Timespec) -> Self {
        let (realtime, monotonic) = loop {
            let realtime = read(clock::REALTIME_COARSE);
            let monotonic = read(clock::MONOTONIC_COARSE);
            // No tick in between.
            if read(clock::REALTIME_COARSE) == realtime {
                break (realtime, monotonic);
            }
        };
        // The tick was the same time ago on all clocks.
        let ago = read(clock::MONOTONIC).wrapping_sub(monotonic);
        // TAI is whole seconds ahead of REALTIME; taking them from the same reading keeps it so.
        let ahead = read(clock::TAI).wrapping_sub(ago).wrapping_sub(realtime);
        let ahead = Timespec { sec: ahead.wrapping_add(HALF_A_SECOND).sec, nsec: 0 };
        Self {
            clocks: [
                (clock::REALTIME, realtime),
                (clock::REALTIME_COARSE, realtime),
                (clock::TAI, realtime.wrapping_add(ahead)),
                (clock::MONOTONIC, monotonic),
                (clock::MONOTONIC_COARSE, monotonic),
                (clock::MONOTONIC_RAW, read(clock::MONOTONIC_RAW).wrapping_sub(ago)),
                (clock::BOOTTIME, read(clock::BOOTTIME).wrapping_sub(ago)),
            ],
        }
    }

    fn offset(&self, start: Start) -> Result<Timespec, ClockError> {
        let ns = match start {
            Start::Host => 0,
            Start::At(then) => nanos_of(then) - self.clocks[0].1.as_nanos(),
            Start::Ahead(ns) => ns,
        };
        Timespec::from_nanos(ns).ok_or(ClockError::OutOfRange)
    }
}

/// Nanoseconds since 1970.
fn nanos_of(time: SystemTime) -> i128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i128,
        Err(error) => -(error.duration().as_nanos() as i128),
    }
}

const HALF_A_SECOND: Timespec = Timespec { sec: 0, nsec: NSEC_PER_SEC as i64 / 2 };

/// The host's time of day, by the system call: the calling process may itself run on a clock of its own.
pub fn host_time() -> SystemTime {
    let Timespec { sec, nsec } = read(clock::REALTIME_COARSE);
    let whole = Duration::from_secs(sec.unsigned_abs());
    let second = if sec < 0 { UNIX_EPOCH - whole } else { UNIX_EPOCH + whole };
    second + Duration::from_nanos(nsec as u64)
}

#[cfg(test)]
mod tests;
