//! What `gettimeofday(2)` writes.
//!
//! Source: gettimeofday(2); `include/uapi/linux/time.h` (Linux 6.18).

use crate::arithmetic::Timespec;

/// Seconds and microseconds: `struct timeval` with 64-bit times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Timeval {
    /// Whole seconds, rounded down; negative before 1970.
    pub sec: i64,
    /// Microseconds after `sec`, below 10^6.
    pub usec: i64,
}

impl From<Timespec> for Timeval {
    /// Rounds down.
    #[inline(always)]
    fn from(time: Timespec) -> Self {
        // Unsigned, as that divides by a multiplication alone.
        Self { sec: time.sec, usec: (time.nsec as u64 / NSEC_PER_USEC) as i64 }
    }
}

const NSEC_PER_USEC: u64 = 1_000;

/// The kernel's idea of a time zone: `struct timezone`. Nothing depends on it; it is what somebody
/// told the kernel once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Timezone {
    /// Minutes west of Greenwich.
    pub minutes_west: i32,
    /// A kind of summer time.
    pub dst_time: i32,
}

const _: () = {
    assert!(size_of::<Timeval>() == 16 && core::mem::offset_of!(Timeval, usec) == 8);
    assert!(size_of::<Timezone>() == 8 && core::mem::offset_of!(Timezone, dst_time) == 4);
};
