//! 64-bit RISC-V.

mod detour;
mod enter;
mod exports;
mod trampolines;

use core::arch::asm;

use vdso_arch::counter;

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
    // SAFETY: reads a counter, which Linux lets user mode do; it has no other clocksource here.
    unsafe { counter!() }
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
