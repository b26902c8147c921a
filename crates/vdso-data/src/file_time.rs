//! Times of files, which a kernel stores by the host's clock, as a program's own clock would have stored them.
//!
//! What was stored since the clock began is moved as the clock is. What is older keeps its distance to the
//! beginning, as if the clock had been as fast as the host's until then: a frozen clock must not make all files equally
//! old, nor a fast one make yesterday's years old.
//!
//! As all arithmetic of the image: exact integers, no panic and no call. What does not fit into 64 bits of seconds
//! becomes the nearest that does.

use crate::arithmetic::{NSEC_PER_SEC, Rate, Timespec, Transform};

impl Transform {
    /// What a program sees of a file's time that is `host` in the file system, rounded down: what was stored before
    /// the program has read its clock is not later than what it has read.
    #[inline]
    pub const fn file_time(&self, host: Timespec) -> Timespec {
        if self.is_offset_only() || !is_after(host, self.base) {
            return sum(host, self.offset);
        }
        let span = sum(host, negative(self.base));
        if !is_scalable(span, self.rate) {
            return LATEST;
        }
        sum(sum(self.base, self.rate.scale(span)), self.offset)
    }

    /// What is to be in the file system for a program to see `shown`: the earliest that is seen as that or later. It is seen
    /// as exactly that, but on a clock that is faster than the host's (less than a nanosecond of the host's later), and
    /// on one that stands still (no later than where that stands).
    #[inline]
    pub const fn stored_file_time(&self, shown: Timespec) -> Timespec {
        let beginning = sum(self.base, self.offset);
        if self.is_offset_only() || !is_after(shown, beginning) {
            return sum(shown, negative(self.offset));
        }
        match self.host_at(shown) {
            Some(host) => host,
            None if self.rate.whole == 0 && self.rate.fraction == 0 => self.base,
            None => LATEST,
        }
    }
}

/// The last one that there is.
const LATEST: Timespec = Timespec { sec: i64::MAX, nsec: NSEC_PER_SEC as i64 - 1 };
const EARLIEST: Timespec = Timespec { sec: i64::MIN, nsec: 0 };

#[inline]
const fn is_after(a: Timespec, b: Timespec) -> bool {
    a.sec > b.sec || a.sec == b.sec && a.nsec > b.nsec
}

/// Whether a span of the host's, which is not negative, is one of 64-bit seconds on a clock of that rate.
#[inline]
const fn is_scalable(span: Timespec, rate: Rate) -> bool {
    // Half of what fits, as the part of a rate below one adds to it.
    span.sec < 1 << 62 && (span.sec as u64 as u128 * rate.whole as u128) >> 62 == 0
}

/// `a + b`, or the nearest there is.
#[inline]
const fn sum(a: Timespec, b: Timespec) -> Timespec {
    const SECOND: i64 = NSEC_PER_SEC as i64;
    let nsec = a.nsec.wrapping_add(b.nsec);
    let (nsec, carry) = if nsec >= SECOND { (nsec - SECOND, 1) } else { (nsec, 0) };
    let sec = a.sec as i128 + b.sec as i128 + carry;
    if sec > i64::MAX as i128 {
        LATEST
    } else if sec < i64::MIN as i128 {
        EARLIEST
    } else {
        Timespec { sec: sec as i64, nsec }
    }
}

/// `-time`, or the nearest there is.
#[inline]
const fn negative(time: Timespec) -> Timespec {
    match (time.sec.checked_neg(), time.nsec) {
        (None, _) => LATEST,
        (Some(sec), 0) => Timespec { sec, nsec: 0 },
        // No underflow: it was not the lowest.
        (Some(sec), nsec) => {
            Timespec { sec: sec.wrapping_sub(1), nsec: NSEC_PER_SEC as i64 - nsec }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ts(sec: i64, nsec: i64) -> Timespec {
        Timespec { sec, nsec }
    }

    fn time(most_sec: i64) -> impl Strategy<Value = Timespec> {
        (-most_sec..most_sec, 0..NSEC_PER_SEC as i64).prop_map(|(sec, nsec)| ts(sec, nsec))
    }

    fn rate() -> impl Strategy<Value = Rate> {
        prop_oneof![
            Just(Rate::ONE),
            Just(Rate::ZERO),
            any::<u64>().prop_map(|fraction| Rate { whole: 0, fraction: fraction | 1 << 40 }),
            (1..1_000_000u64, any::<u64>()).prop_map(|(whole, fraction)| Rate { whole, fraction }),
        ]
    }

    fn transform() -> impl Strategy<Value = Transform> {
        (time(1 << 36), time(1 << 32), rate()).prop_map(|(offset, base, rate)| Transform {
            offset,
            base,
            rate,
        })
    }

    /// By the longest integers.
    fn model(transform: &Transform, host: Timespec) -> i128 {
        let (base, host) = (transform.base.as_nanos(), host.as_nanos());
        let Rate { whole, fraction } = transform.rate;
        let since = host - base;
        let moved = if since > 0 {
            let fractional = (since as u128 * u128::from(fraction)) >> 64;
            since * i128::from(whole) + fractional as i128
        } else {
            since
        };
        base + moved + transform.offset.as_nanos()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4_000, ..ProptestConfig::default() })]

        #[test]
        fn a_file_time_is_moved_as_the_clock_since_that_began(transform in transform(), host in time(1 << 33)) {
            let shown = transform.file_time(host);
            prop_assert_eq!(shown.as_nanos(), model(&transform, host));
            if host > transform.base {
                prop_assert_eq!(shown, transform.apply(host));
            }
        }

        #[test]
        fn what_is_set_is_seen(transform in transform(), shown in time(1 << 38)) {
            let stored = transform.stored_file_time(shown);
            let seen = transform.file_time(stored);
            let is_fast = transform.rate.whole != 0 && transform.rate != Rate::ONE;
            let is_past = shown <= sum(transform.base, transform.offset);
            if is_past || transform.rate != Rate::ZERO && !is_fast {
                prop_assert_eq!(seen, shown);
            } else if is_fast {
                prop_assert!(seen >= shown);
                prop_assert!(seen.as_nanos() - shown.as_nanos() <= i128::from(transform.rate.whole));
            } else {
                prop_assert_eq!(seen, sum(transform.base, transform.offset));
            }
        }

        /// Copies keep what was seen, and what is not ahead of the program's clock is not ahead of the host's.
        #[test]
        fn what_was_seen_is_kept(transform in transform(), host in time(1 << 33), later in 0..1_000_000i64) {
            let seen = transform.file_time(host);
            let stored = transform.stored_file_time(seen);
            prop_assert_eq!(transform.file_time(stored), seen);
            prop_assert!(stored <= host);
            prop_assert!(transform.file_time(sum(host, ts(0, later))) >= seen);
        }
    }

    #[test]
    fn what_does_not_fit_is_as_near_as_can_be_and_nothing_panics() {
        let ahead = Transform { offset: ts(10, 1), ..Transform::IDENTITY };
        assert_eq!(ahead.file_time(ts(i64::MAX, 0)), LATEST);
        assert_eq!(ahead.stored_file_time(ts(i64::MIN, 0)), EARLIEST);
        let fast = Transform { rate: Rate { whole: 1 << 40, fraction: 0 }, ..ahead };
        assert_eq!(fast.file_time(ts(1 << 40, 0)), LATEST);
        let extremes = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
        let rates = [
            Rate::ONE,
            Rate::ZERO,
            Rate { whole: u64::MAX, fraction: u64::MAX },
            Rate { whole: 0, fraction: 1 },
        ];
        for (rate, offset) in rates.iter().flat_map(|&rate| extremes.map(|offset| (rate, offset))) {
            for (base, time) in extremes.iter().flat_map(|&base| extremes.map(|time| (base, time)))
            {
                let at = |sec| ts(sec, 999_999_999);
                let transform = Transform { offset: at(offset), base: at(base), rate };
                let _ = transform.file_time(at(time));
                let _ = transform.stored_file_time(at(time));
            }
        }
    }
}
