//! MONOTONIC as a line over the counter that this process computes by itself, for reads that do not wait: where
//! there is no own page.
//!
//! The vDSO's function waits for the counter, which is most of what it costs. This asks it once in 20 ms, in
//! between computes from the counter as the processor gives it, and is where the function is, to some tens of
//! nanoseconds, for as long as the host's clock goes evenly. [`steering`] has the arithmetic; nothing is known
//! or assumed of the kernel's page. It is done only where the kernel's own clock is the same counter, and given up
//! where the two turn out not to belong together.
//!
//! Readers are under a latch, so nobody waits for whoever renews the line. One thread at a time does: others,
//! and signal handlers that interrupt it, ask the function meanwhile.
//!
//! x86-64 alone: elsewhere a read of the counter waits for little, or is not a program's to do.

#[cfg(any(test, all(target_arch = "x86_64", target_pointer_width = "64", not(miri))))]
mod steering;

#[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(miri)))]
mod shared;

#[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(miri)))]
pub(crate) use shared::{Shared, forget, read, renew};

#[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64", not(miri))))]
pub(crate) use none::{forget, read, renew};

/// Where there is none.
#[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64", not(miri))))]
mod none {
    use super::Read;
    use crate::timespec::Timespec;

    #[inline(always)]
    pub(crate) fn read() -> Read {
        Read::Nothing
    }

    pub(crate) fn renew() -> Option<Timespec> {
        None
    }

    pub(crate) fn forget() {}
}

/// What a look at the line has led to.
#[cfg_attr(
    not(all(target_arch = "x86_64", target_pointer_width = "64", not(miri))),
    allow(dead_code, reason = "there is none")
)]
pub(crate) enum Read {
    /// The time.
    Now(crate::timespec::Timespec),
    /// It has to be renewed, or made.
    Expired,
    /// There will be none.
    Nothing,
}
