//! Where the C library's registration is not looked for, and no sequence has been written.

#[cfg(target_has_atomic = "64")]
use core::sync::atomic::AtomicU64;

#[cfg(target_has_atomic = "64")]
use super::Area;

pub fn size_addr() -> usize {
    0
}

pub fn offset_addr() -> usize {
    0
}

#[inline(always)]
pub fn thread_addr() -> Option<usize> {
    None
}

/// It never adds.
///
/// # Safety
/// There is nothing to promise: no memory is looked at.
#[cfg(target_has_atomic = "64")]
#[inline(always)]
pub unsafe fn add_on(_: &Area, _: u32, _: &AtomicU64, _: u64) -> bool {
    false
}
