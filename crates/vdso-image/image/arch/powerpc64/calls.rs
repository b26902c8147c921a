//! Calls of the kernel's own vDSO functions, whose errors a C compiler's call would lose.

use core::ffi::{c_int, c_void};

use vdso_data::arithmetic::Timespec;

use crate::gettimeofday::Timeval;
use crate::kernel::{ClockGettime, Getcpu, Gettimeofday};

/// # Safety
/// What the kernel does to `ts` must be sound.
#[inline(always)]
pub unsafe fn call_clock_gettime(function: ClockGettime, id: c_int, ts: *mut Timespec) -> c_int {
    // SAFETY: the kernel's own function; the caller vouches for `ts`.
    unsafe { call(function as usize, id as usize, ts.addr(), 0) }
}

/// # Safety
/// What the kernel does to `tv` and `tz` must be sound.
#[inline(always)]
pub unsafe fn call_gettimeofday(function: Gettimeofday, tv: *mut Timeval, tz: *mut c_void) -> c_int {
    // SAFETY: as above.
    unsafe { call(function as usize, tv.addr(), tz.addr(), 0) }
}

/// # Safety
/// What the kernel does to `cpu` and `node` must be sound.
#[inline(always)]
pub unsafe fn call_getcpu(function: Getcpu, cpu: *mut u32, node: *mut u32) -> c_int {
    // SAFETY: as above.
    unsafe { call(function as usize, cpu.addr(), node.addr(), 0) }
}

/// # Safety
/// It must be a function of the kernel's vDSO, and what it does with these arguments must be sound.
#[inline(always)]
unsafe fn call(function: usize, first: usize, second: usize, third: usize) -> c_int {
    // SAFETY: the kernel's functions give R2 back; the caller's promise is passed on.
    unsafe { vdso_arch::powerpc_call!(function, first, second, third) as c_int }
}
