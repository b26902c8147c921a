//! Where clocks begin, on a host whose tick was any time ago.

use super::*;

const fn at_ns(sec: i64, nsec: i64) -> Timespec {
    Timespec { sec, nsec }
}

/// A host's clocks `ago` behind a tick.
fn host(id: u32, ago: Timespec) -> Timespec {
    let tick = match id {
        clock::REALTIME | clock::REALTIME_COARSE => at_ns(1_700_000_000, 999_000_000),
        clock::TAI => at_ns(1_700_000_037, 999_000_000),
        clock::BOOTTIME => at_ns(9_000, 5),
        clock::MONOTONIC_RAW => at_ns(4_999, 7),
        _ => at_ns(5_000, 999_999_999),
    };
    if clock::is_in(id, clock::COARSE) { tick } else { tick.wrapping_add(ago) }
}

const T: Timespec = Timespec { sec: 1_577_836_800, nsec: 0 };
const TICKS: [Timespec; 3] = [at_ns(0, 0), at_ns(0, 1), at_ns(0, 9_999_999)];
const REALTIME_CLOCKS: [u32; 2] = [clock::REALTIME, clock::REALTIME_COARSE];

/// The coarse clock of the same tick included, at every rate.
#[test]
fn no_clock_begins_before_the_time_asked_for() {
    for ago in TICKS {
        for rate in [1.0, 0.5, 1000.0, 0.0] {
            let asked = UNIX_EPOCH + Duration::from_secs(T.sec as u64);
            let clock = Clock::builder().at(asked).rate(rate).build().unwrap();
            let plan = Plan::from_now(&clock, &Now::by(|id| host(id, ago))).unwrap();
            for id in REALTIME_CLOCKS {
                let now = plan.transforms[id as usize].apply(host(id, ago));
                assert!(now >= T, "clock {id}, {rate:?}, tick {ago:?} ago: {now:?}");
            }
            let coarse = plan.transforms[clock::REALTIME_COARSE as usize];
            assert_eq!(coarse.apply(host(clock::REALTIME_COARSE, ago)), T);
            let tai = plan.transforms[clock::TAI as usize].apply(host(clock::TAI, ago));
            let realtime =
                plan.transforms[clock::REALTIME as usize].apply(host(clock::REALTIME, ago));
            assert_eq!(tai.wrapping_sub(realtime), at_ns(37, 0));
        }
    }
}

/// A rate begins at the same moment on all clocks.
#[test]
fn clocks_begin_together() {
    for ago in TICKS {
        let now = Now::by(|id| host(id, ago));
        for (id, base) in now.clocks {
            assert_eq!(base, host(id, at_ns(0, 0)), "clock {id}, tick {ago:?} ago");
        }
    }
}

/// A tick between the two coarse clocks is noticed.
#[test]
fn the_coarse_clocks_are_of_one_tick() {
    let mut reads = 0;
    let now = Now::by(|id| {
        reads += 1;
        let tick = at_ns(0, if reads > 1 { 4_000_000 } else { 0 });
        host(id, at_ns(0, 0)).wrapping_add(tick)
    });
    let of = |id| now.clocks.iter().find(|clock| clock.0 == id).unwrap().1;
    let expected = host(clock::REALTIME, at_ns(0, 4_000_000));
    assert_eq!(of(clock::REALTIME), expected);
    assert_eq!(of(clock::MONOTONIC_COARSE), host(clock::MONOTONIC, at_ns(0, 4_000_000)));
}

#[test]
fn a_rate_is_what_was_written() {
    let rate = |rate: f64| Clock::builder().rate(rate).build().map(|clock| clock.speed.0);
    assert_eq!(rate(60.0), Ok(Rate { whole: 60, fraction: 0 }));
    assert_eq!(rate(0.5), Ok(Rate { whole: 0, fraction: 1 << 63 }));
    assert_eq!(rate(1e6), Ok(Rate { whole: Clock::MAX_RATE, fraction: 0 }));
    for impossible in [-0.1, 1e6 + 0.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        assert!(matches!(rate(impossible), Err(ClockError::Rate { .. })), "{impossible}");
    }
    let too_fast = Rate { whole: Clock::MAX_RATE, fraction: 1 };
    assert!(matches!(Clock::builder().exact_rate(too_fast).build(), Err(ClockError::Rate { .. })));
    // The last one counts.
    let clock = Clock::builder().rate(-1).freeze().build().unwrap();
    assert!(clock.has_rate() && clock.speed.0 == Rate::ZERO);
}

#[test]
fn clocks_are_moved_in_groups() {
    let now = Now::by(|id| host(id, at_ns(0, 0)));
    let moved = |clocks: ClockSet| {
        let clock = Clock::builder().ahead(Duration::from_secs(5)).clocks(clocks).build().unwrap();
        let plan = Plan::from_now(&clock, &now).unwrap();
        (0..clock::LINES as u32)
            .filter(|&id| plan.transforms[id as usize] != Transform::IDENTITY)
            .collect::<Vec<_>>()
    };
    assert_eq!(moved(ClockSet::default()), [0, 5, 11]);
    assert_eq!(moved(Clocks::Monotonic.into()), [1, 4, 6]);
    assert_eq!(moved([Clocks::Boottime, Clocks::Monotonic].into()), [1, 4, 6, 7]);
    assert_eq!(moved(Clocks::All.into()), [0, 1, 4, 5, 6, 7, 11]);
}

#[test]
fn what_cannot_be_shown_is_an_error() {
    let now = Now::by(|id| host(id, at_ns(0, 0)));
    let plan = |builder: ClockBuilder| Plan::from_now(&builder.build().unwrap(), &now).map(drop);
    let hours = Duration::from_secs(7200);
    let back = Clock::builder().behind(hours);
    assert_eq!(plan(back), Ok(()));
    let error = plan(back.clocks(Clocks::Monotonic));
    assert_eq!(error, Err(ClockError::BeforeZero { up_sec: 5_000 }));
    let error = plan(Clock::builder().ahead(Duration::MAX));
    assert_eq!(error, Err(ClockError::OutOfRange));
    // What a time of day before 1970 is.
    assert_eq!(plan(Clock::builder().at(UNIX_EPOCH - hours)), Ok(()));
}

#[test]
fn a_beginning_is_that_of_the_time_of_day_and_a_rate_that_of_time_itself() {
    let now = Now::by(|id| host(id, at_ns(0, 0)));
    let plan = |builder: ClockBuilder| Plan::from_now(&builder.build().unwrap(), &now).unwrap();
    // Further back than the host has been up.
    let slow = plan(Clock::builder().behind(Duration::from_secs(1 << 20)).rate(0.5));
    let monotonic = slow.transforms[clock::MONOTONIC as usize];
    assert_eq!((monotonic.offset, monotonic.rate.whole), (at_ns(0, 0), 0));
    let realtime = slow.transforms[clock::REALTIME as usize];
    assert_eq!((realtime.offset, realtime.rate), (at_ns(-(1 << 20), 0), monotonic.rate));
    let frozen = plan(Clock::builder().freeze());
    assert_eq!(frozen.transforms[clock::REALTIME as usize].rate, Rate::ZERO);
    assert_eq!(frozen.transforms[clock::MONOTONIC as usize], Transform::IDENTITY);
    let alone = plan(Clock::builder().rate(2).clocks(Clocks::Realtime));
    assert_eq!(alone.transforms[clock::BOOTTIME as usize], Transform::IDENTITY);
}

/// Whoever has such a clock reports nothing.
#[test]
fn an_unmoved_clock_is_the_hosts_in_every_way() {
    let now = Now::by(|id| host(id, at_ns(0, 0)));
    for builder in [Clock::builder(), Clock::builder().ahead(Duration::ZERO).rate(1.0)] {
        let plan = Plan::from_now(&builder.build().unwrap(), &now).unwrap();
        assert_eq!(plan.transforms, [Transform::IDENTITY; clock::LINES]);
    }
}
