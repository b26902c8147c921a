//! Random bytes under `vdso run`: none comes twice, whatever a program does to its memory, and each
//! source gives them.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Finished, Source, finish, program, vdso_run};
use test_support::{Lacking, Program, skip};

/// What `test-programs/random` ends with where the vDSO lacks the function.
const NO_FUNCTION: i32 = 4;
/// What the storm ends with if bytes came twice.
const REPEATED: i32 = 3;

/// Each way in which the storm forks, clones and interrupts itself, and how often at least it does so in
/// this many rounds of four threads.
const ROUNDS: &str = "40";
const WAYS: [(&str, u64); 8] = [
    ("FORKS", 160),
    ("VFORKS", 160),
    ("CLONES", 160),
    ("VM_PROCESSES", 160),
    ("VM_THREADS", 160),
    ("THREADS", 160),
    ("SIGNALS", 256),
    ("HANDLER_FORKS", 16),
];

/// A program, if it can be built, and if the kernel's vDSO has the function: what an image of ours
/// gives where the kernel has none is not asked here.
fn random(test: &str, which: Program, arguments: &[&str]) -> Option<PathBuf> {
    let path = program(which)?;
    let plain = finish(Command::new(&path).args(arguments));
    if plain.status.code() == Some(NO_FUNCTION) {
        skip(Lacking::Kernel, test, "its vDSO has no getrandom (Linux 6.11)");
        return None;
    }
    Some(path)
}

/// The command without `vdso run`, and with it by each source.
fn everywhere(path: &Path) -> Vec<(&'static str, Command)> {
    let plain = [("plain", Command::new(path))];
    let under = Source::all().into_iter().map(|source| {
        let mut command = vdso_run(source.options);
        command.arg(path);
        (source.name, command)
    });
    plain.into_iter().chain(under).collect()
}

fn count(line: &str) -> Option<(&str, u64)> {
    let (name, number) = line.split_once(' ')?;
    Some((name, number.parse().ok()?))
}

/// The numbers that the storm prints, by name.
#[track_caller]
fn counts(run: &Finished) -> BTreeMap<&str, u64> {
    let lines = run.stdout.lines();
    lines.map(|line| count(line).unwrap_or_else(|| panic!("{line:?} in {run:#?}"))).collect()
}

#[test]
fn no_block_comes_twice_in_a_storm_of_forks_clones_threads_and_signals() {
    let test = "no_block_comes_twice_in_a_storm_of_forks_clones_threads_and_signals";
    let Some(path) = random(test, Program::RandomStorm, &["1"]) else { return };
    for (name, mut command) in everywhere(&path) {
        let run = finish(command.arg(ROUNDS)).succeeded().quiet();
        let counts = counts(&run);
        for (way, least) in WAYS {
            assert!(counts[way] >= least, "{name}, {way}: {run:#?}");
        }
        assert_eq!(counts["STATES_USED"], 12, "{name}: {run:#?}");
        assert!(counts["HALVES"] > 100_000, "{name}: {run:#?}");
        let faults = ["REPEATS", "EMPTY", "ERRORS"].map(|fault| counts[fault]);
        assert_eq!(faults, [0; 3], "{name}: {run:#?}");
    }
}

/// A child that a handler made, and that draws there from what was interrupted: the kernel's function gives
/// it what its parent is given, sometimes; ours must not.
#[test]
fn no_block_comes_twice_where_a_handlers_child_draws_from_what_was_interrupted() {
    let test = "no_block_comes_twice_where_a_handlers_child_draws_from_what_was_interrupted";
    let Some(path) = random(test, Program::RandomStorm, &["1"]) else { return };
    let mut kernels_state_bytes = None;
    for (name, mut command) in everywhere(&path) {
        let run = finish(command.args([ROUNDS, "reentered"])).quiet();
        let counts = counts(&run);
        // The first is the kernel's own, which says nothing here. A source may have just that.
        if *kernels_state_bytes.get_or_insert(counts["STATE_BYTES"]) == counts["STATE_BYTES"] {
            continue;
        }
        assert!(run.status.success() && counts["REPEATS"] == 0, "{name}: {run:#?}");
    }
}

/// In memory that a child has as its parent has it, every function must give bytes twice: the test
/// above would notice.
#[test]
fn states_that_a_child_keeps_give_blocks_twice() {
    let test = "states_that_a_child_keeps_give_blocks_twice";
    let Some(path) = random(test, Program::RandomStorm, &["1"]) else { return };
    for (name, mut command) in everywhere(&path) {
        let run = finish(command.args(["4", "kept"])).exited(REPEATED).quiet();
        let counts = counts(&run);
        assert!(counts["REPEATS"] > 0, "{name}: {run:#?}");
        assert_eq!((counts["EMPTY"], counts["ERRORS"]), (0, 0), "{name}: {run:#?}");
    }
}

/// Calls of every length, in one stream: as many bits are set as not.
#[test]
fn a_stream_has_as_many_ones_as_zeros() {
    const BYTES: usize = 4_000_000;
    let test = "a_stream_has_as_many_ones_as_zeros";
    let Some(path) = random(test, Program::RandomStream, &["1"]) else { return };
    for (name, mut command) in everywhere(&path) {
        let output = command.arg(BYTES.to_string()).output().expect("it starts");
        assert!(output.status.success(), "{name}: {output:?}");
        assert_eq!(output.stdout.len(), BYTES, "{name}");
        let ones: u64 = output.stdout.iter().map(|byte| u64::from(byte.count_ones())).sum();
        let mean = BYTES as u64 * 4;
        // Ten standard deviations of a fair coin.
        let allowed = 10 * ((BYTES * 8) as f64 / 4.0).sqrt() as u64;
        assert!(ones.abs_diff(mean) < allowed, "{name}: {ones} of {}", 2 * mean);
        // Each byte value as often as the others: chi-squared has 255 degrees of freedom.
        let mut histogram = [0_u32; 256];
        output.stdout.iter().for_each(|&byte| histogram[usize::from(byte)] += 1);
        let expected = BYTES as f64 / 256.0;
        let squares = histogram.iter().map(|&count| (f64::from(count) - expected).powi(2));
        let chi_squared = squares.sum::<f64>() / expected;
        // One in 10^16 is above.
        assert!(chi_squared < 500.0, "{name}: {chi_squared}");
    }
}
