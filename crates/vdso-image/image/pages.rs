//! The two pages behind the image: ours, shared and written by the timekeeper, and the one
//! that belongs to this process. The linker script gives their place.

use vdso_data::latch;
use vdso_data::own::{Offset, OwnPage};
use vdso_data::process::ProcessPage;

use crate::arch;

/// The page of clocks.
#[inline(always)]
pub fn own() -> &'static OwnPage {
    // SAFETY: whoever maps the image maps this page behind it, read-only, for as long; all of
    // its fields are atomics, so the timekeeper may write meanwhile.
    unsafe { &*arch::own_page().cast() }
}

/// What this image knows of its process.
#[inline(always)]
pub fn process() -> &'static ProcessPage {
    // SAFETY: as above; this page never changes once it is mapped.
    unsafe { &*arch::process_page().cast() }
}

/// What our page adds to the host's clock `id`.
#[inline(always)]
pub fn offset_of(id: u32) -> Offset {
    let page = own();
    latch::read(&page.header.seq, || (), |(), copy| page.line(copy, id).load_offset())
}
