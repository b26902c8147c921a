//! std's types.

use std::io;
use std::time;

use crate::{Errno, Instant, SystemTime, UNIX_EPOCH};

impl From<Errno> for io::Error {
    fn from(error: Errno) -> Self {
        Self::from_raw_os_error(error.raw())
    }
}

/// Exact: std's time is of the same clock.
///
/// # Panics
/// As std's sums do, if std has no such moment; on Linux it has all.
impl From<SystemTime> for time::SystemTime {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(span) => Self::UNIX_EPOCH + span,
            Err(before) => Self::UNIX_EPOCH - before.duration(),
        }
    }
}

/// Exact, as above.
impl From<time::SystemTime> for SystemTime {
    fn from(time: time::SystemTime) -> Self {
        match time.duration_since(time::SystemTime::UNIX_EPOCH) {
            Ok(span) => UNIX_EPOCH + span,
            Err(before) => UNIX_EPOCH - before.duration(),
        }
    }
}

impl Instant {
    /// The same moment as std's type, for an interface that wants one.
    ///
    /// std tells nobody what is in an `Instant`, so this goes by a third moment, now, which both read:
    /// the result is late by what passes between the two reads, tens of nanoseconds. `None` if std
    /// has no such moment.
    #[must_use]
    pub fn to_std(self) -> Option<time::Instant> {
        let (own, other) = (Self::now(), time::Instant::now());
        match self.checked_duration_since(own) {
            Some(ahead) => other.checked_add(ahead),
            None => other.checked_sub(own.duration_since(self)),
        }
    }

    /// The inverse of [`to_std`](Self::to_std), late by as little.
    #[must_use]
    pub fn from_std(instant: time::Instant) -> Option<Self> {
        let (other, own) = (time::Instant::now(), Self::now());
        match instant.checked_duration_since(other) {
            Some(ahead) => own.checked_add(ahead),
            None => own.checked_sub(other.duration_since(instant)),
        }
    }
}
