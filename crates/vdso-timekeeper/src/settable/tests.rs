use std::vec::Vec;

use super::*;

const fn ts(sec: i64, nsec: i64) -> Timespec {
    Timespec { sec, nsec }
}

const HOST: Timex = Timex {
    modes: 0,
    offset: 0,
    freq: 0,
    maxerror: 1_000,
    esterror: 10,
    status: STA_PLL,
    constant: 2,
    precision: 1,
    tolerance: 0,
    time: [0, 0],
    tick: USUAL_TICK_USEC,
    tai: 37,
};

fn clock() -> Settable {
    Settable::new(Transform::IDENTITY, &HOST, ts(1_000_000, 0))
}

fn adjust(clock: &mut Settable, now: Timespec, timex: Timex) -> Timex {
    let mut timex = timex;
    clock.adjust(now, &mut timex, ts(0, 0)).expect("the kernel takes it");
    timex
}

#[test]
fn a_clock_that_is_set_shows_that_time_and_goes_on_from_there() {
    let mut clock = clock();
    let now = ts(1_000_000, 5);
    clock.set(now, ts(2_000_000_000, 999_999_999), ts(50_000, 0)).expect("a time");
    assert_eq!(clock.at(now), ts(2_000_000_000, 999_999_999));
    assert_eq!(clock.at(ts(1_000_001, 6)), ts(2_000_000_002, 0));
    let transforms = clock.transforms([Transform::IDENTITY; clock::LINES]);
    let tai = transforms[clock::TAI as usize].apply(ts(1_000_037, 5));
    assert_eq!(tai, ts(2_000_000_037, 999_999_999));
    assert_eq!(transforms[clock::MONOTONIC as usize], Transform::IDENTITY);
}

#[test]
fn what_the_kernel_does_not_take_changes_nothing() {
    let mut clock = clock();
    let before = clock;
    let now = ts(1_000_000, 0);
    for wanted in [ts(-1, 0), ts(1, -1), ts(1, 1_000_000_000), ts(8_300_000_000, 0), ts(99, 0)] {
        assert_eq!(clock.set(now, wanted, ts(100, 0)), Err(Refusal::Invalid), "{wanted:?}");
    }
    for timex in [
        Timex { modes: ADJ_TICK, tick: 8_999, ..HOST },
        Timex { modes: ADJ_TICK, tick: 11_001, ..HOST },
        Timex { modes: ADJ_SETOFFSET, time: [0, 1_000_000], ..HOST },
        Timex { modes: ADJ_SETOFFSET | ADJ_NANO, time: [0, -1], ..HOST },
        Timex { modes: ADJ_ADJTIME, ..HOST },
        Timex { modes: ADJ_FREQUENCY, freq: i64::MAX, ..HOST },
    ] {
        assert_eq!(clock.adjust(now, &mut { timex }, ts(0, 0)), Err(Refusal::Invalid), "{timex:?}");
    }
    assert_eq!(clock, before);
}

#[test]
fn a_frequency_and_a_tick_make_it_faster() {
    let mut clock = clock();
    let now = ts(1_000_000, 0);
    adjust(&mut clock, now, Timex { modes: ADJ_FREQUENCY, freq: 100 << 16, ..HOST });
    assert_eq!(clock.at(ts(1_010_000, 0)).wrapping_sub(ts(1_010_001, 0)).as_nanos().abs() / 10, 0);
    adjust(
        &mut clock,
        ts(1_010_000, 0),
        Timex { modes: ADJ_TICK | ADJ_FREQUENCY, tick: 11_000, ..HOST },
    );
    let passed = clock.at(ts(1_010_100, 0)).wrapping_sub(clock.at(ts(1_010_000, 0)));
    assert!((passed.as_nanos() - 110_000_000_000).abs() < 10, "{passed:?}");
    // No more than the kernel's most.
    let said =
        adjust(&mut clock, ts(1_010_100, 0), Timex { modes: ADJ_FREQUENCY, freq: 1 << 30, ..HOST });
    assert_eq!(said.freq, 500 << 16);
}

#[test]
fn the_launchs_rate_is_made_faster_in_the_same_proportion() {
    for (rate, factor) in
        [(Rate { whole: 60, fraction: 0 }, 60.0), (Rate { whole: 0, fraction: 1 << 63 }, 0.5)]
    {
        let launched = Transform { rate, ..Transform::IDENTITY };
        let mut clock = Settable::new(launched, &HOST, ts(1_000, 0));
        adjust(&mut clock, ts(1_000, 0), Timex { modes: ADJ_FREQUENCY, freq: 500 << 16, ..HOST });
        let passed = clock.at(ts(2_000, 0)).wrapping_sub(clock.at(ts(1_000, 0))).as_nanos() as f64;
        assert!((passed / 1e12 / factor - 1.0005).abs() < 1e-11, "{passed}");
    }
}

#[test]
fn adjtime_slews_half_a_millisecond_a_second_and_no_further() {
    let mut clock = clock();
    let mut now = ts(1_000_000, 0);
    let modes = ADJ_ADJTIME | ADJ_OFFSET;
    adjust(&mut clock, now, Timex { modes, offset: -1_200, ..HOST });
    let mut left = Vec::new();
    while let Some(wait_ns) = clock.wait_ns(now) {
        now = now.wrapping_add(Timespec::from_nanos(wait_ns.into()).expect("not long"));
        clock.advance(now);
        left.push(adjust(&mut clock, now, Timex { modes: modes | ADJ_NANO, ..HOST }).offset);
    }
    assert_eq!(left, [-700, -200, 0]);
    let slewed = clock.at(now).wrapping_sub(now).as_nanos();
    assert!((slewed + 1_200_000).abs() < 10, "{slewed}");
}

#[test]
fn whoever_is_late_takes_back_what_was_slewed_too_far() {
    let mut clock = clock();
    adjust(
        &mut clock,
        ts(1_000_000, 0),
        Timex { modes: ADJ_ADJTIME | ADJ_OFFSET, offset: 500, ..HOST },
    );
    let late = ts(1_000_010, 0);
    clock.advance(late);
    assert!(clock.at(late) > ts(1_000_010, 4_000_000));
    let mut now = late;
    while let Some(wait_ns) = clock.wait_ns(now) {
        now = now.wrapping_add(Timespec::from_nanos(wait_ns.into()).expect("not long"));
        clock.advance(now);
    }
    let slewed = clock.at(now).wrapping_sub(now).as_nanos();
    assert!((slewed - 500_000).abs() < 10, "{slewed}");
}

#[test]
fn the_loop_slews_a_part_of_what_is_left_in_each_second() {
    let mut clock = clock();
    let now = ts(1_000_000, 0);
    let modes = ADJ_OFFSET | ADJ_NANO | ADJ_STATUS;
    let said =
        adjust(&mut clock, now, Timex { modes, offset: 16_000_000, status: STA_PLL, ..HOST });
    assert_eq!((said.offset, said.time), (16_000_000, [1_000_000, 0]));
    clock.advance(ts(1_000_001, 0));
    // The constant is 2: a sixteenth.
    assert_eq!(adjust(&mut clock, ts(1_000_001, 0), HOST).offset, 15_000_000);
    clock.advance(ts(1_000_002, 0));
    let left = adjust(&mut clock, ts(1_000_002, 0), HOST).offset;
    assert!((14_060_000..14_065_000).contains(&left), "{left}");
}

#[test]
fn a_step_is_added_and_makes_the_clock_one_that_nobody_keeps() {
    let mut clock = clock();
    let now = ts(1_000_000, 250);
    let modes = ADJ_SETOFFSET | ADJ_NANO;
    let mut timex = Timex { modes, time: [-3, 999_999_999], ..HOST };
    assert_eq!(clock.adjust(now, &mut timex, ts(0, 0)), Ok(State::Error));
    assert_eq!(clock.at(now), ts(999_998, 249));
    assert_eq!((timex.maxerror, timex.status), (MOST_ERROR_USEC, STA_PLL | STA_UNSYNC | STA_NANO));
    let back = Timex { modes: ADJ_STATUS | ADJ_MAXERROR, status: STA_PLL, maxerror: 5, ..HOST };
    assert_eq!(clock.adjust(now, &mut { back }, ts(0, 0)), Ok(State::Ok));
    assert_eq!(adjust(&mut clock, ts(1_000_010, 0), HOST).maxerror, 5 + 10 * ERROR_USEC_PER_SEC);
    clock.advance(ts(1_100_000, 0));
    assert_ne!(adjust(&mut clock, ts(1_100_000, 0), HOST).status & STA_UNSYNC, 0);
}

#[test]
fn asking_moves_nothing() {
    let mut clock = clock();
    adjust(&mut clock, ts(1_000_000, 0), Timex { modes: ADJ_FREQUENCY, freq: 12_345, ..HOST });
    let before = clock.transforms([Transform::IDENTITY; clock::LINES]);
    for sec in 1..100 {
        adjust(&mut clock, ts(1_000_000 + sec, 7), HOST);
    }
    assert_eq!(clock.transforms([Transform::IDENTITY; clock::LINES]), before);
}

#[test]
fn a_leap_second_comes_at_midnight_once() {
    for (status, step, states) in [
        (STA_INS, -1, [State::Ins, State::Oop, State::Wait, State::Ok]),
        (STA_DEL, 1, [State::Del, State::Wait, State::Wait, State::Ok]),
    ] {
        let mut clock = clock();
        // Three seconds before a midnight.
        let mut now = ts(86_400 * 20 - 3, 500_000_000);
        let with_status = |status| Timex {
            modes: ADJ_STATUS | ADJ_MAXERROR,
            status: STA_PLL | status,
            maxerror: 0,
            ..HOST
        };
        let mut seen = Vec::new();
        assert_eq!(clock.adjust(now, &mut with_status(status), ts(0, 0)), Ok(states[0]));
        seen.push(states[0]);
        for _ in 0..2 {
            let Some(wait_ns) = clock.wait_ns(now) else { break };
            now = now.wrapping_add(Timespec::from_nanos(wait_ns.into()).expect("a day at most"));
            clock.advance(now);
            seen.push(clock.state);
        }
        while seen.len() < 3 {
            seen.push(clock.state);
        }
        assert_eq!(clock.wait_ns(now), None);
        assert_eq!(clock.at(now).wrapping_sub(now), ts(step, 0));
        assert_eq!(adjust(&mut clock, now, HOST).tai, 37 - step as i32);
        assert_eq!(clock.adjust(now, &mut with_status(0), ts(0, 0)), Ok(State::Ok));
        seen.push(clock.state);
        assert_eq!(seen, states);
    }
}

#[test]
fn zones_are_kept_within_the_kernels_bounds() {
    let mut clock = clock();
    let zone = |minutes_west| Timezone { minutes_west, dst_time: 2 };
    for minutes_west in [-901, 901] {
        assert_eq!(clock.set_zone(zone(minutes_west)), Err(Refusal::Invalid));
    }
    clock.set_zone(zone(-120)).expect("Helsinki");
    assert_eq!(clock.zone(), Some(zone(-120)));
}

#[test]
fn words_hold_all_of_it() {
    let mut clock = Settable::new(
        Transform {
            offset: ts(-5, 6),
            base: ts(7, 8),
            rate: Rate { whole: 9, fraction: u64::MAX },
        },
        &HOST,
        ts(10, 0),
    );
    clock.set_zone(Timezone { minutes_west: -60, dst_time: 1 }).expect("Berlin");
    clock.offset = Slew { left_ns: -11, speed_ns: 12 };
    clock.adjust = Slew { left_ns: 13, speed_ns: -14 };
    (clock.state, clock.freq, clock.reference_sec) = (State::Wait, -15, 16);
    assert_eq!(Settable::from_words(clock.to_words()), clock);
}

#[test]
fn a_frozen_clock_can_be_set_and_stays_frozen() {
    let frozen = Transform { rate: Rate::ZERO, base: ts(1_000, 0), ..Transform::IDENTITY };
    let mut clock = Settable::new(frozen, &HOST, ts(1_000, 0));
    clock.set(ts(2_000, 0), ts(77, 0), ts(0, 0)).expect("a time");
    adjust(
        &mut clock,
        ts(2_000, 0),
        Timex { modes: ADJ_ADJTIME | ADJ_OFFSET, offset: 500, ..HOST },
    );
    assert_eq!(clock.at(ts(9_000, 0)), ts(77, 0));
    assert_eq!(clock.wait_ns(ts(9_000, 0)), None);
}
