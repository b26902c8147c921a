//! Clocks that advance with the host's timer tick. All sources read them from the kernel's page, as
//! a page of ours is not published at every tick; without a known kernel page they are asked for.
//!
//! Where a clock has a rate of its own, the host's tick is not its own: seconds of it may pass from one to
//! the next. Its coarse twin is then the fine clock itself.
//!
//! Where no Linux is below they are the fine ones, rounded down to ticks of their own, at any rate
//! ([`alone`](crate::alone)).

#[cfg(not(inline_all))]
use core::ffi::c_int;

use vdso_data::arithmetic::Timespec;
use vdso_data::clock;
#[cfg(counts)]
use vdso_data::counts::Counter;
use vdso_data::linux::CLOCK_MODE_TIMENS;
use vdso_data::seqlock;

#[cfg(not(inline_all))]
#[cfg(not(inline_all))]
use crate::clock_gettime::{UNCOUNTED, fine};
#[cfg(counts)]
use crate::clock_gettime::unusual;
#[cfg(counts)]
use crate::counts::Caller;
#[cfg(not(inline_all))]
use crate::slow;
use crate::{alone, kernel, pages};

/// `clock_gettime` of a coarse clock. Out of line, so that it has no registers to save.
///
/// # Safety
/// `ts` must be writable.
#[cfg(not(inline_all))]
#[inline(never)]
pub unsafe fn clock_gettime<const IS_CALL: bool>(id: u32, ts: *mut Timespec) -> c_int {
    #[cfg(counts)]
    if IS_CALL {
        let is_counted = Caller::current().count_at_once(Counter::ClockGettime.of_clock(id));
        // SAFETY: the caller's promise is passed on, here and below.
        let is_read = unsafe { read_to(id, ts) };
        if is_read && is_counted {
            return 0;
        }
        // SAFETY: as above.
        return unsafe { unusual(id as c_int, ts, is_read, is_counted) };
    }
    // SAFETY: the caller's promise is passed on, here and below.
    if unsafe { read_to(id, ts) } {
        return 0;
    }
    match itself_or_twin(id) {
        // SAFETY: as above.
        clock::REALTIME => unsafe { fine::<{ clock::REALTIME }, UNCOUNTED>(ts) },
        // SAFETY: as above.
        clock::MONOTONIC => unsafe { fine::<{ clock::MONOTONIC }, UNCOUNTED>(ts) },
        // SAFETY: as above.
        _ => unsafe { slow::clock_gettime(id as c_int, ts) },
    }
}

/// As the kernel's page has it, moved; nothing, if it says so, where it must be asked for.
///
/// # Safety
/// `ts` must be writable.
#[inline(always)]
pub unsafe fn read_to(id: u32, ts: *mut Timespec) -> bool {
    let Some(now) = read(id) else { return false };
    // SAFETY: the caller promises that `ts` is writable.
    unsafe { ts.write(now) };
    true
}

/// Which clock tells a coarse one's time where the kernel's page does not.
#[inline(always)]
pub fn itself_or_twin(id: u32) -> u32 {
    if alone::has_no_linux() || pages::offset_of(id).is_all() {
        id
    } else if id == clock::REALTIME_COARSE {
        clock::REALTIME
    } else {
        clock::MONOTONIC
    }
}

/// The time of a coarse clock, `None` if it must be asked for.
#[inline(always)]
fn read(id: u32) -> Option<Timespec> {
    let known = &pages::process().hres;
    let in_time_namespace = || kernel::mode(known) == CLOCK_MODE_TIMENS;
    let host = seqlock::read(kernel::seq(known), in_time_namespace, || (), |()| {
        kernel::basetime(known, id)
    })?;
    if let Some(sec) = pages::own().moved_by_seconds(id, host.sec) {
        return Some(Timespec { sec, ..host });
    }
    let offset = pages::offset_of(id);
    let sum = Timespec::carried(
        (host.sec as u64).wrapping_add(offset.sec),
        (host.nsec as u64).wrapping_add(offset.nsec),
    );
    offset.is_all().then_some(sum)
}

/// The whole seconds of REALTIME as of the last tick, `None` if they must be computed or asked for.
#[inline(always)]
pub fn whole_seconds() -> Option<i64> {
    let host = kernel::realtime_sec();
    if host == 0 {
        return None;
    }
    // For a clock that adding seconds does not make, the sum overflows.
    host.checked_add(pages::realtime_seconds_offset())
}
