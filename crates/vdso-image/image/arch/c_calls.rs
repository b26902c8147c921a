//! Calls of the kernel's own vDSO functions where they are C functions and say the negative error
//! number themselves.

use core::ffi::{c_int, c_void};
use core::ptr;

use vdso_data::arithmetic::Timespec;

use crate::gettimeofday::Timeval;
use crate::kernel::{ClockGettime, Getcpu, Gettimeofday};

/// # Safety
/// What the kernel does to `ts` must be sound.
#[inline(always)]
pub unsafe fn call_clock_gettime(function: ClockGettime, id: c_int, ts: *mut Timespec) -> c_int {
    // SAFETY: the kernel's own function, called by its C type; the caller vouches for `ts`.
    unsafe { function(id, ts) }
}

/// # Safety
/// What the kernel does to `tv` and `tz` must be sound.
#[inline(always)]
pub unsafe fn call_gettimeofday(function: Gettimeofday, tv: *mut Timeval, tz: *mut c_void) -> c_int {
    // SAFETY: as above.
    unsafe { function(tv, tz) }
}

/// # Safety
/// What the kernel does to `cpu` and `node` must be sound.
#[inline(always)]
pub unsafe fn call_getcpu(function: Getcpu, cpu: *mut u32, node: *mut u32) -> c_int {
    // SAFETY: as above.
    unsafe { function(cpu, node, ptr::null_mut()) }
}
