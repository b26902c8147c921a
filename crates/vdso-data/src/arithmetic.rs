//! From cycles to nanoseconds, and from a host's time to a virtual one.
//!
//! All of it is exact integer arithmetic without division by a variable, without panic and without
//! a call: it is compiled into the image.

use core::num::NonZeroU32;

use crate::hint::cold_path;

/// Nanoseconds in a second.
pub const NSEC_PER_SEC: u64 = 1_000_000_000;

/// A point in time or a span: whole seconds, which may be negative, and nanoseconds of the next
/// one. The layout is `struct __kernel_timespec`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Timespec {
    /// Whole seconds, rounded down.
    pub sec: i64,
    /// Nanoseconds after `sec`, below 10^9.
    pub nsec: i64,
}

impl Timespec {
    /// `sec` and any number of nanoseconds, carried.
    #[inline(always)]
    pub const fn carried(sec: u64, nsec: u64) -> Self {
        if nsec < NSEC_PER_SEC {
            return Self { sec: sec as i64, nsec: nsec as i64 };
        }
        let (sec, nsec) = (sec.wrapping_add(1), nsec - NSEC_PER_SEC);
        if nsec < NSEC_PER_SEC {
            return Self { sec: sec as i64, nsec: nsec as i64 };
        }
        // A clock at twice the host's rate and more, or a page that is no longer published.
        cold_path();
        Self {
            sec: sec.wrapping_add(whole_seconds(nsec)) as i64,
            nsec: below_a_second(nsec) as i64,
        }
    }

    /// All of it in nanoseconds.
    pub const fn as_nanos(self) -> i128 {
        self.sec as i128 * NSEC_PER_SEC as i128 + self.nsec as i128
    }

    /// The inverse of [`as_nanos`](Self::as_nanos); `None` if the seconds do not fit.
    pub const fn from_nanos(ns: i128) -> Option<Self> {
        let sec = ns.div_euclid(NSEC_PER_SEC as i128);
        if sec < i64::MIN as i128 || sec > i64::MAX as i128 {
            return None;
        }
        Some(Self { sec: sec as i64, nsec: ns.rem_euclid(NSEC_PER_SEC as i128) as i64 })
    }

    /// `self + other`, seconds wrapping as they do for a caller of the kernel.
    #[inline(always)]
    pub const fn wrapping_add(self, other: Self) -> Self {
        Self::carried(
            (self.sec as u64).wrapping_add(other.sec as u64),
            (self.nsec as u64).wrapping_add(other.nsec as u64),
        )
    }

    /// `self - other`, seconds wrapping.
    #[inline(always)]
    pub const fn wrapping_sub(self, other: Self) -> Self {
        Self::carried(
            (self.sec as u64).wrapping_sub(other.sec as u64).wrapping_sub(1),
            (self.nsec as u64).wrapping_add(NSEC_PER_SEC).wrapping_sub(other.nsec as u64),
        )
    }
}

/// Whole seconds in so many nanoseconds.
///
/// Where a division of 64 bits is a call of the compiler's runtime, which an image lacks, it is a
/// multiplication.
#[inline(always)]
pub(crate) const fn whole_seconds(nsec: u64) -> u64 {
    if usize::BITS >= u64::BITS { nsec / NSEC_PER_SEC } else { multiplied_whole_seconds(nsec) }
}

/// What is left of them.
#[inline(always)]
pub(crate) const fn below_a_second(nsec: u64) -> u64 {
    if usize::BITS >= u64::BITS {
        return nsec % NSEC_PER_SEC;
    }
    nsec.wrapping_sub(multiplied_whole_seconds(nsec).wrapping_mul(NSEC_PER_SEC))
}

/// `nsec / NSEC_PER_SEC` for any number: 10^9 is 2^9 times 5^9, and the product of what is left of `nsec`
/// (55 bits) with the reciprocal of 5^9, rounded up to 2^-76, is too large by less than 2^55 * 5^9 / 2^76
/// of 5^-9, which is less than one, so no whole number is passed.
const fn multiplied_whole_seconds(nsec: u64) -> u64 {
    const FIVES: u128 = 1_953_125;
    const SHIFT: u32 = 76;
    const RECIPROCAL: u64 = (1u128 << SHIFT).div_ceil(FIVES) as u64;
    (((nsec >> 9) as u128 * RECIPROCAL as u128) >> SHIFT) as u64
}

/// Whole microseconds in less than a second's nanoseconds.
#[inline(always)]
pub const fn whole_micros(nsec: u64) -> u64 {
    const NSEC_PER_USEC: u32 = 1_000;
    if usize::BITS >= u64::BITS {
        // Unsigned, as that divides by a multiplication alone.
        nsec / NSEC_PER_USEC as u64
    } else {
        // As in `whole_seconds`; less than a second fits.
        (nsec as u32 / NSEC_PER_USEC) as u64
    }
}

/// The largest multiple of `step_ns` that is not above `nsec`, which is below 10^9; `nsec` itself for a step of zero.
///
/// A second begins at a multiple, whatever the step. So a clock that is rounded by this goes back only where the clock
/// itself does.
#[inline(always)]
pub const fn rounded_down(nsec: u64, step_ns: u32) -> u64 {
    match NonZeroU32::new(step_ns) {
        Some(step_ns) => nsec - remainder(nsec as u32, step_ns) as u64,
        None => nsec,
    }
}

/// `dividend % divisor`, where a division is a call of the compiler's runtime, too.
#[inline(always)]
const fn remainder(dividend: u32, divisor: NonZeroU32) -> u32 {
    if cfg!(target_arch = "arm") {
        subtracted_remainder(dividend, divisor.get())
    } else {
        dividend % divisor.get()
    }
}

/// The same bit by bit.
const fn subtracted_remainder(dividend: u32, divisor: u32) -> u32 {
    let mut rest = dividend;
    let mut shift = divisor.leading_zeros();
    loop {
        let part = divisor << shift;
        if part <= rest {
            rest -= part;
        }
        if shift == 0 {
            return rest;
        }
        shift -= 1;
    }
}

/// Nanoseconds, and the fraction of one in units of 2^-64 ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nanos {
    /// Whole nanoseconds.
    pub ns: u64,
    /// The part of a nanosecond beyond them, units of 2^-64 ns.
    pub fraction: u64,
}

/// Nanoseconds a cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mult {
    /// Whole nanoseconds; zero for a counter of more than 1 GHz at the host's rate.
    pub whole: u64,
    /// The part of a nanosecond beyond them, units of 2^-64 ns.
    pub fraction: u64,
}

/// `base + delta * mult`, modulo 2^64 ns.
///
/// One multiplication for most counters, two for slow ones, then one addition with carry; nothing is
/// rounded.
#[inline(always)]
pub const fn nanos_at(base: Nanos, delta_cycles: u64, mult: Mult) -> Nanos {
    let mut whole = base.ns;
    if mult.whole != 0 {
        // A branch is nearer than a multiplication: what comes behind a read of the counter costs by
        // the instruction.
        cold_path();
        whole = whole.wrapping_add(delta_cycles.wrapping_mul(mult.whole));
    }
    let product = delta_cycles as u128 * mult.fraction as u128;
    let sum = product.wrapping_add((whole as u128) << 64 | base.fraction as u128);
    Nanos { ns: (sum >> 64) as u64, fraction: sum as u64 }
}

/// How fast a virtual clock runs: seconds of it in one second of the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Whole seconds of the virtual clock in one of the host's.
    pub whole: u64,
    /// The part of a second beyond them, units of 2^-64 s.
    pub fraction: u64,
}

impl Rate {
    /// As fast as the host.
    pub const ONE: Self = Self { whole: 1, fraction: 0 };
    /// Not at all: a frozen clock.
    pub const ZERO: Self = Self { whole: 0, fraction: 0 };
}

/// A virtual clock as a function of the host's clock of the same id:
/// `base + offset + rate * (host - base)`.
///
/// With rate one that is `host + offset`, whatever the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transform {
    /// The time that is added to the host's.
    pub offset: Timespec,
    /// The host's time at which the virtual clock is exactly `offset` ahead.
    pub base: Timespec,
    /// How fast it runs from there.
    pub rate: Rate,
}

impl Transform {
    /// The host's own time.
    pub const IDENTITY: Self = Self {
        offset: Timespec { sec: 0, nsec: 0 },
        base: Timespec { sec: 0, nsec: 0 },
        rate: Rate::ONE,
    };

    /// The virtual time at `host`, rounded down to a nanosecond.
    #[inline(always)]
    pub const fn apply(&self, host: Timespec) -> Timespec {
        let shifted = if self.is_offset_only() {
            host
        } else {
            self.base.wrapping_add(self.rate.scale(host.wrapping_sub(self.base)))
        };
        shifted.wrapping_add(self.offset)
    }

    /// Whether the clock runs as fast as the host's.
    #[inline(always)]
    pub const fn is_offset_only(&self) -> bool {
        self.rate.whole == 1 && self.rate.fraction == 0
    }
}

impl Rate {
    /// `span * self`, rounded down. The span may be negative. What does not fit wraps: seconds times
    /// `whole`, and all of it for a span whose nanoseconds are not below 10^9.
    #[inline(always)]
    pub const fn scale(self, span: Timespec) -> Timespec {
        let (sec, nsec) = (span.sec, span.nsec as u64);
        // sec * fraction is signed, in units of 2^-64 s: its high half is whole seconds rounded
        // down, its low half the part of a second above them.
        let fractional_sec = sec as i128 * self.fraction as i128;
        let carried_sec = (fractional_sec >> 64) as u64;
        let below_one_sec = (fractional_sec as u64) as u128 * NSEC_PER_SEC as u128;
        // In units of 2^-64 ns; the three terms are added before the fraction is dropped.
        let fractional_ns = below_one_sec.wrapping_add(nsec as u128 * self.fraction as u128);
        let ns = ((fractional_ns >> 64) as u64).wrapping_add(nsec.wrapping_mul(self.whole));
        let whole_sec = (sec as u64).wrapping_mul(self.whole).wrapping_add(carried_sec);
        Timespec::carried(whole_sec, ns)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::{NSEC_PER_SEC, multiplied_whole_seconds, subtracted_remainder};

    /// What 32-bit machines do instead of a division.
    #[test]
    fn the_product_with_a_reciprocal_is_the_quotient_at_its_edges() {
        for sec in [0, 1, 2, 1 << 20, u64::MAX / NSEC_PER_SEC - 1, u64::MAX / NSEC_PER_SEC] {
            for nsec in [0, 1, 511, 512, NSEC_PER_SEC / 2, NSEC_PER_SEC - 1] {
                let Some(all) = (sec * NSEC_PER_SEC).checked_add(nsec) else { continue };
                assert_eq!(multiplied_whole_seconds(all), sec, "{all}");
            }
        }
        assert_eq!(multiplied_whole_seconds(u64::MAX), u64::MAX / NSEC_PER_SEC);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_product_with_a_reciprocal_is_the_quotient(nsec: u64, shift in 0u32..64) {
            let nsec = nsec >> shift;
            prop_assert_eq!(multiplied_whole_seconds(nsec), nsec / NSEC_PER_SEC);
        }

        /// What machines without a division do.
        #[test]
        fn what_is_left_after_subtractions_is_the_remainder(
            dividend: u32,
            divisor in 1_u32..,
            shifts in (0_u32..32, 0_u32..32),
        ) {
            let (dividend, divisor) = (dividend >> shifts.0, (divisor >> shifts.1).max(1));
            prop_assert_eq!(subtracted_remainder(dividend, divisor), dividend % divisor);
        }
    }
}
