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
use core::ffi::c_int;

pub use self::calls::*;
pub use super::usual::*;

/// The time base. A read of it may be made ahead of earlier instructions, and later ones ahead of it, so
/// ISYNC stands on both sides. Source: Power ISA, book II, "Time Base" and "Instruction Synchronize".
#[inline(always)]
pub fn counter() -> u64 {
    let cycles: u64;
    // SAFETY: reads a counter, which is user mode's. Not `nomem`, so that the compiler, too, keeps memory
    // accesses in place.
    unsafe {
        asm!("isync", "mfspr {}, 268", "isync", out(reg) cycles, options(nostack, preserves_flags));
    };
    cycles
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

/// Numbers of `arch/powerpc/kernel/syscalls/syscall.tbl`.
pub mod number {
    pub const GETTIMEOFDAY: usize = 78;
    pub const RT_SIGRETURN: usize = 172;
    pub const CLOCK_GETTIME: usize = 246;
    pub const CLOCK_GETRES: usize = 247;
    pub const GETCPU: usize = 302;
}

/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
#[inline(always)]
pub unsafe fn syscall(number: usize, first: usize, second: usize) -> c_int {
    let (value, condition): (usize, usize);
    // SAFETY: the system call convention; the caller answers for the call itself.
    unsafe {
        asm!(
            "sc",
            "mfcr 0",
            inlateout("r0") number => condition,
            inlateout("r3") first => value,
            inlateout("r4") second => _,
            inlateout("r5") 0 => _,
            lateout("r6") _,
            lateout("r7") _,
            lateout("r8") _,
            lateout("r9") _,
            lateout("r10") _,
            lateout("r11") _,
            lateout("r12") _,
            lateout("cr0") _,
            lateout("ctr") _,
            lateout("xer") _,
            options(nostack),
        );
    };
    calls::result(value, condition)
}
