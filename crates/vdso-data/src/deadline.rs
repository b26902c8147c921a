//! From a virtual clock back to the host's: how long to wait there for what a program waits for.
//!
//! As all arithmetic of the image: exact integers, no panic and no call, so no division of 128 bits.
//! Everything is rounded up: whoever is woken by the host finds that its own clock has reached the deadline.

use crate::arithmetic::{NSEC_PER_SEC, Rate, Timespec, Transform, below_a_second, whole_seconds};

impl Transform {
    /// The first nanosecond of the host's clock at which the virtual one shows `deadline` or more. `None` if
    /// that never comes: the clock is frozen before it, or the host's seconds do not reach so far.
    #[inline]
    pub const fn host_at(&self, deadline: Timespec) -> Option<Timespec> {
        let shifted = minus(deadline.as_nanos(), self.offset.as_nanos());
        if self.is_offset_only() {
            return timespec(shifted);
        }
        let base = self.base.as_nanos();
        let span = minus(shifted, base);
        let host_span = if span > 0 {
            match divided(span.unsigned_abs(), self.rate, Rounding::Up) {
                Some(ns) => ns as i128,
                None => return None,
            }
        } else {
            match divided(span.unsigned_abs(), self.rate, Rounding::Down) {
                Some(ns) => -(ns as i128),
                // It has been past for as long as there is a host.
                None => 0,
            }
        };
        timespec(base + host_span)
    }
}

impl Rate {
    /// The shortest span of the host's in which `span`, which is not negative, passes on a clock of this rate.
    /// `None` if it never does.
    #[inline]
    pub const fn host_span(self, span: Timespec) -> Option<Timespec> {
        if self.whole == 1 && self.fraction == 0 {
            return Some(span);
        }
        match divided(span.as_nanos().unsigned_abs(), self, Rounding::Up) {
            Some(ns) => timespec(ns as i128),
            None if span.sec == 0 && span.nsec == 0 => Some(span),
            None => None,
        }
    }
}

/// What is done with the part of a nanosecond that is left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rounding {
    Up,
    Down,
}

/// More nanoseconds than any seconds of 64 bits have, and few enough to add two such numbers.
const MOST: u128 = 1 << 94;

/// No two times of 64-bit seconds are so far apart that this wraps.
#[inline]
const fn minus(a: i128, b: i128) -> i128 {
    a.wrapping_sub(b)
}

/// `ns / rate`; `None` if that is more than [`MOST`].
#[inline]
const fn divided(ns: u128, rate: Rate, rounding: Rounding) -> Option<u128> {
    let divisor = (rate.whole as u128) << 64 | rate.fraction as u128;
    if divisor == 0 {
        return None;
    }
    // Bit by bit, from the highest of `ns` to the last of 64 more. A rate of more than 2^62 does not come from
    // any clock; the remainder would not fit below it.
    if divisor >> 126 != 0 {
        return Some(match rounding {
            Rounding::Up => (ns != 0) as u128,
            Rounding::Down => 0,
        });
    }
    let (mut quotient, mut remainder) = (0u128, 0u128);
    let mut bit = 128 + 64 - ns.leading_zeros();
    while bit > 0 {
        bit -= 1;
        let next = if bit >= 64 { ns >> (bit - 64) & 1 } else { 0 };
        remainder = remainder << 1 | next;
        quotient <<= 1;
        if remainder >= divisor {
            remainder -= divisor;
            quotient |= 1;
        }
        if quotient > MOST {
            return None;
        }
    }
    if matches!(rounding, Rounding::Up) && remainder != 0 {
        quotient += 1;
    }
    Some(quotient)
}

/// `ns` in seconds and nanoseconds, by divisions of 64 bits. `None` if the seconds do not fit.
#[inline]
const fn timespec(ns: i128) -> Option<Timespec> {
    const DIGIT: u32 = 32;
    let magnitude = ns.unsigned_abs();
    let (mut quotient, mut remainder) = (0u128, 0u64);
    let mut digit = 4;
    while digit > 0 {
        digit -= 1;
        let dividend = remainder << DIGIT | (magnitude >> (DIGIT * digit)) as u32 as u64;
        quotient = quotient << DIGIT | whole_seconds(dividend) as u128;
        remainder = below_a_second(dividend);
    }
    if quotient > i64::MAX as u128 {
        return None;
    }
    let sec = quotient as i64;
    Some(if ns >= 0 {
        Timespec { sec, nsec: remainder as i64 }
    } else if remainder == 0 {
        Timespec { sec: -sec, nsec: 0 }
    } else {
        Timespec { sec: -sec - 1, nsec: (NSEC_PER_SEC - remainder) as i64 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ts(sec: i64, nsec: i64) -> Timespec {
        Timespec { sec, nsec }
    }

    /// A generator of Marsaglia's; the numbers only have to be many and different.
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn time(&mut self, most_sec: i64) -> Timespec {
            let sec = (self.next() as i64).rem_euclid(2 * most_sec) - most_sec;
            ts(sec, (self.next() % NSEC_PER_SEC) as i64)
        }
    }

    const ONE_NS: Timespec = ts(0, 1);

    #[test]
    fn the_clock_shows_the_deadline_then_and_not_a_nanosecond_earlier() {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        for round in 0..200_000 {
            let rate = match round % 5 {
                0 => Rate { whole: 0, fraction: numbers.next() | 1 << 40 },
                1 => Rate { whole: 1, fraction: 0 },
                2 => Rate { whole: numbers.next() % 1_000_001, fraction: numbers.next() | 1 },
                3 => Rate { whole: numbers.next() % 4, fraction: 1 << 63 },
                _ => Rate { whole: 1 + numbers.next() % 1000, fraction: 0 },
            };
            let transform =
                Transform { offset: numbers.time(1 << 36), base: numbers.time(1 << 36), rate };
            let deadline = numbers.time(1 << 38);
            let Some(host) = transform.host_at(deadline) else {
                panic!("{transform:?} never shows {deadline:?}");
            };
            // What the reader computes wraps beyond this.
            if host.sec.unsigned_abs() > 1 << 40 {
                continue;
            }
            assert!(transform.apply(host) >= deadline, "{transform:?} {deadline:?} {host:?}");
            let before = host.wrapping_sub(ONE_NS);
            assert!(transform.apply(before) < deadline, "{transform:?} {deadline:?} {host:?}");
        }
    }

    #[test]
    fn a_span_passes_in_the_shortest_of_the_hosts_that_is_long_enough() {
        let mut numbers = Numbers(7);
        for _ in 0..100_000 {
            let rate = Rate { whole: numbers.next() % 2000, fraction: numbers.next() | 1 };
            let span =
                ts((numbers.next() % (1 << 31)) as i64, (numbers.next() % NSEC_PER_SEC) as i64);
            let host = rate.host_span(span).expect("it passes");
            assert!(rate.scale(host) >= span, "{rate:?} {span:?} {host:?}");
            if host > ONE_NS {
                assert!(rate.scale(host.wrapping_sub(ONE_NS)) < span, "{rate:?} {span:?} {host:?}");
            }
        }
    }

    #[test]
    fn a_deadline_of_a_frozen_clock_is_past_or_never_comes() {
        let (offset, base) = (ts(100, 0), ts(1000, 5));
        let frozen = Transform { offset, base, rate: Rate::ZERO };
        assert_eq!(frozen.host_at(ts(1100, 5)), Some(base));
        assert_eq!(frozen.host_at(ts(-5, 0)), Some(base));
        assert_eq!(frozen.host_at(ts(1100, 6)), None);
        assert_eq!(Rate::ZERO.host_span(ts(0, 1)), None);
        assert_eq!(Rate::ZERO.host_span(ts(0, 0)), Some(ts(0, 0)));
    }

    #[test]
    fn what_does_not_fit_never_comes_and_nothing_panics() {
        let extremes = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
        let rates = [
            Rate::ONE,
            Rate::ZERO,
            Rate { whole: 0, fraction: 1 },
            Rate { whole: u64::MAX, fraction: u64::MAX },
            Rate { whole: 1, fraction: 1 },
        ];
        for rate in rates {
            for (offset, base, deadline) in extremes
                .iter()
                .flat_map(|a| extremes.iter().flat_map(move |b| extremes.map(|c| (*a, *b, c))))
            {
                let at = |sec| ts(sec, 999_999_999);
                let transform = Transform { offset: at(offset), base: at(base), rate };
                let _ = transform.host_at(at(deadline));
                let _ = rate.host_span(at(deadline));
            }
        }
        let ahead = Transform { offset: ts(-10, 0), ..Transform::IDENTITY };
        assert_eq!(ahead.host_at(ts(i64::MAX, 0)), None);
        let slow = Transform { rate: Rate { whole: 0, fraction: 1 }, ..Transform::IDENTITY };
        assert_eq!(slow.host_at(ts(1 << 40, 0)), None);
    }
}
