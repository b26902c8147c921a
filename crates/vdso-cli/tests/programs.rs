//! What programs of many languages see under `vdso run`: each clock shifted by exactly what was
//! asked, with each source of time, and every clock that was not asked for untouched.
//!
//! The programs read each clock by their library between two raw system calls, see
//! `test-programs/README.md`.

mod support;

use std::path::Path;

use support::{
    Finished, Source, assert_group_shift, assert_realtime_shift, clocks, finish, group_of, program,
    vdso_run,
};
use test_support::{Clock, Program, Reading, Readings};

const SECOND_NS: i128 = 1_000_000_000;

/// Offsets as they are written, and in ns. Whole seconds are added to all clocks of a group alike.
const OFFSETS: [(&str, i128); 2] =
    [("+30d", 30 * 86_400 * SECOND_NS), ("-2h30m", -9_000 * SECOND_NS)];

/// Runs a program in all ways that a whole program is asked for at once.
#[track_caller]
fn check(asked: Program) {
    let Some(path) = program(asked) else { return };
    if !support::gets_clocks(&asked) {
        return;
    }
    for source in Source::all() {
        assert_realtime_shift(&read(source, &[], &path), 0, source.tolerance_ns);
        for (offset, shift_ns) in OFFSETS {
            let readings = read(source, &["--offset", offset], &path);
            assert_realtime_shift(&readings, shift_ns, source.tolerance_ns);
        }
        check_at(source, &path);
    }
    for source in Source::with_rate() {
        check_rate(source, &path);
    }
}

#[track_caller]
fn read(source: Source, options: &[&str], path: &Path) -> Readings {
    finish(vdso_run(source.and(options)).arg(path)).succeeded().quiet().readings()
}

/// `--at`: the shift is from the moment of the launch, which lies within ours, and -v tells it.
#[track_caller]
fn check_at(source: Source, path: &Path) {
    const AT_SEC: i128 = 2_147_483_640;
    let options = source.and(&["--at", "2038-01-19T03:14:00Z", "-v"]);
    let (run, launch) = timed(|| finish(vdso_run(options).arg(path)).succeeded());
    let shift_ns = told_offset_ns(&run);
    let allowed = AT_SEC * SECOND_NS - launch.1..=AT_SEC * SECOND_NS - launch.0;
    assert!(allowed.contains(&shift_ns), "{shift_ns} is not in {allowed:?}: {run:#?}");
    assert_realtime_shift(&run.readings(), shift_ns, source.tolerance_ns);
}

/// `--rate`: time runs on from the moment of the launch. So the moment can be told from each
/// reading: if `virtual = launch + rate * (raw - launch)`, then `launch = 2 * raw - virtual` at a
/// rate of 2.
#[track_caller]
fn check_rate(source: Source, path: &Path) {
    let options = source.and(&["--rate", "2", "--clocks", "realtime"]);
    let (run, launch) = timed(|| finish(vdso_run(options).arg(path)).succeeded().quiet());
    for reading in &run.readings() {
        if group_of(reading.clock) != "realtime" {
            let one = Readings::parse(&line_of(reading)).expect("it was a reading");
            assert_realtime_shift(&one, 0, source.tolerance_ns);
            continue;
        }
        // A coarse clock lags by up to a tick, and there may be none slower than 100 Hz.
        let lag_ns = reading.resolution_ns().max(10_000_000);
        let tai_ns = if reading.clock == Clock::Tai { tai_ahead_ns() } else { 0 };
        let earliest_ns = 2 * reading.raw_before_ns - reading.library_ns - tai_ns - 3 * lag_ns;
        let latest_ns = 2 * reading.raw_after_ns - reading.library_ns - tai_ns + 3 * lag_ns;
        assert!(
            earliest_ns <= launch.1 && launch.0 <= latest_ns,
            "launched within {launch:?}, but {reading:?} says {earliest_ns} to {latest_ns}"
        );
    }
}

fn line_of(reading: &Reading) -> String {
    let Reading { clock, function, raw_before_ns, library_ns, raw_after_ns } = reading;
    format!("{clock}:{function} {raw_before_ns} {library_ns} {raw_after_ns}")
}

/// Does something and gives the host's time before and after. A launch reckons from the host's last tick:
/// that is the time before.
fn timed<T>(work: impl FnOnce() -> T) -> (T, (i128, i128)) {
    let before_ns = host_ns(libc::CLOCK_REALTIME_COARSE);
    let result = work();
    (result, (before_ns, host_ns(libc::CLOCK_REALTIME)))
}

fn host_ns(id: libc::clockid_t) -> i128 {
    let now = nix::time::clock_gettime(nix::time::ClockId::from_raw(id)).expect("a clock");
    i128::from(now.tv_sec()) * SECOND_NS + i128::from(now.tv_nsec())
}

/// What passes between two of the host's ticks.
fn tick_ns() -> i128 {
    let id = nix::time::ClockId::from_raw(libc::CLOCK_REALTIME_COARSE);
    let tick = nix::time::clock_getres(id).expect("a clock");
    i128::from(tick.tv_nsec())
}

/// By how much the host's TAI is ahead of REALTIME: whole seconds, whatever passes between the two
/// readings.
fn tai_ahead_ns() -> i128 {
    let difference_ns = host_ns(libc::CLOCK_TAI) - host_ns(libc::CLOCK_REALTIME);
    (difference_ns + SECOND_NS / 2).div_euclid(SECOND_NS) * SECOND_NS
}

/// The line `vdso: offset +1.000000000 s`.
#[track_caller]
fn told_offset_ns(run: &Finished) -> i128 {
    let line = run.stderr.lines().find_map(|line| line.strip_prefix("vdso: offset "));
    let line = line.unwrap_or_else(|| panic!("no offset in {run:#?}"));
    let number = line.split(' ').next().expect("a number");
    number.replace(['.', '+'], "").parse().expect("nine decimals")
}

/// A test for each program: they run side by side, and a failure names it.
macro_rules! shifts_exactly {
    ($($name:ident: $program:ident,)*) => {$(
        #[test]
        fn $name() {
            check(Program::$program);
        }
    )*};
}

shifts_exactly! {
    c_dynamic: CDynamic,
    c_static: CStatic,
    c_static_pie: CStaticPie,
    c_musl: CMusl,
    c_musl_static: CMuslStatic,
    c_i386: CI386,
    c_x32: CX32,
    python: Python,
    perl: Perl,
    bash: Bash,
    rust: Rust,
    no_libc: NoLibc,
    go: Go,
    java: Java,
    node: Node,
    script: Script,
}

/// The program's clocks are read by this project's client; only an image of the `own` source has a
/// page that it may read without a call.
#[test]
fn a_client_knows_an_own_page() {
    let Some(path) = program(Program::NoLibc) else { return };
    for source in [Source::OWN, Source::HOST, Source::CHAIN] {
        if !Source::all().contains(&source) {
            continue;
        }
        let options = source.and(&["--offset", "+30d"]);
        let run = finish(vdso_run(options).arg(&path).arg("capabilities")).succeeded().quiet();
        let answer = if source == Source::OWN { "own page: yes" } else { "own page: no" };
        assert!(run.stdout.ends_with(&format!("{answer}\n")), "{run:#?}");
        assert!(run.stdout.contains("clock_gettime: __vdso_clock_gettime (LINUX_2.6)"), "{run:#?}");
    }
}

#[test]
fn an_exception_passes_through_many_frames() {
    let Some(path) = program(Program::Exceptions) else { return };
    for source in Source::all() {
        let run = finish(vdso_run(source.and(&["--offset", "1y"])).arg(&path));
        assert_eq!(run.succeeded().quiet().stdout, "CAUGHT 64\n");
    }
}

#[test]
fn a_program_without_a_c_library_ends_well() {
    let Some(path) = program(Program::Exit) else { return };
    for source in Source::all() {
        finish(vdso_run(source.options).arg(&path)).succeeded().quiet();
    }
}

#[test]
fn only_the_named_clocks_move() {
    let groups = ["realtime", "monotonic", "boottime", "all", "monotonic,boottime"];
    for path in
        [Program::CDynamic, Program::CStatic, Program::CMusl].into_iter().filter_map(program)
    {
        for source in Source::all() {
            for named in groups {
                let options = ["--offset", "1234567s", "--clocks", named];
                let readings = read(source, &options, &path);
                assert_group_shift(&readings, named, 1_234_567 * SECOND_NS, source.tolerance_ns);
            }
        }
    }
}

#[test]
fn an_offset_may_have_a_fraction() {
    for source in Source::all() {
        for (offset, shift_ns) in [
            ("1.000000001s", 1_000_000_001),
            ("-0.5s", -500_000_000),
            ("-1ns", -1),
            ("3ms", 3_000_000),
        ] {
            let readings = read(source, &["--offset", offset, "--clocks", "all"], &clocks());
            assert_group_shift(&readings, "all", shift_ns, source.tolerance_ns);
        }
    }
}

#[test]
fn an_offset_may_lead_far_away() {
    for source in Source::all() {
        // 1677 and 2262 are as far as 64 bits of nanoseconds reach; C has seconds beside them.
        for (at, at_sec) in
            [("0001-01-01T00:00:00Z", -62_135_596_800), ("@250000000000", 250_000_000_000)]
        {
            let options = source.and(&["--at", at, "-v"]);
            let (run, launch) = timed(|| finish(vdso_run(options).arg(clocks())).succeeded());
            let shift_ns = told_offset_ns(&run);
            assert!(
                (at_sec * SECOND_NS - launch.1..=at_sec * SECOND_NS - launch.0).contains(&shift_ns)
            );
            if at_sec > 0 {
                assert_realtime_shift(&run.readings(), shift_ns, source.tolerance_ns);
            }
        }
    }
}

/// The first thing that a program asks for is not before the time that it is to start at, whichever clock it
/// asks, and however little has passed since a tick or a second.
#[test]
fn no_clock_begins_before_the_time_that_was_asked_for() {
    const AT_NS: i128 = 1_577_836_800_000_000_000;
    for source in Source::all() {
        for _ in 0..20 {
            let run = finish(vdso_run(source.and(&["--at", "@1577836800"])).arg(clocks()));
            let readings = run.succeeded().quiet().readings();
            for reading in &readings {
                if group_of(reading.clock) == "realtime" {
                    assert!(reading.library_ns >= AT_NS, "{}: {reading:?}", source.name);
                }
            }
        }
    }
}

/// All readings of a clock's group must be this time, truncated as the function does.
#[track_caller]
fn assert_frozen(readings: &Readings, groups: &[&str], at_ns: i128, tai_ahead_ns: i128) {
    for reading in readings {
        if !groups.contains(&group_of(reading.clock)) {
            assert_realtime_shift(
                &Readings::parse(&line_of(reading)).expect("it was a reading"),
                0,
                Source::OWN.tolerance_ns,
            );
            continue;
        }
        let expected_ns = match reading.clock {
            Clock::Tai => at_ns + tai_ahead_ns,
            Clock::Gettimeofday => at_ns.div_euclid(1000) * 1000,
            Clock::Time => at_ns.div_euclid(SECOND_NS) * SECOND_NS,
            _ => at_ns,
        };
        assert_eq!(reading.library_ns, expected_ns, "{reading:?}");
    }
}

#[test]
fn a_frozen_clock_stands_still_where_it_was_put() {
    const AT_NS: i128 = 946_684_800_123_456_789;
    for source in Source::with_rate() {
        let options = source.and(&["--freeze", "--at", "@946684800.123456789"]);
        for arguments in [["loop", "5"], ["exec", "5"]] {
            let run = finish(vdso_run(&options).arg(clocks()).args(arguments)).succeeded().quiet();
            assert_frozen(&run.readings(), &["realtime"], AT_NS, tai_ahead_ns());
        }
    }
}

#[test]
fn a_frozen_clock_stands_still_at_the_time_of_the_launch() {
    for source in Source::with_rate() {
        let options = source.and(&["--freeze", "--clocks", "all"]);
        let (run, launch) =
            timed(|| finish(vdso_run(options).arg(clocks()).args(["loop", "5"])).succeeded());
        let readings = run.quiet().readings();
        for clock in Clock::ALL {
            let values: Vec<i128> = readings.of(clock).map(|reading| reading.library_ns).collect();
            assert_eq!(values.len(), 5, "{clock}");
            assert!(values.iter().all(|value| *value == values[0]), "{clock}: {values:?}");
        }
        let frozen_ns = readings.of(Clock::Realtime).next().expect("five").library_ns;
        assert!((launch.0..=launch.1).contains(&frozen_ns), "{frozen_ns} is not in {launch:?}");
    }
}

#[test]
fn a_rate_multiplies_what_elapses() {
    for source in Source::with_rate() {
        for (rate, numerator, denominator) in
            [("2", 2, 1), ("0.5", 1, 2), ("1000000", 1_000_000, 1), ("1", 1, 1), ("0.001", 1, 1000)]
        {
            let options = source.and(&["--rate", rate, "--clocks", "all"]);
            let run = finish(vdso_run(options).arg(clocks()).args(["loop", "4"]));
            let readings = run.succeeded().quiet().readings();
            for clock in Clock::ALL {
                let values: Vec<&Reading> = readings.of(clock).collect();
                for pair in values.windows(2) {
                    assert_rate(pair[0], pair[1], numerator, denominator, source.tolerance_ns);
                }
            }
        }
    }
}

/// What elapsed between two readings lies between the rate's share of the shortest and of the
/// longest that elapsed for the kernel.
#[track_caller]
fn assert_rate(
    one: &Reading,
    other: &Reading,
    numerator: i128,
    denominator: i128,
    tolerance_ns: i128,
) {
    let elapsed_ns = other.library_ns - one.library_ns;
    // Truncation moves both ends of both spans; the product is rounded to whole ns.
    let unit_ns = one.resolution_ns();
    let share_ns = |raw_ns: i128| raw_ns * numerator / denominator;
    let slack_ns = tolerance_ns + unit_ns;
    // At a rate, a coarse clock is the fine one, and the kernel's own is up to a tick behind that.
    let is_coarse = matches!(one.clock, Clock::RealtimeCoarse | Clock::MonotonicCoarse);
    let raw_unit_ns = if is_coarse { tick_ns() } else { unit_ns - 1 };
    let least_ns = share_ns(other.raw_before_ns - one.raw_after_ns - raw_unit_ns) - slack_ns;
    let most_ns = share_ns(other.raw_after_ns - one.raw_before_ns + raw_unit_ns) + slack_ns;
    assert!(
        (least_ns..=most_ns).contains(&elapsed_ns),
        "{elapsed_ns} ns elapsed at {numerator}/{denominator}, not {least_ns} to {most_ns}, \
         from {one:?} to {other:?}"
    );
}

#[test]
fn the_host_source_refuses_a_rate_and_says_what_to_use() {
    for options in [["--rate", "2"].as_slice(), &["--freeze"]] {
        let options = Source::HOST.and(options);
        let run = finish(vdso_run(options).arg("true")).exited(125);
        run.said(&["'host' has no rate", "'own' or 'chain'"]);
    }
}

#[test]
fn verbose_tells_the_source_and_why_the_offset_and_where_the_image_is() {
    for source in Source::all() {
        let options = source.and(&["--offset", "-1.5s", "-v"]);
        let run = finish(vdso_run(options).arg(clocks()).arg("auxv")).succeeded();
        let addr = run.stdout.lines().next().and_then(|line| line.split(' ').nth(2));
        let addr = addr.expect("AUXV getauxval ADDR").to_owned();
        let run = run.said(&["vdso: source ", "vdso: offset -1.500000000 s", "image at 0x", &addr]);
        if source != Source::AUTO {
            run.said(&[&format!("vdso: source {}: ", source.name)]);
        }
    }
}
