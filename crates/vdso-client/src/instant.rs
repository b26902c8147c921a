//! `Instant`, as in std.

use core::ops::{Add, AddAssign, Sub, SubAssign};
use core::time::Duration;

use crate::calls::clock_gettime::clock_gettime;
use crate::clock_id::ClockId;
use crate::recent;
use crate::timespec::Timespec;

/// A moment of the clock that never goes back, [`ClockId::MONOTONIC`]; the same clock as
/// `std::time::Instant` reads.
///
/// ```
/// use vdso_client::Instant;
///
/// let start = Instant::now();
/// assert!(start <= Instant::now());
/// println!("it took {:?}", start.elapsed());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub(crate) Timespec);

impl Instant {
    /// Now. Reads are ordered: one that happens after another, on whatever thread, is not earlier.
    ///
    /// # Panics
    /// If the kernel refuses, which only a seccomp filter makes it do; [`clock_gettime`] has it as
    /// an error.
    #[inline(always)]
    #[must_use]
    pub fn now() -> Self {
        match clock_gettime(ClockId::MONOTONIC) {
            Ok(now) => Self(now),
            Err(error) => refused(error),
        }
    }

    /// The moment of the last [`update_recent`](Self::update_recent), on whatever thread: for whoever asks so often
    /// that a read of the clock is too much, and is content with when the program last looked, as in an event loop.
    /// It costs one load. The first of a process, and the next one after a [`reset`](crate::reset), reads the
    /// clock, as each does where there are no 64-bit atomics.
    ///
    /// It never goes back, and is not later than any [`now`](Self::now) that comes after it.
    ///
    /// ```
    /// use vdso_client::Instant;
    ///
    /// let turn = Instant::update_recent();
    /// assert!(Instant::recent() >= turn);
    /// ```
    ///
    /// # Panics
    /// As [`now`](Self::now).
    #[inline(always)]
    #[must_use]
    pub fn recent() -> Self {
        match recent::load() {
            Some(time) => Self(time),
            None => Self::update_recent(),
        }
    }

    /// Reads the clock, for all who ask for a [`recent`](Self::recent) moment from now on.
    ///
    /// # Panics
    /// As [`now`](Self::now).
    #[inline]
    pub fn update_recent() -> Self {
        let now = Self::now();
        recent::update(now.0);
        now
    }

    /// The span since `earlier`; zero if that is later.
    #[must_use]
    pub fn duration_since(&self, earlier: Self) -> Duration {
        self.checked_duration_since(earlier).unwrap_or_default()
    }

    /// The span since `earlier`; `None` if that is later.
    #[must_use]
    pub fn checked_duration_since(&self, earlier: Self) -> Option<Duration> {
        self.0.checked_duration_since(earlier.0)
    }

    /// The same as [`duration_since`](Self::duration_since).
    #[must_use]
    pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.duration_since(earlier)
    }

    /// The span since this moment.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Self::now().duration_since(*self)
    }

    /// This moment and `span`, if there is such a moment.
    #[must_use]
    pub fn checked_add(&self, span: Duration) -> Option<Self> {
        self.0.checked_add(span).map(Self)
    }

    /// This moment less `span`, if there is such a moment.
    #[must_use]
    pub fn checked_sub(&self, span: Duration) -> Option<Self> {
        self.0.checked_sub(span).map(Self)
    }

    /// The clock's own value.
    pub const fn timespec(&self) -> Timespec {
        self.0
    }

    /// From a value of [`ClockId::MONOTONIC`]; `None` if `nsec` is not below 10^9, or is negative.
    ///
    /// Instants are compared by their fields, so each has one form only.
    #[must_use]
    pub const fn from_timespec(time: Timespec) -> Option<Self> {
        if time.is_normal() { Some(Self(time)) } else { None }
    }
}

#[cold]
#[inline(never)]
pub(crate) fn refused(error: crate::errno::Errno) -> ! {
    panic!("cannot read the clock: {error}");
}

/// Operators as std has them: sums panic where there is no such moment, differences of moments are
/// zero where they would be negative.
impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        self.checked_add(span).expect("overflow when adding a duration to an instant")
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        self.checked_sub(span).expect("overflow when subtracting a duration from an instant")
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, span: Duration) {
        *self = *self - span;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.duration_since(earlier)
    }
}
