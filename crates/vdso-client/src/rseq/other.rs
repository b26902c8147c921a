//! Where the C library's registration is not looked for, and no sequence has been written.

use core::ptr::NonNull;
#[cfg(target_has_atomic = "64")]
use core::sync::atomic::AtomicU64;

use super::Area;

pub fn libc_bytes() -> usize {
    0
}

pub fn libc_offset() -> Option<isize> {
    None
}

#[inline(always)]
pub fn area_at(_: isize) -> Option<NonNull<Area>> {
    None
}

/// It never adds.
///
/// # Safety
/// None is needed.
#[cfg(target_has_atomic = "64")]
#[inline(always)]
pub unsafe fn add_on(_: &Area, _: u32, _: &AtomicU64, _: u64) -> bool {
    false
}
