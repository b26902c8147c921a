//! `time(2)`: the seconds of REALTIME as of the last tick.

use vdso_data::counts::Counter;

use crate::arch::Long;
use crate::{coarse, counts, slow};

/// Returns the seconds and writes them to `seconds` unless that is null.
///
/// # Safety
/// `seconds` must be null or writable.
#[inline(always)]
pub unsafe fn time(seconds: *mut Long) -> Long {
    match coarse::whole_seconds() {
        Some(now) => {
            let now = now as Long;
            if !seconds.is_null() {
                // SAFETY: not null, and the caller promises that it is writable then.
                unsafe { seconds.write(now) };
            }
            if counts::add(Counter::Time as usize) { now } else { count_rarely(now) }
        }
        None => {
            counts::add_rarely(Counter::Time as usize);
            // SAFETY: the caller's promise is passed on.
            unsafe { slow::time(seconds) }
        }
    }
}

/// Counts a call that has not been counted, and gives its result.
#[cold]
#[inline(never)]
fn count_rarely(now: Long) -> Long {
    counts::add_rarely(Counter::Time as usize);
    now
}
