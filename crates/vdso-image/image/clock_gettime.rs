//! `clock_gettime(2)`.

use core::ffi::c_int;

use vdso_data::arithmetic::Timespec;
use vdso_data::clock;

use crate::{coarse, slow, source};

/// The clocks that one function computes from the counter: in the kernel's page MONOTONIC_RAW is elsewhere.
#[cfg(all(source = "host", not(inline_all)))]
const STEERED: u32 = clock::HIGH_RESOLUTION & !(1 << clock::MONOTONIC_RAW);
#[cfg(not(any(source = "host", inline_all)))]
const STEERED: u32 = clock::HIGH_RESOLUTION;

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
    let id_bits = id as u32;
    if clock::is_in(id_bits, STEERED) {
        // SAFETY: the caller's promise about `ts` is passed on, here and below.
        return unsafe { fine(id, ts) };
    }
    if clock::is_in(id_bits, clock::COARSE) {
        // SAFETY: as above.
        return unsafe { coarse::clock_gettime(id_bits, ts) };
    }
    #[cfg(source = "host")]
    if id_bits == clock::MONOTONIC_RAW {
        // SAFETY: as above.
        return unsafe { raw(ts) };
    }
    // SAFETY: as above.
    unsafe { slow::ask_kernel(id, ts) }
}

/// A clock that is computed from the counter. Out of line, so that the other kinds do not pay for
/// the registers that it saves.
///
/// # Safety
/// `id` must be of [`STEERED`], and `ts` writable.
#[cfg(not(inline_all))]
#[inline(never)]
pub unsafe fn fine(id: c_int, ts: *mut Timespec) -> c_int {
    // SAFETY: the caller says so. It spares the arithmetic a bounds check.
    unsafe { core::hint::assert_unchecked(clock::is_in(id as u32, STEERED)) };
    // SAFETY: the caller's promise about `ts` is passed on, here and below.
    if unsafe { source::read_to(id as u32, ts) } {
        return 0;
    }
    // SAFETY: as above.
    unsafe { slow::clock_gettime(id, ts) }
}

/// MONOTONIC_RAW, whose places in the kernel's page are others: two functions know them beforehand.
///
/// # Safety
/// `ts` must be writable.
#[cfg(all(source = "host", not(inline_all)))]
#[inline(never)]
unsafe fn raw(ts: *mut Timespec) -> c_int {
    // SAFETY: the caller's promise about `ts` is passed on, here and below.
    if unsafe { source::read_to(clock::MONOTONIC_RAW, ts) } {
        return 0;
    }
    // SAFETY: as above.
    unsafe { slow::clock_gettime(clock::MONOTONIC_RAW as c_int, ts) }
}
