//! 32-bit ARM, version 7, EABI. Its vDSO has no trampolines, and neither `time` nor `getcpu`.

mod exports;

use core::arch::asm;
use core::ffi::c_int;

pub use super::c_calls::*;
pub use super::usual::no_cpu_register::*;
pub use super::usual::*;

/// The virtual counter.
///
/// A plain read of it may be made ahead of earlier instructions, so an ISB comes first. Later loads are
/// kept behind it by a load that depends on it: that one comes before the fence at the end of a page's
/// reading, and with it the counter. Source: Arm Architecture Reference Manual, ARMv7-A, B8.1.
#[inline(always)]
pub fn counter() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reads a counter. That the CPU has it, and that the kernel lets user mode read it, is checked
    // before an image that calls this is chosen. Not `nomem`, so that the compiler, too, keeps memory
    // accesses in place. Then it loads what is at the stack pointer, for nobody.
    unsafe {
        asm!(
            "isb",
            "mrrc p15, 1, {low}, {high}, c14",
            "eor {zero}, {low}, {low}",
            "ldr {zero}, [sp, {zero}]",
            low = out(reg) low,
            high = out(reg) high,
            zero = out(reg) _,
            options(nostack, preserves_flags),
        );
    };
    u64::from(high) << 32 | u64::from(low)
}

/// The address that the linker script gives `own_page`.
#[inline(always)]
pub fn own_page() -> *const u8 {
    let page;
    // SAFETY: computes an address. Written by hand as a reference to an extern static would go
    // through a table that needs relocation. The program counter reads as eight bytes ahead.
    unsafe {
        asm!(
            "movw {page}, #:lower16:(own_page - (2f + 8))",
            "movt {page}, #:upper16:(own_page - (2f + 8))",
            "2: add {page}, pc, {page}",
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
            "movw {page}, #:lower16:(process_page - (2f + 8))",
            "movt {page}, #:upper16:(process_page - (2f + 8))",
            "2: add {page}, pc, {page}",
            page = out(reg) page,
            options(pure, nomem, nostack, preserves_flags),
        );
    };
    page
}

/// Numbers of `arch/arm/tools/syscall.tbl`: those with 64-bit times.
pub mod number {
    pub const GETTIMEOFDAY: usize = 78;
    pub const GETCPU: usize = 345;
    pub const CLOCK_GETTIME: usize = 403;
    pub const CLOCK_GETRES: usize = 406;
}

/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
#[inline(always)]
pub unsafe fn syscall(number: usize, first: usize, second: usize) -> c_int {
    let result: usize;
    // SAFETY: the system call convention; the caller answers for the call itself. R7 may be the
    // compiler's own, so it is exchanged for the number and back.
    unsafe {
        asm!(
            "mov {saved}, r7",
            "mov r7, {number}",
            "svc 0",
            "mov r7, {saved}",
            saved = out(reg) _,
            number = in(reg) number,
            inlateout("r0") first => result,
            in("r1") second,
            in("r2") 0,
            options(nostack),
        );
    };
    result as c_int
}
