//! The moment that a program has looked at the clock last: [`Instant::recent`](crate::Instant::recent).

pub(crate) use word::{forget, load, update};

#[cfg(target_has_atomic = "64")]
mod word {
    use core::sync::atomic::{AtomicU64, Ordering};

    use crate::timespec::Timespec;

    /// Seconds, and in the lower bits nanoseconds: so a later time is a larger number, and nothing has to be
    /// divided. Zero: nobody has looked.
    static RECENT: AtomicU64 = AtomicU64::new(0);

    /// As many as 10^9 needs.
    const NSEC_BITS: u32 = 30;

    #[inline(always)]
    pub(crate) fn load() -> Option<Timespec> {
        // Relaxed: one word that stands for itself.
        let recent = RECENT.load(Ordering::Relaxed);
        let (sec, nsec) = (recent >> NSEC_BITS, recent & ((1 << NSEC_BITS) - 1));
        (recent != 0).then_some(Timespec { sec: sec as i64, nsec: nsec as i64 })
    }

    /// Times that have no room, before zero or after some five hundred years, are not written down.
    #[inline]
    pub(crate) fn update(now: Timespec) {
        let sec = now.sec as u64;
        if sec >> (u64::BITS - NSEC_BITS) == 0 {
            // Relaxed, as above; the largest, as another thread may have looked later and come sooner.
            RECENT.fetch_max(sec << NSEC_BITS | now.nsec as u64, Ordering::Relaxed);
        }
    }

    /// The clock may be another now.
    pub(crate) fn forget() {
        RECENT.store(0, Ordering::Relaxed);
    }
}

#[cfg(not(target_has_atomic = "64"))]
mod word {
    use crate::timespec::Timespec;

    pub(crate) fn load() -> Option<Timespec> {
        None
    }

    pub(crate) fn update(_: Timespec) {}

    pub(crate) fn forget() {}
}
