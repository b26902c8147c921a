//! The properties that a clock keeps whatever is asked of it: it never runs backwards, whichever
//! thread looks, and whoever interrupts a read can unwind out of it.

mod support;

use std::path::{Path, PathBuf};

use support::{Source, finish, program, vdso_run};
use test_support::Program;

/// Four threads publish what they read for a while; nobody may read less than what was published.
#[track_caller]
fn check(source: Source, options: &[&str], path: &Path, seconds: &str) {
    let run = finish(vdso_run(source.and(options)).arg(path).args(["monotone", seconds, "4"]));
    let run = run.succeeded().quiet();
    let clocks = ["MONOTONIC", "REALTIME", "BOOTTIME", "MONOTONIC_RAW"];
    assert_eq!(run.stdout.lines().count(), clocks.len(), "{run:#?}");
    for (line, clock) in run.stdout.lines().zip(clocks) {
        let fields: Vec<&str> = line.split(' ').collect();
        let ["VIOLATIONS", name, violations, reads] = fields[..] else { panic!("{run:#?}") };
        assert_eq!((name, violations), (clock, "0"), "{run:#?}");
        assert!(reads.parse::<u64>().expect("a number") > 10_000, "{run:#?}");
    }
}

#[test]
fn no_thread_sees_a_clock_run_backwards() {
    for source in Source::all() {
        check(source, &[], &support::clocks(), "2");
    }
}

#[test]
fn no_thread_sees_a_shifted_clock_run_backwards() {
    for source in Source::all() {
        check(source, &["--offset", "-30d", "--clocks", "realtime"], &support::clocks(), "1");
    }
}

#[test]
fn no_thread_sees_a_scaled_clock_run_backwards() {
    for source in Source::with_rate() {
        // Long enough to see the page published anew more than once.
        for rate in ["0.001", "3", "1000"] {
            check(source, &["--rate", rate, "--clocks", "all"], &support::clocks(), "1.5");
        }
        check(source, &["--freeze", "--clocks", "all"], &support::clocks(), "0.2");
    }
}

#[test]
fn a_static_program_sees_no_clock_run_backwards() {
    for path in [Program::CStatic, Program::CMusl].into_iter().filter_map(program) {
        for source in Source::all() {
            check(source, &["--offset", "1y"], &path, "0.5");
        }
    }
}

/// Takes backtraces from a signal handler while clocks are read: how many, and how many of them
/// reach `main`.
#[track_caller]
fn backtraces(source: Source, path: &Path) -> (u32, u32) {
    let run = finish(vdso_run(source.and(&["--offset", "1y"])).arg(path).arg("signals"));
    let run = run.succeeded().quiet();
    let fields: Vec<&str> = run.stdout.split_whitespace().collect();
    let ["BACKTRACES", total, reached] = fields[..] else { panic!("{run:#?}") };
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{run:#?}"));
    (number(total), number(reached))
}

/// Those that have glibc's `backtrace`.
fn unwinding_programs() -> Vec<PathBuf> {
    let builds = [Program::CDynamic, Program::CStatic, Program::CStaticPie];
    builds.into_iter().filter_map(program).collect()
}

#[test]
fn a_handler_that_interrupts_a_read_unwinds_to_main() {
    for path in unwinding_programs() {
        for source in Source::all().into_iter().filter(|source| *source != Source::CHAIN) {
            let (total, reached) = backtraces(source, &path);
            assert!(total >= 400, "{path:?} {source:?}: {total}");
            assert_eq!(reached, total, "{path:?} {source:?}");
        }
    }
}

/// With `chain` most reads are interrupted in the kernel's own function, and an unwinder knows one
/// vDSO only: there it stops, without harm. From our own code it must find its way.
#[test]
fn a_handler_that_interrupts_a_chained_read_does_no_harm() {
    for path in unwinding_programs() {
        let (total, reached) = backtraces(Source::CHAIN, &path);
        assert!(total >= 400 && reached > 0, "{path:?}: {reached} of {total}");
    }
}
