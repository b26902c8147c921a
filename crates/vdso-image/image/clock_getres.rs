//! `clock_getres(2)`: the resolutions are the host's, whatever the clock is moved by.

use core::ffi::c_int;

use vdso_data::arithmetic::Timespec;
use vdso_data::clock;
use vdso_data::counts::Counter;
use vdso_data::sync::Ordering;

use crate::{alone, arch, counts, pages};

/// Writes the resolution of `id` to `res` unless that is null.
///
/// # Safety
/// `res` must be null or writable.
#[inline(always)]
pub unsafe fn clock_getres(id: c_int, res: *mut Timespec) -> c_int {
    counts::count_rarely(Counter::ClockGetres.of_clock(id as u32), ());
    let page = pages::own();
    let published = if clock::is_in(id as u32, clock::HIGH_RESOLUTION) {
        &page.header.hrtimer_res_ns
    } else if clock::is_in(id as u32, clock::COARSE) {
        &page.header.coarse_res_ns
    } else {
        // SAFETY: the caller's promise is passed on.
        return unsafe { ask_kernel(id, res) };
    };
    // Relaxed: one word that stands alone.
    let nsec = published.load(Ordering::Relaxed);
    if nsec == 0 {
        // Nobody has published it.
        // SAFETY: the caller's promise is passed on.
        return unsafe { ask_kernel(id, res) };
    }
    if !res.is_null() {
        // SAFETY: not null, and the caller promises that it is writable then.
        unsafe { res.write(Timespec { sec: 0, nsec: i64::from(nsec) }) };
    }
    0
}

/// # Safety
/// As for the system call, which checks `res` itself.
#[inline(always)]
unsafe fn ask_kernel(id: c_int, res: *mut Timespec) -> c_int {
    if alone::has_no_system_calls() {
        return -alone::EINVAL;
    }
    // SAFETY: the caller's promise is passed on.
    unsafe { arch::syscall_clock_getres(id, res) }
}
