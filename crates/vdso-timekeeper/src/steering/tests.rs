//! The rules of the module's documentation, with any line, any host and any reader.

use proptest::prelude::*;
use vdso_data::arithmetic::{NSEC_PER_SEC, Rate, nanos_at};

use super::*;

/// A nanosecond and the fraction of one in units of 2^-64: what a reader computes, before the
/// fraction is dropped.
type Exact = (i128, u64);

/// One nanosecond in the units of [`Fixed`].
const NS: Fixed = 1 << 32;
/// One nanosecond a cycle.
const NS_A_CYCLE: u128 = 1 << 64;

/// As long as it takes to publish a page, and a hundred times more.
const PUBLICATION_CYCLES: u64 = 100_000;

fn config() -> ProptestConfig {
    ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() }
}

/// The image's arithmetic, for counter values from the line's start on.
fn read(line: &Line, cycles: u64) -> Exact {
    let view = line.view(u64::MAX);
    let nanos = nanos_at(view.nanos, cycles.wrapping_sub(view.cycle_last), view.mult);
    (i128::from(view.sec) * i128::from(NSEC_PER_SEC) + i128::from(nanos.ns), nanos.fraction)
}

/// Slopes of counters from 24 MHz to 5 GHz, at rates up to the highest.
fn slope() -> impl Strategy<Value = u128> {
    let rate = prop_oneof![
        4 => Just(1.0),
        1 => Just(0.0),
        1 => Just(1e-9),
        1 => Just(1000.0),
        1 => Just(1e6),
        2 => 0.0..4.0,
    ];
    (0.2..42.0, rate, any::<u32>()).prop_map(|(ns, rate, low): (f64, f64, u32)| {
        let slope = (ns * rate * NS_A_CYCLE as f64) as u128;
        if rate == 0.0 { 0 } else { slope + u128::from(low) }
    })
}

/// As a host's that is slewed by up to 500 ppm either way.
fn slewed(slope: u128, ppm: i32) -> u128 {
    (slope as i128 + slope as i128 / 1_000_000 * i128::from(ppm)) as u128
}

fn line() -> impl Strategy<Value = Line> {
    let start = prop_oneof![0..1i128 << 92, Just(0), -(1i128 << 90)..0];
    (any::<u64>(), start, slope()).prop_map(|(cycles, start, slope)| Line { cycles, start, slope })
}

/// Up to nine seconds at 1 GHz.
fn age() -> impl Strategy<Value = u64> {
    prop_oneof![0..1u64 << 33, 0..1000u64]
}

fn interval() -> impl Strategy<Value = u64> {
    prop_oneof![1..1u64 << 33, Just(1 << 32), Just(1), Just(20_000_000)]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::NeverBack), Just(Kind::Settable)]
}

/// Deviations from nothing to years, often around that which is a step.
fn deviation() -> impl Strategy<Value = Fixed> {
    let step = STEP_NS * NS;
    prop_oneof![
        4 => -2 * step..2 * step,
        2 => -1000 * NS..1000 * NS,
        1 => (-2i128..=2).prop_map(move |by| step + by),
        1 => (-2i128..=2).prop_map(move |by| -step + by),
        1 => -(1i128 << 85)..1i128 << 85,
        1 => Just(0),
    ]
}

proptest! {
    #![proptest_config(config())]

    /// The first rule, for a host that is slewed as NTP does. A reader with the old line and a later
    /// one with the new: at whatever counter values in the overlap.
    #[test]
    fn a_clock_that_may_not_go_back_does_not(
        old in line(),
        (age, interval) in (age(), interval()),
        (deviation, ppm) in (deviation(), -1000..=1000i32),
        at in 0..=OVERLAP_CYCLES,
    ) {
        let now = old.cycles.wrapping_add(age);
        let target = old.at(now) + deviation;
        let slope = slewed(old.slope, ppm);
        let new = continued(&old, (now, target), slope, interval, Kind::NeverBack);
        for at in [0, at, OVERLAP_CYCLES] {
            let cycles = now.wrapping_add(at);
            prop_assert!(read(&old, cycles) <= read(&new, cycles), "{new:?} at +{at}");
        }
    }

    /// The same where everything changes, the rate too: for as long as it takes to publish, as a line
    /// that is to stand above a much faster one for longer would not be its continuation.
    #[test]
    fn a_clock_whose_rate_changes_does_not_go_back(
        old in line(),
        (age, interval) in (age(), interval()),
        (deviation, slope) in (deviation(), slope()),
        at in 0..=PUBLICATION_CYCLES,
    ) {
        let now = old.cycles.wrapping_add(age);
        let target = old.at(now) + deviation;
        let new = continued(&old, (now, target), slope, interval, Kind::NeverBack);
        for at in [0, at, PUBLICATION_CYCLES] {
            let cycles = now.wrapping_add(at);
            prop_assert!(read(&old, cycles) <= read(&new, cycles), "{new:?} at +{at}");
        }
    }

    /// A clock that may be set does not go back either, as long as nobody sets it.
    #[test]
    fn a_settable_clock_that_is_not_set_does_not_go_back(
        old in line(),
        (age, interval) in (age(), interval()),
        (deviation, ppm) in (-STEP_NS * NS..=STEP_NS * NS, -1000..=1000i32),
        at in 0..=OVERLAP_CYCLES,
    ) {
        let now = old.cycles.wrapping_add(age);
        let target = old.at(now) + deviation;
        let slope = slewed(old.slope, ppm);
        let new = continued(&old, (now, target), slope, interval, Kind::Settable);
        for at in [0, at, OVERLAP_CYCLES] {
            let cycles = now.wrapping_add(at);
            prop_assert!(read(&old, cycles) <= read(&new, cycles), "{new:?} at +{at}");
        }
    }

    /// The second rule, and the limit of what a correction may do to a slope.
    #[test]
    fn a_slope_is_corrected_by_500_ppm_at_most(
        old in line(),
        (age, interval) in (age(), interval()),
        (deviation, slope) in (deviation(), slope()),
        kind in kind(),
    ) {
        let now = old.cycles.wrapping_add(age);
        let target = old.at(now) + deviation;
        let new = continued(&old, (now, target), slope, interval, kind);
        prop_assert_eq!(new.cycles, now);
        prop_assert!(new.slope.abs_diff(slope) <= slope / 2000);
        match deviation.signum() {
            1 => prop_assert!(new.slope >= slope),
            -1 => prop_assert!(new.slope <= slope),
            _ => prop_assert_eq!(new.slope, slope),
        }
    }

    /// A small deviation is gone at the next update, but for what the overlap takes.
    #[test]
    fn a_line_meets_its_target_at_the_next_update(
        old in line(),
        (age, ppm) in (age(), -500..=500i32),
        interval in 1u64 << 31..1 << 33,
        part in -1.0..1.0f64,
        kind in kind(),
    ) {
        let slope = slewed(old.slope, ppm);
        // As much as 500 ppm of the interval can make good, and no step.
        let most = (slope as i128 / 2001 * i128::from(interval)) >> 32;
        let deviation = (most.min(STEP_NS * NS) as f64 * part) as Fixed;
        let now = old.cycles.wrapping_add(age);
        let target = old.at(now) + deviation;
        let new = continued(&old, (now, target), slope, interval, kind);
        let next = now.wrapping_add(interval);
        let host = Line { cycles: now, start: target, slope }.at(next);
        let ahead = new.at(next) - host;
        // What is rounded: the slope to 2^-64 ns, the lines to 2^-32 ns.
        let rounded = i128::from(interval >> 32) + 3;
        let slower_by = old.slope.saturating_sub(new.slope);
        let lift = ((slower_by * u128::from(OVERLAP_CYCLES)) >> 32) as i128;
        prop_assert!(ahead >= -rounded, "{ahead} behind");
        prop_assert!(ahead <= lift + rounded, "{ahead} ahead with a lift of {lift}");
    }

    /// Somebody set the host's clock: by more than a millisecond, and either way.
    #[test]
    fn a_settable_clock_that_is_set_follows_at_once(
        old in line(),
        (age, interval, slope) in (age(), interval(), slope()),
        by in STEP_NS * NS + 1..1i128 << 85,
        back in any::<bool>(),
    ) {
        let now = old.cycles.wrapping_add(age);
        let target = old.at(now) + if back { -by } else { by };
        let new = continued(&old, (now, target), slope, interval, Kind::Settable);
        prop_assert_eq!(new, Line { cycles: now, start: target, slope });
    }

    /// The host has slept: BOOTTIME jumps forward.
    #[test]
    fn a_clock_that_may_not_go_back_follows_forward_at_once(
        old in line(),
        (age, interval, ppm) in (age(), interval(), -500..=500i32),
        by in STEP_NS * NS + 1..1i128 << 85,
    ) {
        let now = old.cycles.wrapping_add(age);
        let target = old.at(now) + by;
        let slope = slewed(old.slope, ppm);
        let new = continued(&old, (now, target), slope, interval, Kind::NeverBack);
        prop_assert!(new.start >= target);
        // Not ahead by more than the overlap takes.
        let lift = ((old.slope.saturating_sub(slope) * u128::from(OVERLAP_CYCLES)) >> 32) as i128;
        prop_assert!(new.start - target <= lift + 2);
        prop_assert_eq!(new.slope, slope);
    }

    /// A host that is behind is waited for, at the slowest that a correction may be.
    #[test]
    fn a_clock_that_may_not_go_back_waits_for_the_host(
        old in line(),
        (age, interval, ppm) in (age(), 1u64 << 31..1 << 33, -500..=500i32),
        by in STEP_NS * NS + 1..1i128 << 85,
    ) {
        let now = old.cycles.wrapping_add(age);
        let target = old.at(now) - by;
        let slope = slewed(old.slope, ppm);
        let new = continued(&old, (now, target), slope, interval, Kind::NeverBack);
        prop_assert!(new.start >= old.at(now));
        prop_assert!(new.slope <= slope);
        let wanted = (by << 32) / i128::from(interval);
        let most = slope as i128 / 2000;
        prop_assert_eq!(new.slope, (slope as i128 - wanted.min(most)) as u128);
    }

    /// A frozen clock stays at its time for ever, to the fraction.
    #[test]
    fn a_frozen_clock_does_not_move(
        cycles in any::<u64>(),
        start in 0..1i128 << 92,
        ages in prop::collection::vec(age(), 1..20),
        kind in kind(),
    ) {
        let frozen = Line { cycles, start, slope: 0 };
        let mut line = frozen;
        for age in ages {
            let now = line.cycles.wrapping_add(age);
            line = continued(&line, (now, start), 0, 1 << 30, kind);
            prop_assert_eq!((line.start, line.slope), (start, 0));
        }
    }

    #[test]
    fn a_line_comes_out_of_a_page_as_it_went_in(line in line(), stale_cycles in any::<u64>()) {
        let view = line.view(stale_cycles);
        prop_assert_eq!(view.stale_cycles, stale_cycles);
        prop_assert!(view.nanos.ns < NSEC_PER_SEC);
        prop_assert_eq!(Line::from_view(&view), line);
    }

    /// The other way round, all but the fractions below 2^-32 ns, which no line has.
    #[test]
    fn a_view_comes_back_from_a_line(
        (cycle_last, stale_cycles) in any::<(u64, u64)>(),
        (whole, mult_fraction) in any::<(u64, u64)>(),
        (sec, ns, fraction) in (any::<i64>(), 0..NSEC_PER_SEC, any::<u32>()),
    ) {
        let view = CounterView {
            cycle_last,
            stale_cycles,
            mult: Mult { whole, fraction: mult_fraction },
            sec,
            nanos: Nanos { ns, fraction: u64::from(fraction) << 32 },
        };
        prop_assert_eq!(Line::from_view(&view).view(stale_cycles), view);
    }

    /// The timekeeper and the image mean the same time.
    #[test]
    fn a_line_is_what_its_readers_read(line in line(), age in 0..1u64 << 35) {
        let cycles = line.cycles.wrapping_add(age);
        let (ns, fraction) = read(&line, cycles);
        prop_assert_eq!(line.at(cycles), ns * NS + Fixed::from(fraction >> 32));
    }

    /// Before its start a line is continued straight, and rounded down there as well.
    #[test]
    fn a_line_goes_straight_through_its_start(line in line(), back in 0..1u64 << 33) {
        let cycles = line.cycles.wrapping_sub(back);
        let exact = i128::try_from(line.slope).unwrap() * i128::from(back);
        let behind = line.start - line.at(cycles);
        prop_assert_eq!(behind, (exact + (NS - 1)) >> 32);
    }

    /// To a nanosecond of the host's: that is all a transform is given.
    #[test]
    fn a_transformed_time_is_the_transform_of_the_time(
        (sec, nsec) in (-(1i64 << 40)..1 << 40, 0..NSEC_PER_SEC as i64),
        (base, offset) in (-(1i64 << 40)..1 << 40, -(1i64 << 40)..1 << 40),
        (whole, rate_fraction, fraction) in (0..1_000_000u64, any::<u64>(), any::<u32>()),
    ) {
        let host = Timespec { sec, nsec };
        let fixed = host.as_nanos() * NS + Fixed::from(fraction);
        let transform = Transform {
            offset: Timespec { sec: offset, nsec: 5 },
            base: Timespec { sec: base, nsec: 999_999_999 },
            rate: Rate { whole, fraction: rate_fraction },
        };
        let exact = transform.apply(host).as_nanos() * NS;
        // Exact in the nanosecond, and no further ahead than the fraction is worth.
        let worth = (Fixed::from(fraction) * (i128::from(whole) + 1)) + NS;
        let result = transformed(&transform, fixed);
        prop_assert!((exact..=exact + worth).contains(&result));
        let moved = Transform { rate: Rate::ONE, ..transform };
        let offset = moved.offset.as_nanos() * NS;
        prop_assert_eq!(transformed(&moved, fixed), fixed + offset);
    }

    /// To 2^-48 ns a cycle: a microsecond in three years.
    #[test]
    fn a_transformed_slope_is_the_product(
        host in 1u128 << 61..1 << 70,
        (whole, fraction) in (0..=1_000_000u64, any::<u64>()),
    ) {
        let transform = Transform { rate: Rate { whole, fraction }, ..Transform::IDENTITY };
        let (high, low) = (host >> 64, host & u128::from(u64::MAX));
        let scaled = high * u128::from(fraction) + ((low * u128::from(fraction)) >> 64);
        let exact = host * u128::from(whole) + scaled;
        let result = transformed_slope(&transform, host);
        prop_assert!(result <= exact);
        prop_assert!(exact - result <= 1 << 16, "{} too low", exact - result);
    }

    #[test]
    fn a_slope_between_samples_is_that_of_the_host(
        (cycles, apart) in (0..1u64 << 62, 1..1u64 << 40),
        (start, slope) in (0..1i128 << 92, 1u128 << 61..1 << 68),
    ) {
        let host = Line { cycles, start, slope };
        let at = |cycles| Sample { cycles, fixed: [host.at(cycles); vdso_data::clock::LINES] };
        let (from, to) = (at(cycles), at(cycles + apart));
        let measured = slope_between(&from, &to, 1).unwrap();
        // The times are rounded to 2^-32 ns.
        let rounded = (1u128 << 32) / u128::from(apart) + 1;
        prop_assert!(measured.abs_diff(slope) <= rounded);
        prop_assert_eq!(slope_between(&to, &from, 1), None);
        prop_assert_eq!(slope_between(&from, &from, 1), None);
    }
}

#[test]
fn a_host_that_went_back_has_no_slope() {
    let sample = |cycles, ns: Fixed| Sample { cycles, fixed: [ns * NS; vdso_data::clock::LINES] };
    assert_eq!(slope_between(&sample(10, 5), &sample(20, 4), 1), None);
    assert_eq!(slope_between(&sample(10, 5), &sample(20, 5), 1), Some(0));
    assert_eq!(slope_between(&sample(10, 5), &sample(20, 15), 1), Some(NS_A_CYCLE));
}

/// One update, to be followed with a pencil: 2 GHz, 100 ns behind, two seconds to go.
#[test]
fn a_line_that_is_behind_runs_faster() {
    let slope = NS_A_CYCLE / 2;
    let old = Line { cycles: 1000, start: 7 * NS, slope };
    let new = continued(&old, (3000, 1107 * NS), slope, 4_000_000_000, Kind::NeverBack);
    assert_eq!(new.start >> 32, 1007);
    assert_eq!(new.slope - slope, 100 * NS_A_CYCLE / 4_000_000_000);
    assert_eq!((new.at(3000 + 4_000_000_000) + NS / 2) >> 32, 2_000_001_107);
}

/// The fastest clock on a slow counter, days after its last update: no product of 128 bits overflows.
#[test]
fn a_line_goes_on_for_as_long_as_a_counter_does() {
    let slope = NS_A_CYCLE * 42 * 1_000_000;
    let line = Line { cycles: 0, start: 0, slope };
    for cycles in [1 << 40, 1 << 50, i64::MAX as u64] {
        assert_eq!(line.at(cycles), Fixed::from(cycles) * 42_000_000 * NS);
    }
}

/// The ends of all numbers, and what is between.
fn any_i128() -> impl Strategy<Value = i128> {
    let shifted = (any::<i128>(), 0u32..128).prop_map(|(number, bits)| number >> bits);
    prop_oneof![Just(i128::MIN), Just(i128::MAX), Just(0), shifted]
}

fn any_u128() -> impl Strategy<Value = u128> {
    any_i128().prop_map(|number| number as u128)
}

fn any_u64() -> impl Strategy<Value = u64> {
    let shifted = (any::<u64>(), 0u32..64).prop_map(|(number, bits)| number >> bits);
    prop_oneof![Just(0), Just(1 << 63), Just(u64::MAX), shifted]
}

fn any_line() -> impl Strategy<Value = Line> {
    (any_u64(), any_i128(), any_u128()).prop_map(|(cycles, start, slope)| Line {
        cycles,
        start,
        slope,
    })
}

fn any_transform() -> impl Strategy<Value = Transform> {
    let time = || {
        (any_u64(), any_u64())
            .prop_map(|(sec, nsec)| Timespec { sec: sec as i64, nsec: nsec as i64 })
    };
    let rate = (any_u64(), any_u64()).prop_map(|(whole, fraction)| Rate { whole, fraction });
    let rate = prop_oneof![Just(Rate::ONE), Just(Rate::ZERO), rate];
    (time(), time(), rate).prop_map(|(offset, base, rate)| Transform { offset, base, rate })
}

fn any_sample() -> impl Strategy<Value = Sample> {
    (any_u64(), any_i128())
        .prop_map(|(cycles, time)| Sample { cycles, fixed: [time; vdso_data::clock::LINES] })
}

proptest! {
    #![proptest_config(config())]

    /// All fields are public, and a page may hold anything.
    #[test]
    fn no_line_and_no_time_makes_a_panic(
        old in any_line(),
        (now, target, interval_cycles) in (any_u64(), any_i128(), any_u64()),
        slope in any_u128(),
        transform in any_transform(),
        (from, to, id) in (any_sample(), any_sample(), any::<u32>()),
    ) {
        old.at(now);
        let again = Line::from_view(&old.view(now));
        again.at(now);
        for kind in [Kind::Settable, Kind::NeverBack] {
            let next = continued(&old, (now, target), slope, interval_cycles, kind);
            overlap_cycles(old.slope, next.slope);
            next.at(now);
            next.view(interval_cycles);
        }
        transformed(&transform, target);
        transformed_slope(&transform, slope);
        for id in [id, 0, 11, 12, u32::MAX] {
            slope_between(&from, &to, id);
        }
    }

    #[test]
    fn what_does_not_fit_is_the_most_that_does(cycles: u64) {
        let steepest = Line { cycles, start: 0, slope: u128::MAX };
        prop_assert_eq!(steepest.at(cycles.wrapping_add(1 << 62)), Fixed::MAX);
        prop_assert_eq!(steepest.at(cycles.wrapping_sub(1 << 62)), Fixed::MIN);
        let late = Line { cycles, start: Fixed::MAX, slope: NS_A_CYCLE };
        prop_assert_eq!(late.at(cycles.wrapping_add(1)), Fixed::MAX);
    }
}
