//! Where the C library has its registrations: glibc says so by symbols.

use core::ptr::{self, NonNull};

use super::{Area, machine};

/// `__rseq_size`: zero if the C library has registered nothing, or if there is no such C library.
#[inline(always)]
pub fn bytes() -> usize {
    let size = NonNull::new(ptr::with_exposed_provenance_mut::<u32>(machine::size_addr()));
    // SAFETY: the C library's, which does not change once the program runs.
    size.map_or(0, |size| unsafe { size.read() } as usize)
}

/// `__rseq_offset`: how far from its own address the C library has registered each thread; `None` if it has not.
#[inline(always)]
pub fn offset() -> Option<isize> {
    if bytes() == 0 {
        return None;
    }
    let offset = ptr::with_exposed_provenance_mut::<isize>(machine::offset_addr());
    // SAFETY: as above.
    NonNull::new(offset).map(|offset| unsafe { offset.read() })
}

/// What is so far from this thread's own address.
#[inline(always)]
pub fn area_at(offset: isize) -> Option<NonNull<Area>> {
    let area_addr = machine::thread_addr()?.wrapping_add_signed(offset);
    NonNull::new(ptr::with_exposed_provenance_mut(area_addr))
}
