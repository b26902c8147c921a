//! The arithmetic against big integers, with numbers drawn from everywhere and, more often than
//! chance would have it, from the edges.
#![cfg(not(loom))]

use num_bigint::BigInt;
use proptest::prelude::*;
use vdso_data::arithmetic::{
    Mult, NSEC_PER_SEC, Nanos, Rate, Timespec, Transform, nanos_at, rounded_down,
};
use vdso_data::gettimeofday::Timeval;

/// The fastest rate that `vdso run` takes.
const MAX_RATE: u64 = 1_000_000;

fn config() -> ProptestConfig {
    // Miri is some hundred times slower, and looks for other things.
    let cases = if cfg!(miri) { 16 } else { 4096 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Any number, and often one near where a carry or a sign changes.
fn word() -> impl Strategy<Value = u64> {
    let near = |edge: u64| (-2i64..=2).prop_map(move |by| edge.wrapping_add_signed(by));
    prop_oneof![
        4 => any::<u64>(),
        2 => (any::<u64>(), 0u32..64).prop_map(|(bits, shift)| bits >> shift),
        1 => near(0),
        1 => near(NSEC_PER_SEC),
        1 => near(2 * NSEC_PER_SEC),
        1 => near(1 << 32),
        1 => near(1 << 63),
    ]
}

fn nsec() -> impl Strategy<Value = i64> {
    let edge = NSEC_PER_SEC as i64 - 1;
    prop_oneof![4 => 0..=edge, 1 => Just(0), 1 => Just(1), 1 => Just(edge)]
}

/// A valid point in time, of every size and sign.
fn timespec() -> impl Strategy<Value = Timespec> {
    (word(), nsec()).prop_map(|(sec, nsec)| Timespec { sec: sec as i64, nsec })
}

/// A valid point in time of which sums of a few, times [`MAX_RATE`], still have i64 seconds.
fn moderate_timespec() -> impl Strategy<Value = Timespec> {
    let edge = 1i64 << 40;
    (prop_oneof![-edge..=edge, -2i64..=2, Just(edge), Just(-edge)], nsec())
        .prop_map(|(sec, nsec)| Timespec { sec, nsec })
}

fn rate() -> impl Strategy<Value = Rate> {
    let below_max = (0..MAX_RATE, word()).prop_map(|(whole, fraction)| Rate { whole, fraction });
    prop_oneof![
        6 => below_max,
        2 => word().prop_map(|fraction| Rate { whole: 0, fraction }),
        1 => Just(Rate { whole: MAX_RATE, fraction: 0 }),
        1 => Just(Rate { whole: MAX_RATE - 1, fraction: u64::MAX }),
        1 => Just(Rate::ONE),
        1 => Just(Rate::ZERO),
    ]
}

/// The time of so many nanoseconds as a caller sees it, whose seconds wrap.
fn wrapped(ns: &BigInt) -> Timespec {
    let per_sec = BigInt::from(NSEC_PER_SEC);
    let nsec = ((ns % &per_sec) + &per_sec) % &per_sec;
    let sec: BigInt = (ns - &nsec) / &per_sec;
    // The low 64 bits of the two's complement.
    let sec = sec & BigInt::from(u64::MAX);
    Timespec {
        sec: u64::try_from(sec).expect("64 bits") as i64,
        nsec: i64::try_from(nsec).expect("below a second"),
    }
}

fn nanos(time: Timespec) -> BigInt {
    BigInt::from(time.sec) * NSEC_PER_SEC + time.nsec
}

/// `ns * rate`, rounded down.
fn scaled(ns: BigInt, rate: Rate) -> BigInt {
    let rate = (BigInt::from(rate.whole) << 64) + rate.fraction;
    // A shift of a negative BigInt rounds down, too.
    (ns * rate) >> 64u32
}

fn is_valid(time: Timespec) -> bool {
    (0..NSEC_PER_SEC as i64).contains(&time.nsec)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn carried_is_division_with_remainder(sec in word(), nsec in word()) {
        let time = Timespec::carried(sec, nsec);
        prop_assert!(is_valid(time));
        prop_assert_eq!(time.sec as u64, sec.wrapping_add(nsec / NSEC_PER_SEC));
        prop_assert_eq!(time.nsec as u64, nsec % NSEC_PER_SEC);
    }

    #[test]
    fn as_nanos_is_exact(time in timespec()) {
        prop_assert_eq!(BigInt::from(time.as_nanos()), nanos(time));
    }

    #[test]
    fn from_nanos_inverts_as_nanos(time in timespec()) {
        prop_assert_eq!(Timespec::from_nanos(time.as_nanos()), Some(time));
    }

    #[test]
    fn a_timeval_is_rounded_down(time in timespec()) {
        let Timeval { sec, usec } = time.into();
        let micros = BigInt::from(sec) * 1_000_000 + usec;
        let rest = nanos(time) - micros * 1_000;
        prop_assert!((0..1_000_000).contains(&usec));
        prop_assert!(BigInt::ZERO <= rest && rest < BigInt::from(1_000));
    }

    #[test]
    fn from_nanos_gives_what_fits(high in any::<i64>(), low in word(), shift in 0u32..127) {
        let ns = (i128::from(high) << 64 | i128::from(low)) >> shift;
        let sec = ns.div_euclid(i128::from(NSEC_PER_SEC));
        match Timespec::from_nanos(ns) {
            Some(time) => {
                prop_assert!(is_valid(time));
                prop_assert_eq!(time.as_nanos(), ns);
            }
            None => prop_assert!(i64::try_from(sec).is_err()),
        }
    }

    #[test]
    fn a_sum_is_exact_but_for_wrapping_seconds(left in timespec(), right in timespec()) {
        prop_assert_eq!(left.wrapping_add(right), wrapped(&(nanos(left) + nanos(right))));
    }

    #[test]
    fn a_difference_is_exact_but_for_wrapping_seconds(left in timespec(), right in timespec()) {
        prop_assert_eq!(left.wrapping_sub(right), wrapped(&(nanos(left) - nanos(right))));
    }

    #[test]
    fn a_difference_undoes_a_sum(left in timespec(), right in timespec()) {
        prop_assert_eq!(left.wrapping_add(right).wrapping_sub(right), left);
    }

    #[test]
    fn nanos_at_is_exact_modulo_two_to_the_64(
        (ns, fraction, delta) in (word(), word(), word()),
        (mult_whole, mult_fraction) in (word(), word()),
    ) {
        let base = Nanos { ns, fraction };
        let mult = Mult { whole: mult_whole, fraction: mult_fraction };
        let joined = |high: u64, low: u64| (BigInt::from(high) << 64) + low;
        let exact = joined(ns, fraction) + joined(mult_whole, mult_fraction) * delta;
        let result = nanos_at(base, delta, mult);
        let modulus = BigInt::from(1) << 128;
        prop_assert_eq!(joined(result.ns, result.fraction), exact % modulus);
    }

    #[test]
    fn a_scaled_span_is_rounded_down(span in timespec(), rate in rate()) {
        prop_assert_eq!(rate.scale(span), wrapped(&scaled(nanos(span), rate)));
    }

    #[test]
    fn a_transform_is_exact_and_rounded_down(
        (offset, base, host) in (moderate_timespec(), moderate_timespec(), moderate_timespec()),
        rate in rate(),
    ) {
        let span = nanos(host) - nanos(base);
        let exact = nanos(base) + nanos(offset) + scaled(span, rate);
        let result = Transform { offset, base, rate }.apply(host);
        prop_assert_eq!(nanos(result), exact);
        prop_assert!(is_valid(result));
    }

    /// The base may be anywhere, as long as the host is not three hundred milliards of years away.
    #[test]
    fn a_transform_is_exact_around_any_base(
        (offset, base, span) in (timespec(), timespec(), moderate_timespec()),
        rate in rate(),
    ) {
        let host = base.wrapping_add(span);
        let exact = nanos(base) + nanos(offset) + scaled(nanos(span), rate);
        prop_assert_eq!(Transform { offset, base, rate }.apply(host), wrapped(&exact));
    }

    #[test]
    fn with_rate_one_the_base_does_not_matter(
        (offset, base, host) in (timespec(), timespec(), timespec()),
    ) {
        let transform = Transform { offset, base, rate: Rate::ONE };
        prop_assert_eq!(transform.apply(host), wrapped(&(nanos(host) + nanos(offset))));
    }

    #[test]
    fn a_transform_never_turns_back(
        (offset, base) in (moderate_timespec(), moderate_timespec()),
        (one, other) in (moderate_timespec(), moderate_timespec()),
        rate in rate(),
    ) {
        let transform = Transform { offset, base, rate };
        let (earlier, later) = (one.min(other), one.max(other));
        prop_assert!(transform.apply(earlier) <= transform.apply(later));
    }

    /// The fields are public, so all of them may be anything; overflow would be a panic here.
    #[test]
    fn fields_of_any_value_wrap(
        (sec, nsec, other_sec, other_nsec) in (word(), word(), word(), word()),
        (whole, fraction, rate_whole, rate_fraction) in (word(), word(), word(), word()),
    ) {
        let one = Timespec { sec: sec as i64, nsec: nsec as i64 };
        let other = Timespec { sec: other_sec as i64, nsec: other_nsec as i64 };
        let rate = Rate { whole: rate_whole, fraction: rate_fraction };
        let transform = Transform { offset: one, base: other, rate };
        let (scaled, moved) = (rate.scale(one), transform.apply(other));
        let (sum, difference) = (one.wrapping_add(other), one.wrapping_sub(other));
        prop_assert!([scaled, moved, sum, difference].into_iter().all(is_valid));
        let mult = Mult { whole, fraction };
        let _ = nanos_at(Nanos { ns: sec, fraction: nsec }, other_sec, mult);
        let Timeval { usec, .. } = one.into();
        prop_assert_eq!(usec as u64, nsec / 1_000);
        prop_assert_eq!(BigInt::from(one.as_nanos()), nanos(one));
    }

    #[test]
    fn times_are_ordered_as_their_nanoseconds(one in timespec(), other in timespec()) {
        prop_assert_eq!(one.cmp(&other), one.as_nanos().cmp(&other.as_nanos()));
    }
}

#[test]
fn from_nanos_at_both_ends() {
    let first = i128::from(i64::MIN) * i128::from(NSEC_PER_SEC);
    let last = i128::from(i64::MAX) * i128::from(NSEC_PER_SEC) + i128::from(NSEC_PER_SEC) - 1;
    assert_eq!(Timespec::from_nanos(first), Some(Timespec { sec: i64::MIN, nsec: 0 }));
    assert_eq!(Timespec::from_nanos(first - 1), None);
    assert_eq!(Timespec::from_nanos(last), Some(Timespec { sec: i64::MAX, nsec: 999_999_999 }));
    assert_eq!(Timespec::from_nanos(last + 1), None);
    assert_eq!(Timespec::from_nanos(i128::MIN), None);
    assert_eq!(Timespec::from_nanos(i128::MAX), None);
}

#[test]
fn half_of_a_negative_nanosecond_is_minus_one() {
    let half = Rate { whole: 0, fraction: 1 << 63 };
    let minus_one = Timespec { sec: -1, nsec: 999_999_999 };
    assert_eq!(half.scale(minus_one), minus_one);
}

#[test]
fn a_frozen_transform_reads_its_base_for_ever() {
    let base = Timespec { sec: 7, nsec: 8 };
    let offset = Timespec { sec: -1, nsec: 999_999_999 };
    let frozen = Transform { offset, base, rate: Rate::ZERO };
    for sec in [i64::MIN, -1, 0, 7, i64::MAX] {
        assert_eq!(frozen.apply(Timespec { sec, nsec: 5 }), Timespec { sec: 7, nsec: 7 });
    }
}

proptest! {
    #![proptest_config(config())]

    /// What a coarse clock is made of: not ahead, not a step behind, not back, whatever a page says the step is.
    #[test]
    fn a_rounded_clock_follows_by_steps(
        times in (0..NSEC_PER_SEC, 0..NSEC_PER_SEC),
        step: u32,
        shift in 0_u32..32,
    ) {
        let (earlier, later) = (times.0.min(times.1), times.0.max(times.1));
        let step_ns = step >> shift;
        let rounded = rounded_down(later, step_ns);
        prop_assert!(rounded <= later && later - rounded < u64::from(step_ns.max(1)));
        prop_assert_eq!(rounded % u64::from(step_ns.max(1)), 0);
        prop_assert!(rounded_down(earlier, step_ns) <= rounded);
    }
}
