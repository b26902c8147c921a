//! `rustix`'s types.

use crate::{ClockId, Errno, Timespec};

impl From<rustix::time::Timespec> for Timespec {
    #[allow(clippy::useless_conversion, reason = "the field is 32 bits wide on some targets")]
    fn from(time: rustix::time::Timespec) -> Self {
        Self { sec: time.tv_sec, nsec: i64::from(time.tv_nsec) }
    }
}

impl From<Timespec> for rustix::time::Timespec {
    #[allow(clippy::unnecessary_cast, reason = "the field is 32 bits wide on some targets")]
    fn from(time: Timespec) -> Self {
        // Below 10^9, so it fits.
        Self { tv_sec: time.sec, tv_nsec: time.nsec as _ }
    }
}

impl From<rustix::time::ClockId> for ClockId {
    fn from(id: rustix::time::ClockId) -> Self {
        Self::from_raw(id as i32)
    }
}

/// A number that no error of the kernel's has becomes `EINVAL`.
impl From<Errno> for rustix::io::Errno {
    fn from(error: Errno) -> Self {
        // Source: `MAX_ERRNO` in `include/linux/err.h`.
        match error.raw() {
            number @ 1..=4095 => Self::from_raw_os_error(number),
            _ => Self::INVAL,
        }
    }
}
