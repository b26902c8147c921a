//! x86-64, and x32: the same with 32-bit pointers, which only names and numbers tell of.

#[cfg(own_getrandom)]
mod chacha;
mod detour;
mod enter;
mod exports;
#[cfg(own_getrandom)]
mod random;

use core::arch::asm;

use vdso_data::own::Halves;
use vdso_data::process::FLAG_RDPID;

#[cfg(own_getrandom)]
pub use random::*;

pub use super::c_calls::*;
pub use super::usual::*;
use crate::{alone, pages};

/// 64 bits with pointers of any size.
pub type Long = i64;

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
    let page: u64;
    // SAFETY: computes an address. Written by hand as a reference to an extern static would go
    // through a table that needs relocation.
    unsafe {
        asm!("lea {}, [rip + own_page]", out(reg) page, options(pure, nomem, nostack, preserves_flags));
    };
    page as *const u8
}

/// The address that the linker script gives `process_page`.
#[inline(always)]
pub fn process_page() -> *const u8 {
    let page: u64;
    // SAFETY: as above.
    unsafe {
        asm!("lea {}, [rip + process_page]", out(reg) page, options(pure, nomem, nostack, preserves_flags));
    };
    page as *const u8
}

/// Functions that read a field of a page in one instruction. Where a whole call takes a few cycles,
/// computing the page's address first is one too many.
macro_rules! field {
    ($($name:ident: $type:ty = $page:literal, $register:literal, $($option:ident),+;)*) => {
        $(
            #[doc = concat!("The field at `OFFSET` in `", $page, "`.")]
            #[inline(always)]
            pub fn $name<const OFFSET: usize>() -> $type {
                let field;
                // SAFETY: whoever maps the image maps this page, readable, for as long. An aligned
                // load, so it is atomic. Only the process page never changes, and is `pure`.
                unsafe {
                    asm!(
                        concat!("mov {field", $register, "}, [rip + ", $page, " + {offset}]"),
                        field = out(reg) field,
                        offset = const OFFSET,
                        options($($option,)+ nostack, preserves_flags),
                    );
                };
                field
            }
        )*
    };
}

field! {
    own_page_u64: u64 = "own_page", "", readonly;
    process_page_u64: u64 = "process_page", "", pure, readonly;
    process_page_u32: u32 = "process_page", ":e", pure, readonly;
}

/// Bits of the kernel's per-CPU word that are the CPU's number; the node is above them.
/// `VDSO_CPUNODE_BITS` in `arch/x86/include/asm/segment.h` (Linux 6.18).
pub const CPU_BITS: u32 = 12;

/// Selector of the segment whose limit is the kernel's per-CPU word: `__CPUNODE_SEG` in
/// `arch/x86/include/asm/segment.h` (Linux 6.18).
const CPUNODE_SEGMENT: u32 = 0x7b;

/// The kernel's word for the CPU that this runs on: node above 12 bits of CPU.
#[inline(always)]
pub fn cpu_and_node() -> Option<u32> {
    if !pages::has_flags(FLAG_RDPID) {
        return None;
    }
    let word: u64;
    // SAFETY: reads a register that the kernel set up; the CPU has the instruction.
    unsafe { asm!("rdpid {}", out(reg) word, options(nomem, nostack, preserves_flags)) };
    Some(word as u32)
}

/// The same on a CPU without RDPID.
#[inline(always)]
pub fn cpu_and_node_otherwise() -> Option<u32> {
    if alone::has_no_linux() {
        return Some(cpu_and_node_by_counter());
    }
    // A failing LSL leaves its target unchanged, and no CPU has this word.
    let mut word = u32::MAX;
    // SAFETY: reads a segment's limit, or nothing.
    unsafe {
        asm!("lsl {0:e}, {1:e}", inout(reg) word, in(reg) CPUNODE_SEGMENT, options(nomem, nostack));
    };
    (word != u32::MAX).then_some(word)
}

/// Where the thread keeps what is its own, as it has told the kernel: the base of the segment FS.
#[cfg(counts)]
#[inline(always)]
pub fn thread_pointer() -> u64 {
    let base;
    // SAFETY: reads a register. Whoever names a table of blocks has seen that programs may do so (AT_HWCAP2). Not `pure`,
    // so that it stays behind the counter.
    unsafe { asm!("rdfsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)) };
    base
}

/// Adds one to a word of memory by one instruction, which so nothing on this CPU can interrupt.
///
/// # Safety
/// It must be a word that may be written, and that nobody else writes.
#[cfg(counts)]
#[inline(always)]
pub unsafe fn increment(word_addr: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("inc qword ptr [{}]", in(reg) word_addr, options(nostack)) };
}

/// What RDPID reads, which RDTSCP gives beside the counter. For the source `own`, whose CPUs all have that.
#[inline(always)]
fn cpu_and_node_by_counter() -> u32 {
    let word: u32;
    // SAFETY: reads a counter, as `counter_halves`, and a register that the kernel set up.
    unsafe {
        asm!("rdtscp", out("eax") _, out("edx") _, out("ecx") word, options(nomem, nostack, preserves_flags));
    };
    word
}
