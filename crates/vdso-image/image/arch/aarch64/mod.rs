//! arm64. Its vDSO has neither `time` nor `getcpu`.

mod enter;
mod exports;
mod trampolines;

use core::arch::asm;
use core::ffi::c_int;

use vdso_data::process::FLAG_CNTVCTSS;

pub use super::c_calls::*;
pub use super::usual::no_cpu_register::*;
pub use super::usual::*;
use crate::pages;

/// The virtual counter.
///
/// A plain read of it may be made ahead of earlier instructions, so an ISB comes first; CNTVCTSS, which
/// newer CPUs have, needs none. Later loads are kept behind it by a load that depends on it: that one
/// comes before the fence at the end of a page's reading, and with it the counter. Sources: Arm
/// Architecture Reference Manual, D11.1; `arch/arm64/include/asm/arch_timer.h` (Linux 6.18).
#[inline(always)]
pub fn counter() -> u64 {
    let cycles: u64;
    if pages::has_flags(FLAG_CNTVCTSS) {
        // SAFETY: reads a counter. That the CPU has the register is what the flag says, and Linux lets
        // user mode read both. Not `nomem`, so that the compiler, too, keeps memory accesses in place.
        unsafe { asm!("mrs {}, s3_3_c14_c0_6", out(reg) cycles, options(nostack, preserves_flags)) };
    } else {
        // SAFETY: as above.
        unsafe {
            asm!("isb", "mrs {}, cntvct_el0", out(reg) cycles, options(nostack, preserves_flags));
        };
    }
    // SAFETY: loads what is at the stack pointer, to nowhere: the register is always zero.
    unsafe {
        asm!(
            "eor {zero}, {cycles}, {cycles}",
            "add {zero}, sp, {zero}",
            "ldr xzr, [{zero}]",
            cycles = in(reg) cycles,
            zero = out(reg) _,
            options(nostack, preserves_flags),
        );
    };
    cycles
}

/// The address that the linker script gives `own_page`.
#[inline(always)]
pub fn own_page() -> *const u8 {
    let page;
    // SAFETY: computes an address. Written by hand as a reference to an extern static would go
    // through a table that needs relocation.
    unsafe {
        asm!(
            "adrp {page}, own_page",
            "add {page}, {page}, :lo12:own_page",
            page = out(reg) page,
            options(pure, nomem, nostack, preserves_flags),
        );
    };
    page
}

/// The address that the linker script gives `process_page`.
#[inline(always)]
pub fn process_page() -> *const u8 {
    let page;
    // SAFETY: as above.
    unsafe {
        asm!(
            "adrp {page}, process_page",
            "add {page}, {page}, :lo12:process_page",
            page = out(reg) page,
            options(pure, nomem, nostack, preserves_flags),
        );
    };
    page
}

/// Numbers of `include/uapi/asm-generic/unistd.h`.
pub mod number {
    pub const CLOCK_GETTIME: usize = 113;
    pub const CLOCK_GETRES: usize = 114;
    pub const RT_SIGRETURN: usize = 139;
    pub const GETCPU: usize = 168;
    pub const GETTIMEOFDAY: usize = 169;
}

/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
#[inline(always)]
pub unsafe fn syscall(number: usize, first: usize, second: usize) -> c_int {
    let result: usize;
    // SAFETY: the system call convention; the caller answers for the call itself.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") first => result,
            in("x1") second,
            in("x2") 0,
            options(nostack),
        );
    };
    result as c_int
}
