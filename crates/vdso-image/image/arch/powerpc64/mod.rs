//! 64-bit PowerPC, little-endian (ELFv2).
//!
//! Functions of the vDSO, and system calls, report an error by the bit SO of the condition register's
//! field 0, with the positive error number as the result. Inside the image errors are negative; the
//! functions in `exports.rs` and the calls here translate.
//!
//! Nothing uses R2, which is the caller's: an image has no table of contents.

mod calls;
mod exports;
mod trampolines;

use core::arch::asm;

use vdso_arch::counter;

pub use self::calls::*;
pub use super::usual::*;

/// The time base. A read of it may be made ahead of earlier instructions, and later ones ahead of it, so
/// ISYNC stands on both sides. Source: Power ISA, book II, "Time Base" and "Instruction Synchronize".
#[inline(always)]
pub fn counter() -> u64 {
    // SAFETY: reads a counter, which is user mode's.
    unsafe { counter!() }
}

/// Bits of the kernel's per-CPU word that are the CPU's number; the node is above them.
/// `vdso_getcpu_init` in `arch/powerpc/kernel/vdso.c` (Linux 6.18).
pub const CPU_BITS: u32 = 16;

/// The kernel's word for the CPU that this runs on, in the register SPRG3.
#[inline(always)]
pub fn cpu_and_node() -> Option<u32> {
    let word: u64;
    // SAFETY: reads a register that the kernel has set up for that.
    unsafe { asm!("mfspr {}, 259", out(reg) word, options(nomem, nostack, preserves_flags)) };
    Some(word as u32)
}

/// The address that the linker script gives `own_page`.
#[inline(always)]
pub fn own_page() -> *const u8 {
    let page;
    // SAFETY: computes an address. Written by hand as a reference to an extern static would go
    // through a table that needs relocation.
    unsafe {
        asm!(
            "bcl 20, 31, 2f",
            "2: mflr {page}",
            "addis {page}, {page}, own_page-2b@ha",
            "addi {page}, {page}, own_page-2b@l",
            page = out(reg_nonzero) page,
            out("lr") _,
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
            "bcl 20, 31, 2f",
            "2: mflr {page}",
            "addis {page}, {page}, process_page-2b@ha",
            "addi {page}, {page}, process_page-2b@l",
            page = out(reg_nonzero) page,
            out("lr") _,
            options(pure, nomem, nostack, preserves_flags),
        );
    };
    page
}
