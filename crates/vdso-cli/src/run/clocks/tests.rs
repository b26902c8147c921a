//! Where clocks begin, on a host whose tick was any time ago.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    run: Run,
}

fn run(options: &[&str]) -> Run {
    let words = ["vdso"].iter().chain(options).chain(&["--", "true"]);
    Command::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).run
}

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
        for rate in [&["--rate", "1"][..], &["--rate", "0.5"], &["--rate", "1000"], &["--freeze"]] {
            let run = run(&[&["--at", "2020-01-01T00:00:00Z"], rate].concat());
            let plan = Plan::from_now(&run, &Now::by(|id| host(id, ago))).unwrap();
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
fn a_time_before_the_year_1_needs_no_equals_sign() {
    let expected = "-000044-03-15T00:00:00Z".parse().unwrap();
    for time in ["-000044-03-15T00:00:00Z", "-0044-03-15T00:00:00Z"] {
        assert_eq!(run(&["--at", time]).at, Some(At(expected)));
        assert_eq!(run(&[&format!("--at={time}")]).at, Some(At(expected)));
    }
}

#[test]
fn a_zone_that_is_not_known_is_refused() {
    for time in ["2020-01-01[No/Zone]", "2020-01-01T00:00:00[X]", "2020-01-01T00:00:00Z[No/Zone]"] {
        let error = parse_at(time).expect_err(time);
        assert!(format!("{error:#}").contains("zone is not known"), "{time}: {error:#}");
    }
}
