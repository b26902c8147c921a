//! Where the C library's registration is not looked for, and no sequence has been written.

use core::ptr::NonNull;
#[cfg(target_has_atomic = "64")]
use core::sync::atomic::AtomicU64;

use super::Area;

#[cfg(target_has_atomic = "64")]
pub fn libc_bytes() -> usize {
    0
}

#[inline(always)]
pub fn libc_area() -> Option<NonNull<Area>> {
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
