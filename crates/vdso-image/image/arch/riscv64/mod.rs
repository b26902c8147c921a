//! 64-bit RISC-V.

mod enter;
mod exports;
mod trampolines;

use core::arch::asm;
use core::ffi::c_int;

pub use super::c_calls::*;
pub use super::usual::no_cpu_register::*;
pub use super::usual::*;

/// The wall-clock counter.
///
/// Reads of it are device input to a fence: the first one keeps it behind every earlier access of
/// memory, the second keeps later loads behind it. Source: the instruction set manual, "Zicsr", "CSR
/// access ordering".
#[inline(always)]
pub fn counter() -> u64 {
    let cycles: u64;
    // SAFETY: reads a counter, which Linux lets user mode do; it has no other clocksource here. Not
    // `nomem`, so that the compiler, too, keeps memory accesses in place.
    unsafe {
        asm!("fence rw, i", "rdtime {}", "fence i, r", out(reg) cycles, options(nostack, preserves_flags));
    };
    cycles
}

/// The address that the linker script gives `own_page`.
#[inline(always)]
pub fn own_page() -> *const u8 {
    let page;
    // SAFETY: computes an address. Written by hand as a reference to an extern static would go
    // through a table that needs relocation.
    unsafe { asm!("lla {}, own_page", out(reg) page, options(pure, nomem, nostack, preserves_flags)) };
    page
}

/// The address that the linker script gives `process_page`.
#[inline(always)]
pub fn process_page() -> *const u8 {
    let page;
    // SAFETY: as above.
    unsafe { asm!("lla {}, process_page", out(reg) page, options(pure, nomem, nostack, preserves_flags)) };
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
            "ecall",
            in("a7") number,
            inlateout("a0") first => result,
            in("a1") second,
            in("a2") 0,
            options(nostack),
        );
    };
    result as c_int
}
