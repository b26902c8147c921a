//! arm64: where the C library has its registration.

use core::arch::asm;
use core::sync::atomic::AtomicU64;

use super::Area;

/// The address of a symbol that need not be there; null then.
macro_rules! weak_symbol {
    ($name:literal) => {{
        let address: usize;
        // SAFETY: a load from the table of addresses, which does not change once the program runs.
        unsafe {
            asm!(
                concat!(".weak ", $name),
                concat!("adrp {0}, :got:", $name),
                concat!("ldr {0}, [{0}, #:got_lo12:", $name, "]"),
                out(reg) address,
                options(pure, nomem, nostack, preserves_flags),
            )
        };
        address
    }};
}

/// The address of glibc's `__rseq_size`; null without such a C library.
#[inline(always)]
pub fn size_addr() -> usize {
    weak_symbol!("__rseq_size")
}

/// The address of glibc's `__rseq_offset`, likewise.
#[inline(always)]
pub fn offset_addr() -> usize {
    weak_symbol!("__rseq_offset")
}

/// The thread's own address, which offsets of its memory count from.
#[inline(always)]
pub fn thread_addr() -> Option<usize> {
    let thread: usize;
    // SAFETY: reads the register that user space has for this.
    unsafe { asm!("mrs {}, tpidr_el0", out(reg) thread, options(nomem, nostack, preserves_flags)) };
    Some(thread)
}

/// There is no sequence for this architecture: it never adds.
///
/// # Safety
/// There is nothing to promise: no memory is looked at.
#[inline(always)]
pub unsafe fn add_on(_: &Area, _: u32, _: &AtomicU64, _: u64) -> bool {
    false
}
