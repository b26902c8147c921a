//! 64-bit MIPS, little-endian, n64. Its vDSO has no trampolines, and neither `time` nor `getcpu`.
//!
//! A call of another function would go through a table of addresses that a dynamic linker fills in, so
//! there are none: everything is part of the exported functions (`--cfg inline_all`).

mod exports;

use core::arch::asm;
use core::ffi::c_int;
use core::mem::MaybeUninit;

use vdso_data::clock;

pub use super::c_calls::*;
pub use super::usual::no_cpu_register::*;
pub use super::usual::*;
use crate::slow;

/// The kernel's MONOTONIC_RAW in nanoseconds: by its own function, which reads whatever counter the
/// machine has, or by a system call. No instruction reads a counter of 64 bits on all of them.
#[inline(always)]
pub fn counter() -> u64 {
    let mut now = MaybeUninit::uninit();
    // SAFETY: `now` is ours.
    let error = unsafe { slow::ask_kernel(clock::MONOTONIC_RAW as c_int, now.as_mut_ptr()) };
    if error != 0 {
        // No kernel of today's.
        return 0;
    }
    // SAFETY: the kernel has answered without an error, so it has written.
    let now = unsafe { now.assume_init() };
    (now.sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.nsec as u64)
}

/// The address that the linker script gives `own_page`.
#[inline(always)]
pub fn own_page() -> *const u8 {
    let page;
    // SAFETY: computes an address. Written by hand as a reference to an extern static would go
    // through a table that needs relocation. The branch's return address is that of the word behind it,
    // which has the distance; the compiler's own is given back.
    unsafe {
        asm!(
            ".set push",
            ".set noreorder",
            ".set noat",
            "move {saved}, $ra",
            "bal 3f",
            "nop",
            "2: .4byte own_page-2b",
            "3: lw {page}, 0($ra)",
            "daddu {page}, {page}, $ra",
            "move $ra, {saved}",
            ".set pop",
            page = out(reg) page,
            saved = out(reg) _,
            options(pure, nomem, nostack),
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
            ".set push",
            ".set noreorder",
            ".set noat",
            "move {saved}, $ra",
            "bal 3f",
            "nop",
            "2: .4byte process_page-2b",
            "3: lw {page}, 0($ra)",
            "daddu {page}, {page}, $ra",
            "move $ra, {saved}",
            ".set pop",
            page = out(reg) page,
            saved = out(reg) _,
            options(pure, nomem, nostack),
        );
    };
    page
}
