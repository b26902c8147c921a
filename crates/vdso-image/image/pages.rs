//! The two pages behind the image: ours, shared and written by the timekeeper, and the one
//! that belongs to this process. The linker script gives their place.

use core::hint::select_unpredictable;
use core::mem::offset_of;

use vdso_data::{clock, latch};
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

/// Whether all of these `FLAG_` bits are set in the process page.
#[inline(always)]
pub fn has_flags(flags: u32) -> bool {
    arch::process_page_u32::<{ offset_of!(ProcessPage, flags) }>() & flags == flags
}

/// [`Header::seconds_offset`](vdso_data::own::Header::seconds_offset) of REALTIME.
#[inline(always)]
pub fn realtime_seconds_offset() -> i64 {
    const _: () = assert!(clock::REALTIME == 0);
    arch::own_page_u64::<{ offset_of!(OwnPage, header.seconds_offset) }>() as i64
}

/// [`Header::random_generation`](vdso_data::own::Header::random_generation).
#[inline(always)]
pub fn random_generation() -> u64 {
    arch::own_page_u64::<{ offset_of!(OwnPage, header.random_generation) }>()
}

/// What our page adds to the host's clock `id`.
#[inline(always)]
pub fn offset_of(id: u32) -> Offset {
    let page = own();
    latch::read(&page.header.seq, || (), |(), copy| {
        // Both are loaded, so that the second load need not wait for the number.
        let offsets = [0, 1].map(|copy| page.line(copy, id).load_offset());
        let is_first = copy == 0;
        Offset {
            sec: select_unpredictable(is_first, offsets[0].sec, offsets[1].sec),
            nsec: select_unpredictable(is_first, offsets[0].nsec, offsets[1].nsec),
        }
    })
}

/// [`ProcessPage::call_mark`].
#[inline(always)]
pub fn call_mark() -> u32 {
    arch::process_page_u32::<{ offset_of!(ProcessPage, call_mark) }>()
}
