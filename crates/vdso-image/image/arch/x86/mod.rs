//! 32-bit x86.

mod detour;
mod enter;
mod exports;
mod here;
mod trampolines;

use core::arch::asm;

use vdso_data::own::Halves;
use vdso_data::process::FLAG_RDPID;

pub use super::c_calls::*;
pub use super::usual::*;
use crate::{alone, pages};

/// A call of a program's, with arguments that have 32 bits.
///
/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
#[inline(always)]
pub unsafe fn syscall_6(number: u32, args: &[u64; 6]) -> i64 {
    unsafe extern "C" {
        /// `detour.rs` has it.
        fn system_call_6(number: u32, args: *const [u32; 6]) -> i32;
    }
    let args = args.map(|arg| arg as u32);
    // SAFETY: the caller answers for the call itself.
    unsafe { system_call_6(number, &raw const args) }.into()
}

/// The time-stamp counter. RDTSCP waits for every earlier instruction and load, so two reads that
/// are ordered by the program, on whatever CPUs, are ordered in the counter.
#[inline(always)]
pub fn counter_halves() -> Halves {
    // SAFETY: reads a counter. That user mode may do so, and that the CPU has RDTSCP, is checked
    // before an image that calls this is chosen.
    let (low, high) = unsafe { vdso_arch::counter_halves!() };
    Halves { low, high }
}

/// The same in one piece.
#[inline(always)]
pub fn counter() -> u64 {
    counter_halves().joined()
}

/// The address that the linker script gives `own_page`.
#[inline(always)]
pub fn own_page() -> *const u8 {
    let page;
    // SAFETY: computes an address. Written by hand as a reference to an extern static would go
    // through a table that needs relocation. In the other syntax a difference of symbols is no operand.
    unsafe {
        asm!(
            "call address_in_eax",
            "2: lea own_page-2b(%eax), %eax",
            out("eax") page,
            options(pure, nomem, preserves_flags, att_syntax),
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
            "call address_in_eax",
            "2: lea process_page-2b(%eax), %eax",
            out("eax") page,
            options(pure, nomem, preserves_flags, att_syntax),
        );
    };
    page
}

/// Bits of the kernel's per-CPU word that are the CPU's number; the node is above them.
/// `VDSO_CPUNODE_BITS` in `arch/x86/include/asm/segment.h` (Linux 6.18).
pub const CPU_BITS: u32 = 12;

/// The kernel's word for the CPU that this runs on: node above 12 bits of CPU.
///
/// The segment whose limit is the same word is another one in 32-bit and 64-bit kernels, so on a CPU
/// without RDPID the kernel's function is asked.
#[inline(always)]
pub fn cpu_and_node() -> Option<u32> {
    if !pages::has_flags(FLAG_RDPID) {
        return None;
    }
    let word: u32;
    // SAFETY: reads a register that the kernel set up; the CPU has the instruction.
    unsafe { asm!("rdpid {}", out(reg) word, options(nomem, nostack, preserves_flags)) };
    Some(word)
}

/// The same on a CPU without RDPID, where no Linux is below: RDTSCP, which all CPUs of the source `own` have, gives
/// the word beside the counter.
#[inline(always)]
pub fn cpu_and_node_otherwise() -> Option<u32> {
    if !alone::has_no_linux() {
        return None;
    }
    let word: u32;
    // SAFETY: reads a counter, as `counter_halves`, and a register that the kernel set up.
    unsafe {
        asm!("rdtscp", out("eax") _, out("edx") _, out("ecx") word, options(nomem, nostack, preserves_flags));
    };
    Some(word)
}
