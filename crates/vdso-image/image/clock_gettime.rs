//! `clock_gettime(2)`.

use core::ffi::c_int;

use vdso_data::arithmetic::Timespec;
use vdso_data::clock;
#[cfg(counts)]
use vdso_data::counts::Counter;

#[cfg(counts)]
use crate::counts::{self, Caller};
use crate::{coarse, slow, source};

/// The clocks from the counter that no function of its own knows.
#[cfg(not(inline_all))]
const RARE: u32 = clock::HIGH_RESOLUTION
    & !(1 << clock::MONOTONIC | 1 << clock::REALTIME | 1 << clock::MONOTONIC_RAW);

/// Writes the time of `id` to `ts`. Where all is one function there is one slow path for all clocks.
///
/// # Safety
/// `ts` must be writable.
#[cfg(inline_all)]
#[inline(always)]
pub unsafe fn clock_gettime(id: c_int, ts: *mut Timespec) -> c_int {
    let id_bits = id as u32;
    let is_fine = clock::is_in(id_bits, clock::HIGH_RESOLUTION);
    // SAFETY: the caller's promise about `ts` is passed on, here and below.
    if is_fine && unsafe { source::read_to(id_bits, ts) } {
        return 0;
    }
    let is_coarse = clock::is_in(id_bits, clock::COARSE);
    // SAFETY: as above.
    if is_coarse && unsafe { coarse::read_to(id_bits, ts) } {
        return 0;
    }
    let id = if is_coarse { coarse::itself_or_twin(id_bits) as c_int } else { id };
    if is_fine || is_coarse {
        // SAFETY: as above.
        unsafe { slow::clock_gettime(id, ts) }
    } else {
        // SAFETY: as above.
        unsafe { slow::ask_kernel(id, ts) }
    }
}

/// Writes the time of `id` to `ts`.
///
/// # Safety
/// `ts` must be writable, as for the system call; but a bad address faults instead of `EFAULT`.
#[cfg(not(inline_all))]
#[inline(always)]
pub unsafe fn clock_gettime(id: c_int, ts: *mut Timespec) -> c_int {
    // SAFETY: the caller's promise about `ts` is passed on.
    unsafe { of_kind::<COUNTED>(id, ts) }
}

/// The same within another function, which is the one that was called.
///
/// # Safety
/// `ts` must be writable.
#[cfg(not(inline_all))]
#[inline(always)]
pub unsafe fn within(id: c_int, ts: *mut Timespec) -> c_int {
    // SAFETY: as above.
    unsafe { of_kind::<UNCOUNTED>(id, ts) }
}

#[cfg(inline_all)]
pub use clock_gettime as within;

/// Whether a read is a call of `clock_gettime`. In an image that counts none it makes no difference.
pub const COUNTED: bool = cfg!(counts);
pub const UNCOUNTED: bool = false;

#[cfg(not(inline_all))]
#[inline(always)]
unsafe fn of_kind<const IS_CALL: bool>(id: c_int, ts: *mut Timespec) -> c_int {
    let id_bits = id as u32;
    // One by one and by a difference: of a `match` the compiler makes a table of jumps.
    if id_bits == clock::MONOTONIC {
        // SAFETY: the caller's promise about `ts` is passed on, here and below.
        return unsafe { fine::<{ clock::MONOTONIC }, IS_CALL>(ts) };
    }
    if id_bits == clock::REALTIME {
        // SAFETY: as above.
        return unsafe { fine::<{ clock::REALTIME }, IS_CALL>(ts) };
    }
    if id_bits == clock::MONOTONIC_RAW {
        // SAFETY: as above.
        return unsafe { fine::<{ clock::MONOTONIC_RAW }, IS_CALL>(ts) };
    }
    const _: () = assert!(clock::MONOTONIC_COARSE == clock::REALTIME_COARSE + 1);
    if id_bits.wrapping_sub(clock::REALTIME_COARSE) <= 1 {
        // SAFETY: as above.
        return unsafe { coarse::clock_gettime::<IS_CALL>(id_bits, ts) };
    }
    if clock::is_in(id_bits, RARE) {
        // SAFETY: as above.
        return unsafe { rarely::<IS_CALL>(id, ts) };
    }
    #[cfg(counts)]
    if IS_CALL {
        // SAFETY: as above.
        return unsafe { of_no_page(id, ts) };
    }
    // SAFETY: as above.
    unsafe { slow::of_no_page(id, ts) }
}

/// A clock that is computed from the counter, for those who ask for it all the time: its place in the
/// pages is known beforehand. Out of line, so that the others do not pay for the registers that it saves.
///
/// # Safety
/// `ts` must be writable.
#[cfg(not(inline_all))]
#[inline(never)]
pub unsafe fn fine<const ID: u32, const IS_CALL: bool>(ts: *mut Timespec) -> c_int {
    #[cfg(counts)]
    if IS_CALL {
        // SAFETY: the caller's promise about `ts` is passed on.
        return unsafe { counted(ID, ts) };
    }
    // SAFETY: the caller's promise about `ts` is passed on, here and below.
    if unsafe { source::read_to(ID, ts) } {
        return 0;
    }
    // SAFETY: as above.
    unsafe { slow::clock_gettime(ID as c_int, ts) }
}

/// Reads a clock, and counts the call.
///
/// # Safety
/// `id` must be of a clock that is computed from the counter, and `ts` writable.
#[cfg(counts)]
#[inline(always)]
unsafe fn counted(id: u32, ts: *mut Timespec) -> c_int {
    let caller = Caller::current();
    let mut is_counted = false;
    let count = || is_counted = caller.count_at_once(Counter::ClockGettime.of_clock(id));
    // SAFETY: the caller's promise about `ts` is passed on, here and below.
    let is_read = unsafe { source::try_to(id, ts, count) };
    if is_read && is_counted {
        return 0;
    }
    // SAFETY: as above.
    unsafe { unusual(id as c_int, ts, is_read, is_counted) }
}

/// Does what is left of a call's read and count.
///
/// # Safety
/// `ts` must be writable.
#[cfg(counts)]
#[cold]
#[inline(never)]
pub unsafe fn unusual(id: c_int, ts: *mut Timespec, is_read: bool, is_counted: bool) -> c_int {
    if !is_counted {
        counts::count_rarely(Counter::ClockGettime.of_clock(id as u32), ());
    }
    if is_read {
        return 0;
    }
    if clock::is_in(id as u32, clock::COARSE) {
        // SAFETY: the caller's promise about `ts` is passed on, here and below.
        return unsafe { coarse::clock_gettime::<UNCOUNTED>(id as u32, ts) };
    }
    // SAFETY: as above.
    unsafe { slow::clock_gettime(id, ts) }
}

/// Any other that is computed from the counter.
///
/// # Safety
/// `id` must be of [`RARE`], and `ts` writable.
#[cfg(not(inline_all))]
#[inline(never)]
unsafe fn rarely<const IS_CALL: bool>(id: c_int, ts: *mut Timespec) -> c_int {
    // SAFETY: the caller says so. It spares the arithmetic a bounds check.
    unsafe { core::hint::assert_unchecked(clock::is_in(id as u32, RARE)) };
    #[cfg(counts)]
    if IS_CALL {
        // SAFETY: the caller's promise about `ts` is passed on.
        return unsafe { counted(id as u32, ts) };
    }
    // SAFETY: the caller's promise about `ts` is passed on, here and below.
    if unsafe { source::read_to(id as u32, ts) } {
        return 0;
    }
    // SAFETY: as above.
    unsafe { slow::clock_gettime(id, ts) }
}

/// A clock that no page has.
///
/// # Safety
/// As for the system call, which checks `ts` itself.
#[cfg(counts)]
#[cold]
#[inline(never)]
unsafe fn of_no_page(id: c_int, ts: *mut Timespec) -> c_int {
    counts::count_rarely(Counter::ClockGettime.of_clock(id as u32), ());
    // SAFETY: the caller's promise is passed on.
    unsafe { slow::of_no_page(id, ts) }
}
