//! `time(2)`: the seconds of REALTIME as of the last tick.

use vdso_data::counts::Counter;

use crate::arch::Long;
use crate::counts::{self, Caller};
use crate::{coarse, slow};

/// Returns the seconds and writes them to `seconds` unless that is null.
///
/// # Safety
/// `seconds` must be null or writable.
#[inline(always)]
pub unsafe fn time(seconds: *mut Long) -> Long {
    let caller = Caller::current();
    match coarse::whole_seconds() {
        Some(now) => {
            let now = now as Long;
            if !seconds.is_null() {
                // SAFETY: not null, and the caller promises that it is writable then.
                unsafe { seconds.write(now) };
            }
            caller.count(Counter::Time as usize, now)
        }
        // SAFETY: the caller's promise is passed on.
        None => unsafe { unusual(seconds) },
    }
}

/// Counts a call that takes more than a look, and makes it.
///
/// # Safety
/// `seconds` must be null or writable.
#[inline(always)]
unsafe fn unusual(seconds: *mut Long) -> Long {
    if cfg!(counts) {
        // SAFETY: the caller's promise is passed on, here and below.
        return unsafe { counted(seconds) };
    }
    // SAFETY: as above.
    unsafe { slow::time(seconds) }
}

/// # Safety
/// As above.
#[cold]
#[inline(never)]
unsafe fn counted(seconds: *mut Long) -> Long {
    counts::count_rarely(Counter::Time as usize, ());
    // SAFETY: the caller's promise is passed on.
    unsafe { slow::time(seconds) }
}
