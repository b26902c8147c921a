//! arm64. Its vDSO has neither `time` nor `getcpu`.

mod detour;
mod enter;
mod exports;
mod trampolines;

use core::arch::asm;

use vdso_arch::{after_counter_value, counter, counter_self_synchronized};
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
        // user mode read both.
        cycles = unsafe { counter_self_synchronized!() };
    } else {
        // SAFETY: as above.
        cycles = unsafe { counter!() };
    }
    // SAFETY: loads what is at the stack pointer, to nowhere: the register is always zero.
    unsafe { after_counter_value!(cycles) };
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
