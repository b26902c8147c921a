//! The reader's side of the kernel's sequence lock, for its own data page.
//!
//! The number is odd while the kernel writes, which takes it well under a microsecond, so readers
//! wait. In a time namespace it is odd for good, and `clock_mode` says so. As with the
//! [latch](crate::latch), the counter is sampled before the page is looked at. The writer's side is
//! `vdso_write_begin` and `vdso_write_end` in `include/vdso/helpers.h` (Linux 6.18).

use core::hint::cold_path;

use crate::sync::{AtomicU32, Ordering, reader_fence, spin_hint};

/// Reads under the lock; `read` gets the sample taken before it, and is repeated until no write
/// came in between.
///
/// `None` if the number is odd and `never_even` says that it will stay so.
#[inline(always)]
pub fn read<S, T>(
    seq: &AtomicU32,
    never_even: impl Fn() -> bool,
    mut sample: impl FnMut() -> S,
    mut read: impl FnMut(S) -> T,
) -> Option<T> {
    loop {
        let sampled = sample();
        // Acquire: pairs with the barrier in the kernel's `vdso_write_end`.
        let start = seq.load(Ordering::Acquire);
        if start & 1 == 1 {
            cold_path();
            if never_even() {
                return None;
            }
            spin_hint();
            continue;
        }
        let value = read(sampled);
        reader_fence();
        // Relaxed: the fence above orders it after the data.
        if seq.load(Ordering::Relaxed) == start {
            return Some(value);
        }
        cold_path();
    }
}

/// One try of [`read`]; `None` while the kernel writes, in a time namespace, and if a write came in
/// between: for readers that then ask somebody else.
///
/// `read` is not called where the number is odd: what it names need not be there.
#[inline(always)]
pub fn try_read<T>(seq: &AtomicU32, read: impl FnOnce() -> T) -> Option<T> {
    // Acquire: as in `read`.
    let start = seq.load(Ordering::Acquire);
    if start & 1 == 1 {
        cold_path();
        return None;
    }
    let value = read();
    reader_fence();
    // Relaxed: as in `read`.
    if seq.load(Ordering::Relaxed) != start {
        cold_path();
        return None;
    }
    Some(value)
}
