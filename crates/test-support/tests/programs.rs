//! Every test program, built and run as it is, without an injected vDSO: each clock must lie
//! between its raw values. What other tests then find shifted was shifted by the vDSO.

use std::path::Path;
use std::process::Command;
use test_support::{Clock, Program, Readings, assert_shift, build};

fn run(path: &Path, arguments: &[&str]) -> String {
    let output = Command::new(path).args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{path:?} {arguments:?}: {}\n{stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn assert_unshifted(stdout: &str) -> Readings {
    let readings = Readings::parse(stdout).unwrap();
    for reading in &readings {
        assert_shift(reading, 0, reading.resolution_ns());
    }
    readings
}

/// Runs a program in each build that this machine can make.
fn for_each(programs: &[Program], test: impl Fn(&Path)) {
    for &program in programs {
        match build(program) {
            Ok(path) => test(&path),
            Err(skip) => skip.report(),
        }
    }
}

#[test]
fn every_program_reads_unshifted_clocks() {
    for program in Program::ALL.into_iter().filter(|program| program.prints_clocks()) {
        for_each(&[program], |path| {
            let readings = assert_unshifted(&run(path, &[]));
            assert!(readings.of(Clock::Realtime).count() > 0, "{}", program.name());
        });
    }
}

#[test]
fn the_c_program_reads_every_clock() {
    for_each(&Program::C, |path| {
        let readings = assert_unshifted(&run(path, &[]));
        let clocks: Vec<Clock> = readings.iter().map(|reading| reading.clock).collect();
        assert_eq!(clocks, Clock::ALL);
    });
}

#[test]
fn the_c_program_multiplies_in_every_way() {
    let all = Clock::ALL.len();
    let cases: [(&[&str], usize); 5] = [
        (&["loop", "3"], 3 * all),
        (&["exec", "2"], 3 * all),
        (&["fork", "20"], 20),
        (&["threads", "8"], 8 * all),
        (&["vfork"], all),
    ];
    for_each(&Program::C, |path| {
        for (arguments, lines) in cases {
            let readings = assert_unshifted(&run(path, arguments));
            assert_eq!(readings.iter().count(), lines, "{path:?} {arguments:?}");
        }
    });
}

#[test]
fn the_c_program_prints_one_raw_value() {
    for_each(&Program::C, |path| {
        for clock in Clock::ALL {
            let text = run(path, &["raw", clock.name()]);
            assert!(text.trim_end().parse::<i128>().is_ok_and(|ns| ns > 0), "{text:?}");
        }
        assert!(!Command::new(path).args(["raw", "NONE"]).output().unwrap().status.success());
    });
}

#[test]
fn the_c_program_finds_one_address_in_every_auxiliary_vector() {
    for_each(&Program::C, |path| {
        let text = run(path, &["auxv"]);
        let fields: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
        let sources: Vec<&str> = fields.iter().map(|line| line[1]).collect();
        assert_eq!(sources, ["getauxval", "proc", "prctl"], "{text}");
        assert_eq!(fields[0][2], fields[1][2], "{text}");
        // Kernels before 6.4 lack the prctl.
        assert!(fields[2][2] == "-" || fields[2][2] == fields[0][2], "{text}");
    });
}

#[test]
fn the_c_program_reaches_main_from_every_signal() {
    // Not CI386: the kernel's own 32-bit vDSO cannot be unwound through from everywhere.
    let glibc = [Program::CDynamic, Program::CStatic, Program::CStaticPie];
    for_each(&glibc, |path| {
        let text = run(path, &["signals"]);
        let fields: Vec<&str> = text.split_whitespace().collect();
        let ["BACKTRACES", total, reached] = fields[..] else { panic!("{text:?}") };
        assert!(total.parse::<u32>().unwrap() > 0, "{text}");
        assert_eq!(total, reached, "{text}");
    });
}

#[test]
fn the_c_program_counts_no_violation_on_an_unshifted_clock() {
    for_each(&Program::C, |path| {
        let text = run(path, &["monotone", "0.1", "4"]);
        let clocks = ["MONOTONIC", "REALTIME", "BOOTTIME", "MONOTONIC_RAW"];
        assert_eq!(text.lines().count(), clocks.len(), "{text}");
        for (line, clock) in text.lines().zip(clocks) {
            let fields: Vec<&str> = line.split(' ').collect();
            let ["VIOLATIONS", name, "0", reads] = fields[..] else { panic!("{text}") };
            assert_eq!(name, clock, "{text}");
            assert!(reads.parse::<u64>().unwrap() > 0, "{text}");
        }
    });
}

#[test]
fn a_script_hands_its_arguments_on() {
    for_each(&[Program::Script], |path| {
        assert_eq!(assert_unshifted(&run(path, &["exec", "1"])).iter().count(), 18);
    });
}

#[test]
fn the_programs_without_clocks_end_well() {
    for_each(&[Program::Exceptions], |path| assert_eq!(run(path, &[]), "CAUGHT 64\n"));
    for_each(&[Program::Exit], |path| assert_eq!(run(path, &[]), ""));
}
