//! arm64: where the C library has its registration.

use core::arch::asm;
use core::ptr::{self, NonNull};
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

/// `__rseq_size`: zero if the C library has registered nothing, or if there is no such C library.
#[inline(always)]
pub fn libc_bytes() -> usize {
    let size = NonNull::new(ptr::with_exposed_provenance_mut::<u32>(weak_symbol!("__rseq_size")));
    // SAFETY: the C library's, which does not change once the program runs.
    size.map_or(0, |size| unsafe { size.read() } as usize)
}

/// Where the C library has registered this thread, or says that it has not.
#[inline(always)]
pub fn libc_area() -> Option<NonNull<Area>> {
    if libc_bytes() == 0 {
        return None;
    }
    let offset = ptr::with_exposed_provenance_mut::<isize>(weak_symbol!("__rseq_offset"));
    // SAFETY: as above; who has one symbol has both.
    let offset = unsafe { NonNull::new(offset)?.read() };
    let thread: usize;
    // SAFETY: reads the register that user space has for this.
    unsafe { asm!("mrs {}, tpidr_el0", out(reg) thread, options(nomem, nostack, preserves_flags)) };
    NonNull::new(ptr::with_exposed_provenance_mut(thread.wrapping_add_signed(offset)))
}

/// There is no sequence for this architecture: it never adds.
///
/// # Safety
/// None is needed.
#[inline(always)]
pub unsafe fn add_on(_: &Area, _: u32, _: &AtomicU64, _: u64) -> bool {
    false
}
