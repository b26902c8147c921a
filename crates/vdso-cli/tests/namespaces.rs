//! Time namespaces: in them the kernel shifts MONOTONIC and BOOTTIME for the system calls and for
//! its own vDSO. Under `vdso run` every clock is what the system call says, and what was asked.

mod support;

use std::process::Command;

use support::{
    Source, assert_group_shift, assert_realtime_shift, clocks, compile, finish, program, vdso_run,
};
use test_support::{Clock, Lacking, Program, skip};

const OFFSET: &str = "1234567s";
const SHIFT_NS: i128 = 1_234_567_000_000_000;

/// unshare(1) into a time namespace; its option -f forks, as only children enter one.
const INSIDE: [&str; 8] =
    ["unshare", "-T", "--monotonic", "1000", "--boottime", "2000", "-f", "--"];

/// Whether time namespaces can be made here.
fn is_possible(test: &str) -> bool {
    let probe = finish(Command::new(INSIDE[0]).args(&INSIDE[1..]).arg("true"));
    if !probe.status.success() {
        let lacking =
            if nix::unistd::geteuid().is_root() { Lacking::Kernel } else { Lacking::Privilege };
        skip(lacking, test, probe.stderr.trim());
    }
    probe.status.success()
}

/// The program that enters a time namespace by itself.
fn timens() -> std::path::PathBuf {
    compile("timens.c", "timens", &["-O2", "-pthread", "-Wno-unused-parameter"])
}

#[test]
fn a_program_inside_has_the_clocks_of_the_system_call() {
    if !is_possible("a_program_inside_has_the_clocks_of_the_system_call") {
        return;
    }
    let programs =
        [Program::CDynamic, Program::CStatic, Program::CMusl, Program::Go, Program::Rust];
    for path in programs.into_iter().filter_map(program) {
        for source in Source::all() {
            let mut run = vdso_run(source.and(&["--offset", OFFSET]));
            let run = finish(run.args(INSIDE).arg(&path)).succeeded().quiet();
            assert_realtime_shift(&run.readings(), SHIFT_NS, source.tolerance_ns);
        }
    }
}

#[test]
fn all_clocks_can_be_shifted_inside() {
    if !is_possible("all_clocks_can_be_shifted_inside") {
        return;
    }
    for source in Source::all() {
        for clocks_named in ["monotonic", "boottime", "all"] {
            let options = source.and(&["--offset", OFFSET, "--clocks", clocks_named]);
            let mut run = vdso_run(options);
            let run = finish(run.args(INSIDE).arg(clocks())).succeeded().quiet();
            let readings = run.readings();
            assert_group_shift(&readings, clocks_named, SHIFT_NS, source.tolerance_ns);
        }
    }
}

#[test]
fn a_launcher_inside_chooses_a_source_that_is_right_there() {
    if !is_possible("a_launcher_inside_chooses_a_source_that_is_right_there") {
        return;
    }
    for source in Source::all() {
        for options in [["--offset", OFFSET], ["--offset", "0s"]] {
            let mut run = Command::new(INSIDE[0]);
            run.args(&INSIDE[1..]).args([support::VDSO, "run"]).args(source.and(&options));
            let run = finish(run.arg("--").arg(clocks()));
            if [Source::OWN, Source::HOST].contains(&source) && run.status.code() == Some(125) {
                run.said(&["cannot be used here", "time namespace", "leave --source out"]);
                continue;
            }
            let shift_ns = if options[1] == OFFSET { SHIFT_NS } else { 0 };
            let readings = run.succeeded().quiet().readings();
            assert_realtime_shift(&readings, shift_ns, source.tolerance_ns);
        }
    }
}

#[test]
fn a_rate_holds_for_a_launcher_inside() {
    if !is_possible("a_rate_holds_for_a_launcher_inside") {
        return;
    }
    let mut run = Command::new(INSIDE[0]);
    run.args(&INSIDE[1..]).args([support::VDSO, "run", "--freeze", "--clocks", "all", "--"]);
    let run = finish(run.arg(clocks()).args(["loop", "3"])).succeeded().quiet();
    for clock in Clock::ALL {
        let mut values: Vec<i128> = run.readings().of(clock).map(|r| r.library_ns).collect();
        values.dedup();
        assert_eq!(values.len(), 1, "{clock}: {values:?}");
    }
}

#[test]
fn a_fork_inside_without_an_exec_has_the_clocks_of_the_system_call() {
    if !is_possible("a_fork_inside_without_an_exec_has_the_clocks_of_the_system_call") {
        return;
    }
    for mode in ["fork", "setns"] {
        finish(Command::new(timens()).arg(mode)).succeeded();
        for source in Source::all() {
            let mut run = vdso_run(source.and(&["--offset", OFFSET]));
            let run = finish(run.arg(timens()).arg(mode)).succeeded().quiet();
            let readings = run.readings();
            assert_realtime_shift(&readings, SHIFT_NS, source.tolerance_ns);
            if mode == "fork" {
                // The child's, and then the parent's: so the namespace was really there.
                let raw: Vec<i128> =
                    readings.of(Clock::Monotonic).map(|r| r.raw_after_ns).collect();
                assert!(raw[0] - raw[1] > 900_000_000_000, "{raw:?}");
            }
        }
    }
}

#[test]
fn a_rate_does_not_mix_with_what_a_fork_inside_enters() {
    if !is_possible("a_rate_does_not_mix_with_what_a_fork_inside_enters") {
        return;
    }
    // REALTIME is frozen; MONOTONIC and BOOTTIME are not asked for, and belong to the namespace.
    for source in Source::with_rate() {
        for mode in ["fork", "setns"] {
            let mut run = vdso_run(source.and(&["--freeze", "--at", "@1000000000"]));
            let run = finish(run.arg(timens()).arg(mode)).succeeded().quiet();
            for reading in &run.readings() {
                if support::group_of(reading.clock) == "realtime" {
                    assert!(
                        (1_000_000_000..1_000_001_000)
                            .contains(&(reading.library_ns / 1_000_000_000))
                    );
                } else {
                    let slack_ns = source.tolerance_ns + 1;
                    test_support::assert_shift(reading, 0, slack_ns);
                }
            }
        }
    }
}

#[test]
fn where_proc_tells_of_another_namespace_nobody_is_taken_for_another() {
    let test = "where_proc_tells_of_another_namespace_nobody_is_taken_for_another";
    let enter = ["unshare", "--map-root-user", "--pid", "--fork", "--"];
    let probe = finish(Command::new(enter[0]).args(&enter[1..]).arg("true"));
    if !probe.status.success() {
        skip(Lacking::Privilege, test, probe.stderr.trim());
        return;
    }
    let mut run = Command::new(enter[0]);
    run.args(&enter[1..]).args([support::VDSO, "run", "--offset", OFFSET, "--"]);
    let run =
        finish(run.arg(program(Program::CDynamic).expect("a C compiler")).args(["exec", "2"]));
    assert_realtime_shift(&run.succeeded().quiet().readings(), SHIFT_NS, 0);
}
