//! Points in time and spans, as the kernel writes them.

use core::fmt;
use core::num::TryFromIntError;
use core::time::Duration;

use vdso_data::arithmetic::{self, NSEC_PER_SEC};

/// Seconds and nanoseconds: `struct __kernel_timespec`, with 64-bit times on every architecture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Timespec {
    /// Whole seconds, rounded down; negative before the clock's beginning.
    pub sec: i64,
    /// Nanoseconds after `sec`, below 10^9.
    pub nsec: i64,
}

impl Timespec {
    /// All of it in nanoseconds.
    pub const fn as_nanos(self) -> i128 {
        self.sec as i128 * NSEC_PER_SEC as i128 + self.nsec as i128
    }

    /// The inverse of [`as_nanos`](Self::as_nanos); `None` if the seconds do not fit.
    pub const fn from_nanos(ns: i128) -> Option<Self> {
        match arithmetic::Timespec::from_nanos(ns) {
            Some(time) => Some(Self { sec: time.sec, nsec: time.nsec }),
            None => None,
        }
    }

    /// Whether `nsec` is what it has to be: the fields can be written by anybody.
    pub(crate) const fn is_normal(self) -> bool {
        self.nsec >= 0 && self.nsec < NSEC_PER_SEC as i64
    }

    /// The span since `earlier`; `None` if that is later, or if `nsec` of either is not below 10^9.
    pub const fn checked_duration_since(self, earlier: Self) -> Option<Duration> {
        if !self.is_normal() || !earlier.is_normal() {
            return None;
        }
        let borrow = self.nsec < earlier.nsec;
        let nsec = self.nsec - earlier.nsec + if borrow { NSEC_PER_SEC as i64 } else { 0 };
        if self.sec < earlier.sec || (borrow && self.sec == earlier.sec) {
            return None;
        }
        // Wraps to the right span, which as an unsigned number always fits.
        let sec = self.sec.wrapping_sub(earlier.sec).wrapping_sub(borrow as i64) as u64;
        Some(Duration::new(sec, nsec as u32))
    }

    /// This time and `span`; `None` if the seconds do not fit, or if `nsec` is not below 10^9.
    pub const fn checked_add(self, span: Duration) -> Option<Self> {
        if !self.is_normal() {
            return None;
        }
        let Some(sec) = self.sec.checked_add_unsigned(span.as_secs()) else { return None };
        let nsec = self.nsec + span.subsec_nanos() as i64;
        if nsec < NSEC_PER_SEC as i64 {
            return Some(Self { sec, nsec });
        }
        let Some(sec) = sec.checked_add(1) else { return None };
        Some(Self { sec, nsec: nsec - NSEC_PER_SEC as i64 })
    }

    /// This time less `span`; `None` if the seconds do not fit, or if `nsec` is not below 10^9.
    pub const fn checked_sub(self, span: Duration) -> Option<Self> {
        if !self.is_normal() {
            return None;
        }
        let Some(sec) = self.sec.checked_sub_unsigned(span.as_secs()) else { return None };
        let nsec = self.nsec - span.subsec_nanos() as i64;
        if nsec >= 0 {
            return Some(Self { sec, nsec });
        }
        let Some(sec) = sec.checked_sub(1) else { return None };
        Some(Self { sec, nsec: nsec + NSEC_PER_SEC as i64 })
    }
}

/// Seconds with nine decimals, as in `-0.500000000`.
impl fmt::Display for Timespec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.as_nanos();
        let (sign, ns) = (if ns < 0 { "-" } else { "" }, ns.unsigned_abs());
        let per_sec = u128::from(NSEC_PER_SEC);
        write!(formatter, "{sign}{}.{:09}", ns / per_sec, ns % per_sec)
    }
}

impl From<arithmetic::Timespec> for Timespec {
    #[inline(always)]
    fn from(time: arithmetic::Timespec) -> Self {
        Self { sec: time.sec, nsec: time.nsec }
    }
}

impl From<Duration> for Timespec {
    /// A span that is too long becomes the longest one.
    fn from(span: Duration) -> Self {
        let sec = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        Self { sec, nsec: i64::from(span.subsec_nanos()) }
    }
}

/// Fails before zero.
impl TryFrom<Timespec> for Duration {
    type Error = TryFromIntError;

    fn try_from(time: Timespec) -> Result<Self, Self::Error> {
        Ok(Self::new(time.sec.try_into()?, time.nsec.try_into()?))
    }
}
