//! The read that does not wait.

use core::time::Duration;

use crate::calls::clock_gettime::by_function;
use crate::clock_id::ClockId;
use crate::instant::{Instant, refused};
use crate::own::{self, OwnPages};
use crate::timespec::Timespec;

/// A moment of [`ClockId::MONOTONIC`], read without waiting for the instructions before it: half the
/// cost of [`Instant::now`] on an own page, and the same elsewhere.
///
/// # Caveat
///
/// The processor may read the counter some tens of nanoseconds before or after it gets to this point
/// of the program. So a span may lack, or have too much of, what was done at its ends, and of two
/// threads the one that is told of a moment by the other may then read an earlier one itself: in a
/// measurement 1 read in 600 did, by up to 440 ns. It is for spans that one thread measures, many
/// times longer than that. It is a type of its own so that it is not compared with an [`Instant`] by
/// mistake.
///
/// ```
/// use vdso_client::UnorderedInstant;
///
/// let start = UnorderedInstant::now();
/// let sum: u64 = (0..1_000).sum();
/// println!("{sum} in about {:?}", start.elapsed());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnorderedInstant(Timespec);

impl UnorderedInstant {
    /// About now.
    ///
    /// # Panics
    /// As [`Instant::now`].
    #[inline(always)]
    #[must_use]
    pub fn now() -> Self {
        if let Some(pages) = OwnPages::get() {
            if let Some([now]) = pages.fine().read([ClockId::MONOTONIC], own::unordered) {
                return Self(now);
            }
        }
        match by_function(ClockId::MONOTONIC) {
            Ok(now) => Self(now),
            Err(error) => refused(error),
        }
    }

    /// The span since `earlier`; zero if that is later, as it may be.
    #[must_use]
    pub fn duration_since(&self, earlier: Self) -> Duration {
        self.0.checked_duration_since(earlier.0).unwrap_or_default()
    }

    /// The span since this moment, about.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Self::now().duration_since(*self)
    }

    /// The same moment as one of the ordered clock, for those who know what they do.
    pub const fn assume_ordered(self) -> Instant {
        Instant(self.0)
    }
}
