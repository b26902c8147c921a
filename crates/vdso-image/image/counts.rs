//! Counting calls, in an image that is compiled for it (`--cfg counts`); in all others nothing is here.
//!
//! Who calls is asked ahead of the counter's read, as the answer takes long ([`Caller::current`]); all else is behind that,
//! beside the arithmetic: the caller's block is found, and one is added by one instruction on memory that only this thread
//! writes ([`Caller::count_at_once`]). A thread's first call, and whatever is unusual, is [`count_rarely`].
//!
//! A signal's handler may run anywhere here. Between the two steps, and before the last instruction, it does no harm unless it
//! forks and the child returns from it: the child then adds this one call to its parent's block.

#[cfg(counts)]
mod thread;

#[cfg(counts)]
pub use thread::{Caller, count_rarely};

/// Counts nothing, and gives the call's result.
#[cfg(not(counts))]
#[inline(always)]
pub fn count_rarely<T>(_word: usize, result: T) -> T {
    result
}

/// Who calls does not matter.
#[cfg(not(counts))]
#[derive(Clone, Copy)]
pub struct Caller;

#[cfg(not(counts))]
impl Caller {
    /// Asks nobody.
    #[inline(always)]
    pub fn current() -> Self {
        Self
    }

    /// Counts nothing, and gives the call's result.
    #[inline(always)]
    pub fn count<T>(self, _word: usize, result: T) -> T {
        result
    }
}
