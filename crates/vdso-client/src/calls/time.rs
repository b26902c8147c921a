//! `time(2)`.

use super::clock_gettime::clock_gettime;
use crate::arch::{self, HAS_64_BIT_LONG_TIMES};
use crate::clock_id::ClockId;
use crate::errno::Errno;
use crate::own::OwnPages;
use crate::resolve::{Found, slots};
use crate::system_call;

/// The seconds of the wall clock, as of the last timer tick: up to a tick after a second has begun by
/// [`clock_gettime`], this may still be the second before.
///
/// Where there is no such function, or one with 32-bit times, this is [`ClockId::REALTIME_COARSE`].
///
/// # Errors
/// Whatever a seccomp filter says.
#[inline(always)]
pub fn time() -> Result<i64, Errno> {
    match slots::TIME.found() {
        // Elsewhere a result has not room for a time.
        Found::Function(function) if size_of::<isize>() == size_of::<i64>() => {
            // SAFETY: a time, which writes nothing to a null.
            let now = unsafe { arch::call(function, 0, 0) };
            if now >= 0 {
                return Ok(now as i64);
            }
        }
        Found::OnPage => {
            if let Some(pages) = OwnPages::get() {
                if let Some(now) = pages.coarse().read(ClockId::REALTIME_COARSE) {
                    return Ok(now.sec);
                }
            }
        }
        Found::Function(_) | Found::NoFunction => {}
    }
    unusual()
}

/// The first call, a missing function, an error, a time before 1970, a page that does not know.
#[cold]
#[inline]
fn unusual() -> Result<i64, Errno> {
    if !HAS_64_BIT_LONG_TIMES {
        return Ok(clock_gettime(ClockId::REALTIME_COARSE)?.sec);
    }
    let Some(function) = slots::TIME.get() else { return without_function() };
    let mut now = NOT_WRITTEN;
    // SAFETY: a time, and `now` is ours.
    let result = unsafe { arch::call(function, (&raw mut now).expose_provenance(), 0) };
    // Whether it was written tells, not the result: times before 1970 look like errors.
    if now != NOT_WRITTEN {
        return Ok(now);
    }
    match Errno::check(result) {
        Err(error) if error != Errno::ENOSYS => Err(error),
        _ => system_call::time(),
    }
}

/// A time that no clock has.
const NOT_WRITTEN: i64 = i64::MIN;

/// Most architectures have no such function, but one that answers this clock, as on an own page.
fn without_function() -> Result<i64, Errno> {
    if slots::CLOCK_GETTIME.get().is_some() {
        return Ok(clock_gettime(ClockId::REALTIME_COARSE)?.sec);
    }
    system_call::time()
}
