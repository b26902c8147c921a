//! Counting calls, in an image that is compiled for it (`--cfg counts`); in all others nothing is here.
//!
//! A call is counted behind the read of the counter, where it overlaps with the arithmetic, and by one instruction on
//! memory that only this thread writes: [`add`]. A thread's first call, and whatever is unusual, is [`add_rarely`].
//!
//! A signal's handler may run anywhere here. Between finding the block and adding to it that does no harm unless the
//! handler forks and the child returns from it: the child then adds this one call to its parent's block.

#[cfg(counts)]
mod thread;

#[cfg(counts)]
pub use thread::{add, add_rarely};

/// Adds one to a word of the thread's block, if that is found at once; no if it is not, and nothing has been counted.
#[cfg(not(counts))]
#[inline(always)]
pub fn add(_word: usize) -> bool {
    true
}

/// The same in any case.
#[cfg(not(counts))]
#[inline(always)]
pub fn add_rarely(_word: usize) {}
