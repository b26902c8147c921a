//! `gettimeofday(2)`.

use core::ffi::{c_int, c_void};

use vdso_data::arithmetic::{Timespec, whole_micros};
use vdso_data::clock;
use vdso_data::counts::Counter;

use crate::arch::Long;
use crate::counts::{self, Caller};
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
        return unsafe { unusual(tv, tz) };
    }
    let caller = Caller::current();
    match source::read(clock::REALTIME) {
        Some(now) => {
            // SAFETY: `tv` is not null, and the caller promises that it is writable then.
            unsafe { tv.write(Timeval::from(now)) };
            caller.count(Counter::Gettimeofday as usize, 0)
        }
        // SAFETY: the caller's promise is passed on.
        None => unsafe { unusual(tv, tz) },
    }
}

/// Counts a call that takes more than a read of the clock, and makes it.
///
/// # Safety
/// What is not null must be writable.
#[inline(always)]
unsafe fn unusual(tv: *mut Timeval, tz: *mut c_void) -> c_int {
    if cfg!(counts) {
        // SAFETY: the caller's promise is passed on, here and below.
        return unsafe { counted(tv, tz) };
    }
    // SAFETY: as above.
    unsafe { slow::gettimeofday(tv, tz) }
}

/// # Safety
/// As above.
#[cold]
#[inline(never)]
unsafe fn counted(tv: *mut Timeval, tz: *mut c_void) -> c_int {
    counts::count_rarely(Counter::Gettimeofday as usize, ());
    // SAFETY: the caller's promise is passed on.
    unsafe { slow::gettimeofday(tv, tz) }
}
