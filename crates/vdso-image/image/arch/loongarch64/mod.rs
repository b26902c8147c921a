//! 64-bit LoongArch. The CPU's number is in no register, so `getcpu` is the kernel's.

mod exports;
mod trampolines;

use core::arch::asm;

use vdso_arch::counter;

pub use super::c_calls::*;
pub use super::usual::no_cpu_register::*;
pub use super::usual::*;

/// The stable counter. Nothing is said of its order, so a full barrier stands on both sides. Source:
/// LoongArch Reference Manual, volume 1, "RDTIME" and "DBAR".
#[inline(always)]
pub fn counter() -> u64 {
    // SAFETY: reads a counter, which Linux lets user mode do.
    unsafe { counter!() }
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
