//! `gettimeofday(2)`.

use core::ffi::{c_int, c_void};

use vdso_data::arithmetic::{Timespec, whole_micros};
use vdso_data::clock;

use crate::arch::Long;
use crate::{slow, source};

/// `struct timeval`, in the kernel's own `long`; that of `vdso_data` has 64 bits everywhere.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Timeval {
    /// Whole seconds.
    pub sec: Long,
    /// Microseconds.
    pub usec: Long,
}

impl From<Timespec> for Timeval {
    #[inline(always)]
    fn from(time: Timespec) -> Self {
        Self { sec: time.sec as Long, usec: whole_micros(time.nsec as u64) as Long }
    }
}

/// Writes REALTIME to `tv` and the system's time zone to `tz`; either may be null.
///
/// # Safety
/// What is not null must be writable.
#[inline(always)]
pub unsafe fn gettimeofday(tv: *mut Timeval, tz: *mut c_void) -> c_int {
    if tv.is_null() || !tz.is_null() {
        // SAFETY: the caller's promise is passed on.
        return unsafe { slow::gettimeofday(tv, tz) };
    }
    match source::read(clock::REALTIME) {
        Some(now) => {
            // SAFETY: `tv` is not null, and the caller promises that it is writable then.
            unsafe { tv.write(Timeval::from(now)) };
            0
        }
        // SAFETY: the caller's promise is passed on.
        None => unsafe { slow::gettimeofday(tv, tz) },
    }
}
