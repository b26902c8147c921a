//! The read that does not wait.

use core::time::Duration;

use crate::calls::clock_gettime::by_function;
use crate::clock_id::ClockId;
use crate::instant::{Instant, refused};
use crate::line::{self, Read};
use crate::own::{self, OwnPages};
use crate::timespec::Timespec;

/// A moment of [`ClockId::MONOTONIC`], read without waiting for the instructions before it: half the
/// cost of [`Instant::now`] on x86-64, and the same elsewhere.
///
/// On an own page it is that page's clock. Elsewhere it is a line over the counter which the process renews by
/// itself, every 20 ms at most, from the clock that [`Instant`] reads: it does not drift away from that,
/// and is off by some tens of nanoseconds, or, for two such spans after the host's clock was slewed anew, by that
/// part of them. There is a line only where the kernel's clock is that counter: the first read of a process looks,
/// in `/sys/devices/system/clocksource` (openat, read, close), and whoever allows himself fewer system calls
/// makes it before.
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
        } else {
            match line::read() {
                Read::Now(now) => return Self(now),
                Read::Expired => return Self::renewed(),
                Read::Nothing => {}
            }
        }
        match by_function(ClockId::MONOTONIC) {
            Ok(now) => Self(now),
            Err(error) => refused(error),
        }
    }

    /// Now, where there is no line over the counter, or one that has ended.
    #[cold]
    fn renewed() -> Self {
        match line::renew().map_or_else(|| by_function(ClockId::MONOTONIC), Ok) {
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
