//! The latch: two copies of the data, and a sequence number whose lowest bit names the one to read.
//!
//! The writer changes the copy that nobody reads and then moves the readers over with one store.
//! A plain sequence lock (see [`seqlock`](crate::seqlock)) makes readers wait while a write is under
//! way, so a writer that is killed half-way stops every reader for ever. Here the copy that the
//! number names is always whole: readers of a dead writer's page go on with the last full update.
//!
//! Same idea as `seqcount_latch_t` in `include/linux/seqlock.h` (Linux 6.18).

use crate::hint::cold_path;
use crate::sync::{AtomicU32, Ordering, reader_fence, writer_fence};

/// The copies, so their number and the latch's arithmetic stay together.
pub const COPIES: usize = 2;

/// Reads through the latch.
///
/// Each try takes a fresh `sample` (the counter) *before* it looks at the page, and gives it to
/// `read` with the index of the copy to use. It is repeated until no update came in between, which
/// for a writer that publishes once a second is practically never.
///
/// Sampling first is sound where a page says at which sample each update was made, and is continued
/// there: a sample older than the data is a time before the update, and the arithmetic answers with the
/// update's own time, which lies within the caller's call. (The kernel's page does not say that, so it
/// has [another order](crate::seqlock).) It is also faster, as the sequence number's load no longer
/// stands between the caller and the counter.
#[inline(always)]
pub fn read<S, T>(
    seq: &AtomicU32,
    mut sample: impl FnMut() -> S,
    mut read: impl FnMut(S, usize) -> T,
) -> T {
    loop {
        let sampled = sample();
        // Acquire: pairs with the Release store in `Update::commit`; the copy it names is complete.
        let start = seq.load(Ordering::Acquire);
        let value = read(sampled, copy_of(start));
        reader_fence();
        // Relaxed: the fence above orders it after the data.
        if seq.load(Ordering::Relaxed) == start {
            return value;
        }
        cold_path();
    }
}

/// One try of [`read`]; `None` if `read` says so, or if an update came in between: for readers that
/// then ask somebody else.
#[inline(always)]
pub fn try_read<S, T>(
    seq: &AtomicU32,
    sample: impl FnOnce() -> S,
    read: impl FnOnce(S, usize) -> Option<T>,
) -> Option<T> {
    let sampled = sample();
    // Acquire, the fence and Relaxed: as in `read`.
    let start = seq.load(Ordering::Acquire);
    let value = read(sampled, copy_of(start))?;
    reader_fence();
    (seq.load(Ordering::Relaxed) == start).then_some(value)
}

/// Begins an update. There must be one writer only: two at a time leave readers a mixture of both.
pub fn begin(seq: &AtomicU32) -> Update<'_> {
    // Relaxed: only this writer stores the number.
    let start = seq.load(Ordering::Relaxed);
    // A reader may still be in the copy to fill, from before the last update. The fence makes the
    // last update's store of the number visible to whoever sees a store to that copy.
    writer_fence();
    Update { seq, start }
}

/// An update that has begun. Readers stay where they are until it is [committed](Self::commit), so it may as
/// well be dropped, by a writer that has come too late, and begun anew.
#[derive(Debug)]
#[must_use = "readers see nothing of an update that is not committed"]
pub struct Update<'seq> {
    seq: &'seq AtomicU32,
    start: u32,
}

impl Update<'_> {
    /// The copy that readers read meanwhile.
    pub fn current(&self) -> usize {
        copy_of(self.start)
    }

    /// The copy to fill. It holds the update before the last, or part of one that was dropped, so all of it
    /// has to be written.
    pub fn spare(&self) -> usize {
        copy_of(self.start.wrapping_add(1))
    }

    /// Moves the readers over, by one store.
    pub fn commit(self) {
        // Release: pairs with the Acquire load in `read`.
        self.seq.store(self.start.wrapping_add(1), Ordering::Release);
    }
}

/// A whole update: `write` gets the index of the copy that is being read and of the one to fill. As for
/// [`begin`], there must be one writer only.
pub fn write<T>(seq: &AtomicU32, write: impl FnOnce(usize, usize) -> T) -> T {
    let update = begin(seq);
    let value = write(update.current(), update.spare());
    update.commit();
    value
}

#[inline(always)]
const fn copy_of(seq: u32) -> usize {
    (seq % COPIES as u32) as usize
}
