//! `time(2)`: the seconds of REALTIME as of the last tick.

use crate::arch::Long;
use crate::{coarse, slow};

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
            now
        }
        // SAFETY: the caller's promise is passed on.
        None => unsafe { slow::time(seconds) },
    }
}
