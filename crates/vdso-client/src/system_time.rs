//! `SystemTime`, as in std.

use core::fmt;
use core::ops::{Add, AddAssign, Sub, SubAssign};
use core::time::Duration;

use crate::calls::clock_gettime::clock_gettime;
use crate::clock_id::ClockId;
use crate::instant::refused;
use crate::timespec::Timespec;

/// A moment of the wall clock, [`ClockId::REALTIME`], which may be set.
///
/// ```
/// use vdso_client::{SystemTime, UNIX_EPOCH};
///
/// let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH)?;
/// println!("{} s", since_1970.as_secs());
/// # Ok::<(), vdso_client::SystemTimeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemTime(Timespec);

/// The beginning of 1970, UTC.
pub const UNIX_EPOCH: SystemTime = SystemTime::UNIX_EPOCH;

impl SystemTime {
    /// The beginning of 1970, UTC.
    pub const UNIX_EPOCH: Self = Self(Timespec { sec: 0, nsec: 0 });

    /// Now.
    ///
    /// # Panics
    /// If the kernel refuses, which only a seccomp filter makes it do; [`clock_gettime`] has it as
    /// an error.
    #[inline(always)]
    #[must_use]
    pub fn now() -> Self {
        match clock_gettime(ClockId::REALTIME) {
            Ok(now) => Self(now),
            Err(error) => refused(error),
        }
    }

    /// The span since `earlier`.
    ///
    /// # Errors
    /// If that is later; the error has by how much.
    pub fn duration_since(&self, earlier: Self) -> Result<Duration, SystemTimeError> {
        match self.0.checked_duration_since(earlier.0) {
            Some(span) => Ok(span),
            None => {
                let span = earlier.0.checked_duration_since(self.0);
                Err(SystemTimeError(span.unwrap_or_default()))
            }
        }
    }

    /// The span since this moment.
    ///
    /// # Errors
    /// If the clock has been set back before it.
    pub fn elapsed(&self) -> Result<Duration, SystemTimeError> {
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

    /// The clock's own value: the time since 1970.
    pub const fn timespec(&self) -> Timespec {
        self.0
    }

    /// From the time since 1970; `None` if `nsec` is not below 10^9, or is negative.
    ///
    /// Moments are compared by their fields, so each has one form only.
    #[must_use]
    pub const fn from_timespec(time: Timespec) -> Option<Self> {
        if time.is_normal() { Some(Self(time)) } else { None }
    }
}

/// The other moment was later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemTimeError(Duration);

impl SystemTimeError {
    /// By how much.
    pub fn duration(&self) -> Duration {
        self.0
    }
}

impl fmt::Display for SystemTimeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the second time is later than the first")
    }
}

impl core::error::Error for SystemTimeError {}

/// As in std, sums panic where there is no such moment.
impl Add<Duration> for SystemTime {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        self.checked_add(span).expect("overflow when adding a duration to a time")
    }
}

impl AddAssign<Duration> for SystemTime {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub<Duration> for SystemTime {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        self.checked_sub(span).expect("overflow when subtracting a duration from a time")
    }
}

impl SubAssign<Duration> for SystemTime {
    fn sub_assign(&mut self, span: Duration) {
        *self = *self - span;
    }
}
