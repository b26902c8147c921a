//! Calls of the kernel's own vDSO functions, whose errors a C compiler's call would lose.

use core::arch::asm;
use core::ffi::{c_int, c_void};

use vdso_data::arithmetic::Timespec;

use crate::gettimeofday::Timeval;
use crate::kernel::{ClockGettime, Getcpu, Gettimeofday};

/// SO of field 0, as `mfcr` gives the condition register.
const SUMMARY_OVERFLOW: usize = 1 << 28;

/// The value, or the negative error number.
#[inline(always)]
pub const fn result(value: usize, condition: usize) -> c_int {
    let value = value as c_int;
    if condition & SUMMARY_OVERFLOW != 0 { value.wrapping_neg() } else { value }
}

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
    let (value, condition): (usize, usize);
    // SAFETY: the C calling convention with its volatile registers, and CR0 read right after it; the
    // kernel's functions give R2 back. The stack may be used, so not `nostack`: the compiler then makes a
    // frame with room for what a callee saves in its caller's.
    unsafe {
        asm!(
            "mtctr 12",
            "bctrl",
            "mfcr 0",
            inlateout("r12") function => _,
            inlateout("r3") first => value,
            inlateout("r4") second => _,
            inlateout("r5") third => _,
            lateout("r0") condition,
            clobber_abi("C"),
        );
    };
    result(value, condition)
}
