//! Programs that somebody else starts as their tracer: they have no image, and read their own clock by system calls, which are
//! answered for them.

use std::fs;
use std::path::Path;
use std::process::Command;

use test_support::{Clock, Program, Readings};

use super::has_tool;
use super::support::{Finished, VDSO, clocks, finish, program, scratch, vdso_run};

/// Where the clock stands, so that each read is exact.
const STANDS: [&str; 3] = ["--at", "2038-01-19T03:14:00Z", "--freeze"];
const STANDS_NS: i128 = 2_147_483_640_000_000_000;

/// Who starts a program as its tracer, or in its place: the command's beginning, without a word of its own.
const TRACERS: [(&str, &[&str]); 4] = [
    ("strace", &["-f", "-o", "/dev/null"]),
    ("gdb", &["-q", "-batch", "-ex", "run", "--args"]),
    ("ltrace", &["-f", "-o", "/dev/null"]),
    ("valgrind", &["-q"]),
];

#[track_caller]
fn assert_stands(readings: &Readings) {
    let mut count = 0;
    for reading in readings {
        let is_moved = matches!(
            reading.clock,
            Clock::Realtime | Clock::RealtimeCoarse | Clock::Gettimeofday | Clock::Time
        );
        if is_moved {
            assert_eq!(reading.library_ns, STANDS_NS, "{reading:?}");
            count += 1;
        }
    }
    assert!(count >= 2, "{readings:?}");
}

/// The lines that are a program's own: gdb has its words among them.
fn readings_of(run: &Finished) -> Readings {
    let is_reading = |line: &&str| Readings::parse(line).is_ok();
    let lines: Vec<&str> = run.stdout.lines().filter(is_reading).collect();
    Readings::parse(&lines.join("\n")).unwrap_or_else(|error| panic!("{error}: {run:#?}"))
}

#[test]
fn whoever_is_traced_from_its_start_has_its_clock_and_nobody_says_a_word() {
    for (tracer, arguments) in TRACERS {
        if !has_tool(tracer, tracer, "whoever_is_traced_from_its_start_has_its_clock") {
            continue;
        }
        for built in [Program::CDynamic, Program::CStatic, Program::CMusl, Program::Go] {
            let Some(path) = program(built) else { continue };
            // ltrace knows no static programs, and valgrind translates no threads of Go's.
            let is_static = matches!(built, Program::CStatic | Program::Go);
            if is_static && ["ltrace", "valgrind"].contains(&tracer) {
                continue;
            }
            let run = finish(vdso_run(STANDS).arg(tracer).args(arguments).arg(path)).succeeded();
            assert_stands(&readings_of(&run));
            assert!(!run.stderr.contains("vdso:"), "{run:#?}");
        }
    }
}

/// The launcher becomes the program, so it is the program that is traced; and what that starts has the clock.
#[test]
fn the_tracer_may_be_around_the_launch() {
    for (tracer, arguments) in &TRACERS[..3] {
        if !has_tool(tracer, tracer, "the_tracer_may_be_around_the_launch") {
            continue;
        }
        // As far as it is told to follow.
        for arguments in [arguments, arguments.strip_prefix(&["-f"]).unwrap_or(arguments)] {
            let mut around = Command::new(tracer);
            around.args(arguments).args([VDSO, "run"]).args(STANDS).arg("--");
            let script = r#""$0"; "$0" >&2; exit 5"#;
            let run = finish(around.args(["sh", "-c", script]).arg(clocks()));
            assert_stands(&readings_of(&run));
            assert!(!run.stderr.contains("vdso:"), "{run:#?}");
            let untraced = run.stderr.lines().find(|line| line.starts_with("REALTIME "));
            let by_library = untraced.and_then(|line| line.split(' ').nth(2));
            assert_eq!(by_library, Some(&*STANDS_NS.to_string()), "{run:#?}");
            // The others have an exit code of their own.
            assert!(*tracer != "strace" || run.status.code() == Some(5), "{run:#?}");
        }
    }
}

/// Its children, and what it becomes, are traced as well, or are not.
#[test]
fn what_a_traced_program_starts_has_its_clock() {
    if !has_tool("strace", "strace", "what_a_traced_program_starts_has_its_clock") {
        return;
    }
    let script = r#""$0"; "$0"; (exec "$0"); exec env "$0""#;
    for follows in [&["-f"][..], &[]] {
        let mut run = vdso_run(STANDS);
        run.args(["strace", "-o", "/dev/null"]).args(follows).args(["sh", "-c", script]);
        assert_stands(&finish(run.arg(clocks())).succeeded().quiet().readings());
    }
}

/// A fork has the changed functions of who was forked.
#[test]
fn a_clock_that_moves_goes_on_in_forks() {
    if !has_tool("strace", "strace", "a_clock_that_moves_goes_on_in_forks") {
        return;
    }
    // In one write.
    let script =
        "import os, time\nfor _ in range(3): os.fork()\nos.write(1, b'%d\\n' % time.time())\n";
    let mut run = vdso_run(STANDS);
    run.args(["strace", "-f", "-o", "/dev/null", "/usr/bin/python3", "-c", script]);
    let run = finish(&mut run).succeeded().quiet();
    assert_eq!(run.stdout, "2147483640\n".repeat(8));
}

/// Nobody can be its second tracer, so its waits are the host's, which is said once.
#[test]
fn of_a_traced_programs_waits_it_is_said_that_they_are_the_hosts() {
    if !has_tool("strace", "strace", "of_a_traced_programs_waits_it_is_said") {
        return;
    }
    let mut run = vdso_run(["--rate", "60"]);
    run.args(["strace", "-f", "-o", "/dev/null", "sh", "-c", "sleep 0.01; sleep 0.01"]);
    let run = finish(&mut run).succeeded();
    let lines: Vec<&str> = run.stderr.lines().collect();
    let [line] = lines[..] else { panic!("{run:#?}") };
    assert!(line.starts_with("vdso: warning: 'sleep' (pid "), "{line}");
    assert!(
        line.contains(
            " waits by the kernel's own clocks, as it is traced, first in clock_nanosleep"
        )
    );
}

/// Whoever takes the supervisor's place does not know who is traced, and finds out.
#[test]
fn a_program_that_begins_when_its_supervisor_is_killed_has_its_clock() {
    if !has_tool("gdb", "gdb", "a_program_that_begins_when_its_supervisor_is_killed") {
        return;
    }
    let script = scratch();
    let commands = script.path().join("commands");
    // gdb's parent is the supervisor, and the program has not come to its first instruction.
    let text = "starti\nshell kill -KILL $(ps -o ppid= -p $PPID)\ncontinue\n";
    fs::write(&commands, text).expect("a folder of our own");
    let gdb = ["gdb", "-q", "-batch", "-x", as_text(&commands), "--args"];
    let run = finish(vdso_run(STANDS).args(gdb).arg(clocks())).succeeded();
    assert_stands(&readings_of(&run));
}

fn as_text(path: &Path) -> &str {
    path.to_str().expect("a path of ASCII")
}
