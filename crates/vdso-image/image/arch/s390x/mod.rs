//! IBM Z, 64 bits.

mod exports;
mod trampolines;

use core::arch::asm;
use core::mem::MaybeUninit;

use vdso_arch::store_counter;
use vdso_data::process::FLAG_CPU_IN_TOD;

pub use super::c_calls::*;
pub use super::usual::*;
use crate::{kernel, pages};

/// The time-of-day clock as the kernel counts it: steered, where it has been set to that of other
/// machines lately.
///
/// STORE CLOCK FAST waits for nothing, so the processor is serialised before it (`bcr 15,0`) and again
/// behind it, for loads may overtake what it stores. Sources: z/Architecture Principles of Operation;
/// `arch/s390/include/asm/vdso/gettimeofday.h` (Linux 6.18).
#[inline(always)]
pub fn counter() -> u64 {
    let mut tod = MaybeUninit::<u64>::uninit();
    // SAFETY: writes eight bytes to `tod`.
    unsafe { store_counter!(tod.as_mut_ptr()) };
    // SAFETY: written just now.
    steered(unsafe { tod.assume_init() })
}

/// When the clock has jumped by `delta` to that of other machines, the kernel takes the jump back for its
/// clocks, and lets what it took back shrink by a cycle in 2^15 until `end`.
#[inline(always)]
fn steered(tod: u64) -> u64 {
    let Some((end, delta)) = kernel::counter_steering(pages::process()) else {
        return tod;
    };
    let left = end.wrapping_sub(tod) as i64;
    if left <= 0 {
        return tod;
    }
    let taken_back = (left >> 15) as u64;
    if delta < 0 { tod.wrapping_add(taken_back) } else { tod.wrapping_sub(taken_back) }
}

/// Bits of the kernel's per-CPU word that are the CPU's number. There is one node.
pub const CPU_BITS: u32 = 16;

/// The CPU's number, which the kernel has put into the clock's programmable field.
#[inline(always)]
pub fn cpu_and_node() -> Option<u32> {
    if !pages::has_flags(FLAG_CPU_IN_TOD) {
        return None;
    }
    let mut clock = MaybeUninit::<[u16; 8]>::uninit();
    // SAFETY: writes sixteen bytes to `clock`.
    unsafe { asm!("stcke 0({})", in(reg_addr) clock.as_mut_ptr(), options(nostack)) };
    // SAFETY: written just now.
    let [.., programmable] = unsafe { clock.assume_init() };
    Some(u32::from(programmable))
}

/// The address that the linker script gives `own_page`.
#[inline(always)]
pub fn own_page() -> *const u8 {
    let page;
    // SAFETY: computes an address. Written by hand as a reference to an extern static would go
    // through a table that needs relocation.
    unsafe { asm!("larl {}, own_page", out(reg) page, options(pure, nomem, nostack, preserves_flags)) };
    page
}

/// The address that the linker script gives `process_page`.
#[inline(always)]
pub fn process_page() -> *const u8 {
    let page;
    // SAFETY: as above.
    unsafe { asm!("larl {}, process_page", out(reg) page, options(pure, nomem, nostack, preserves_flags)) };
    page
}
