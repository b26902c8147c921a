//! System calls by which a program asks for clocks itself: they give its own clock, and what the kernel refuses as the
//! kernel does.

#![cfg(target_arch = "x86_64")]

mod support;

use std::path::{Path, PathBuf};

use support::{Source, Times, compile, finish, i386_helper, resolution_ns, vdso_run};
use test_support::assert_shift;

fn direct() -> PathBuf {
    // It makes a call behind the compiler's back.
    compile("direct.c", "direct", &["-O2", "-mno-red-zone"])
}

/// Clocks that are moved, made faster, slower, and frozen; all of them, and REALTIME alone.
const MOVED: [&[&str]; 6] = [
    &["--offset", "400d"],
    &["--offset", "-400d"],
    &["--offset", "400d", "--clocks", "all"],
    &["--rate", "3", "--clocks", "all"],
    &["--rate", "0.5", "--offset", "1h"],
    &["--freeze", "--clocks", "all"],
];

#[test]
fn a_direct_call_gives_what_the_image_gives() {
    assert_gives_what_the_image_gives(&direct(), &Source::all());
}

/// By calls with times of 32 bits and of 64, by `__kernel_vsyscall` as by an instruction of its own.
#[test]
fn a_direct_call_of_an_i386_program_gives_what_the_image_gives() {
    for times in [Times::Bits32, Times::Bits64] {
        let Some(direct) = i386_helper("direct", times, &[]) else { return };
        assert_gives_what_the_image_gives(&direct, &[Source::AUTO]);
        let plain = finish(std::process::Command::new(&direct).arg("bad")).succeeded();
        for moved in MOVED {
            assert_uptime_and_ticks(&direct, moved);
            let run = finish(vdso_run(moved).arg(&direct).arg("bad")).succeeded().quiet();
            assert_eq!(run.stdout, plain.stdout, "{moved:?}");
        }
    }
}

#[track_caller]
fn assert_gives_what_the_image_gives(direct: &Path, sources: &[Source]) {
    for source in sources {
        for moved in MOVED {
            let has_rate = moved.contains(&"--rate") || moved.contains(&"--freeze");
            if has_rate && *source == Source::HOST {
                continue;
            }
            let run = finish(vdso_run(source.and(moved)).arg(direct).arg("clocks"));
            let readings = run.succeeded().quiet().readings();
            assert_eq!(readings.iter().count(), 9, "{moved:?}");
            for reading in &readings {
                assert_shift(reading, 0, resolution_ns(reading, 0, 0));
            }
        }
    }
}

#[test]
fn uptime_and_ticks_are_the_moved_clocks() {
    for moved in MOVED {
        assert_uptime_and_ticks(&direct(), moved);
    }
}

#[track_caller]
fn assert_uptime_and_ticks(direct: &Path, moved: &[&str]) {
    let run = finish(vdso_run(moved).arg(direct).arg("uptime")).succeeded().quiet();
    let is_moved = moved.contains(&"all");
    assert!(run.stdout.contains("UPTIME 1\n"), "{run:?}");
    // The kernel's own ticks begin five minutes before they wrap in 32 bits.
    assert!(!is_moved || run.stdout.contains("TIMES 1\n"), "{run:?}");
}

#[test]
fn what_the_kernel_refuses_is_refused_alike() {
    let plain = finish(std::process::Command::new(direct()).arg("bad")).succeeded();
    let moved = ["--offset", "400d", "--clocks", "all"];
    let run = finish(vdso_run(moved).arg(direct()).arg("bad")).succeeded().quiet();
    assert_eq!(run.stdout, plain.stdout);
}

/// It makes such a call where it has no clock that it can read, and the image then moves what it says.
#[test]
fn a_call_from_within_the_kernels_vdso_gives_the_hosts_clock() {
    assert_gives_the_hosts_clock(&direct(), 1);
    if let Some(direct) = i386_helper("direct", Times::Bits32, &[]) {
        assert_gives_the_hosts_clock(&direct, 2);
    }
}

#[track_caller]
fn assert_gives_the_hosts_clock(direct: &Path, calls: usize) {
    let run = finish(vdso_run(["--offset", "400d"]).arg(direct).arg("kernel"));
    if run.status.code() == Some(77) {
        return test_support::skip(
            test_support::Lacking::Kernel,
            "a call from within the kernel's vDSO",
            "this kernel gives no vDSO, or its memory cannot be written to",
        );
    }
    let ahead = format!("AHEAD {}\n", 400 * 86_400);
    assert_eq!(run.succeeded().quiet().stdout, ahead.repeat(calls));
}

#[test]
fn calls_at_the_addresses_of_old_give_the_programs_clock() {
    for source in Source::all() {
        let run = finish(vdso_run(source.and(&["--offset", "400d"])).arg(direct()).arg("old"));
        if run.status.code() == Some(77) {
            return test_support::skip(
                test_support::Lacking::Kernel,
                "calls at the addresses of old",
                "this kernel has no vsyscall page",
            );
        }
        assert_eq!(run.succeeded().quiet().stdout, "OLD 0 0 0 0\n", "{source:?}");
    }
}

/// The launcher within reads the host's clock, as its image moves that.
#[test]
fn a_launch_within_a_launch_is_at_the_time_that_it_is_told() {
    let within =
        [support::VDSO, "run", "--at", "2000-01-01T00:00:00Z", "--", "date", "-u", "+%Y-%m-%d"];
    let run = finish(vdso_run(["--offset", "400d"]).args(within)).succeeded();
    assert_eq!(run.stdout, "2000-01-01\n", "{}", run.stderr);
}
