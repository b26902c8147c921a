//! 64-bit LoongArch. The CPU's number is in no register, so `getcpu` is the kernel's.

mod exports;
mod trampolines;

use core::arch::asm;
use core::ffi::c_int;

pub use super::c_calls::*;
pub use super::usual::no_cpu_register::*;
pub use super::usual::*;

/// The stable counter. Nothing is said of its order, so a full barrier stands on both sides. Source:
/// LoongArch Reference Manual, volume 1, "RDTIME" and "DBAR".
#[inline(always)]
pub fn counter() -> u64 {
    let cycles: u64;
    // SAFETY: reads a counter, which Linux lets user mode do. Not `nomem`, so that the compiler, too,
    // keeps memory accesses in place.
    unsafe {
        asm!("dbar 0", "rdtime.d {}, $zero", "dbar 0", out(reg) cycles, options(nostack, preserves_flags));
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
        asm!("la.pcrel {}, own_page", out(reg) page, options(pure, nomem, nostack, preserves_flags));
    };
    page
}

/// The address that the linker script gives `process_page`.
#[inline(always)]
pub fn process_page() -> *const u8 {
    let page;
    // SAFETY: as above.
    unsafe {
        asm!("la.pcrel {}, process_page", out(reg) page, options(pure, nomem, nostack, preserves_flags));
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
            "syscall 0",
            in("$a7") number,
            inlateout("$a0") first => result,
            in("$a1") second,
            in("$a2") 0,
            out("$t0") _,
            out("$t1") _,
            out("$t2") _,
            out("$t3") _,
            out("$t4") _,
            out("$t5") _,
            out("$t6") _,
            out("$t7") _,
            out("$t8") _,
            options(nostack),
        );
    };
    result as c_int
}
