//! 32-bit ARM, version 7, EABI. Its vDSO has no trampolines, and neither `time` nor `getcpu`.

mod exports;

use core::arch::asm;

use vdso_arch::counter;

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
    // SAFETY: reads a counter. That the CPU has it, and that the kernel lets user mode read it, is checked
    // before an image that calls this is chosen.
    unsafe { counter!() }
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
