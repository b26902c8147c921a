//! The reader's side of the kernel's sequence lock, for its own data page.
//!
//! The number is odd while the kernel writes, which takes it well under a microsecond, so readers
//! wait. In a time namespace it is odd for good, and `clock_mode` says so. The writer's side is
//! `vdso_write_begin` and `vdso_write_end` in `include/vdso/helpers.h` (Linux 6.18).
//!
//! The sample (the counter) is taken *behind* the number, otherwise than with the [latch](crate::latch).
//! The kernel does not say at which counter value it has updated its line: `cycle_last` is a tick's, up
//! to a tick earlier. So a value from before the update, put into the new line, gives a time that the
//! old line, which others have read, was past already if the new one is steeper. A value that is read
//! behind an even number is from after the update that made it even, as the kernel reads the counter
//! first; and one that is read before the number is found unchanged is from before the next one's end.
//!
//! For that the sample must be ordered after the load of the number and before its re-load, which
//! whoever reads the counter sees to: on x86 RDTSCP waits for earlier loads and, as in the kernel's own
//! function, later ones are ahead of it by what the processor executes out of order; on arm64 an ISB
//! behind the branch on the number, and a load that depends on the counter; on RISC-V a fence on both
//! sides.

use crate::hint::cold_path;
use crate::sync::{AtomicU32, Ordering, reader_fence, spin_hint};

/// Reads under the lock; `read` gets a sample that was taken under it, too. Both are repeated until no
/// write came in between.
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
        let value = read(sample());
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

/// One try of [`read`], with a sample; `None` if `read` says so, while the kernel writes, in a
/// time namespace, and if a write came in between.
#[inline(always)]
pub fn try_read_at<S, T>(
    seq: &AtomicU32,
    sample: impl FnOnce() -> S,
    read: impl FnOnce(S) -> Option<T>,
) -> Option<T> {
    // Acquire: as in `read`.
    let start = seq.load(Ordering::Acquire);
    if start & 1 == 1 {
        cold_path();
        return None;
    }
    let value = read(sample())?;
    reader_fence();
    // Relaxed: as in `read`.
    if seq.load(Ordering::Relaxed) == start {
        return Some(value);
    }
    cold_path();
    None
}
