//! `clock_gettime(2)`.

use core::ffi::c_int;

use vdso_data::arithmetic::Timespec;
use vdso_data::clock;

use crate::{coarse, slow, source};

/// Writes the time of `id` to `ts`.
///
/// # Safety
/// `ts` must be writable, as for the system call; but a bad address faults instead of `EFAULT`.
#[inline(always)]
pub unsafe fn clock_gettime(id: c_int, ts: *mut Timespec) -> c_int {
    let id_bits = id as u32;
    if clock::is_in(id_bits, clock::HIGH_RESOLUTION) {
        // SAFETY: the caller's promise about `ts` is passed on, here and below.
        return unsafe { fine(id, ts) };
    }
    if clock::is_in(id_bits, clock::COARSE) {
        // SAFETY: as above.
        return unsafe { coarse::clock_gettime(id_bits, ts) };
    }
    // SAFETY: as above.
    unsafe { slow::ask_kernel(id, ts) }
}

/// A clock that is computed from the counter. Out of line, so that the other kinds do not pay for
/// the registers that it saves.
///
/// # Safety
/// `ts` must be writable.
#[cfg_attr(not(inline_all), inline(never))]
#[cfg_attr(inline_all, inline(always))]
unsafe fn fine(id: c_int, ts: *mut Timespec) -> c_int {
    // SAFETY: the caller's promise about `ts` is passed on, here and below.
    if unsafe { source::read_to(id as u32, ts) } {
        return 0;
    }
    // SAFETY: as above.
    unsafe { slow::clock_gettime(id, ts) }
}
