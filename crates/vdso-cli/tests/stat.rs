//! `vdso stat`: every call is counted, once, of all threads and processes; and what becomes of the counts.

#![cfg(target_arch = "x86_64")]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::{Finished, Source, VDSO, compile, finish, helper, program, scratch};
use test_support::{Lacking, Program, skip};

/// `vdso stat OPTIONS --`.
fn vdso_stat<I: IntoIterator<Item: AsRef<OsStr>>>(options: I) -> Command {
    let mut command = Command::new(VDSO);
    command.arg("stat").args(options).arg("--");
    command
}

/// What the helper says that it has called, and what was counted: each by the kernel's number of the clock.
#[track_caller]
fn assert_exact(options: &[&str], mode: &str) -> (Finished, Value) {
    let folder = scratch();
    let file = folder.path().join("counts.json");
    let mut command =
        vdso_stat(["--json", "-o", file.to_str().expect("it is UTF-8")].iter().chain(options));
    let run = finish(command.arg(helper("counted")).arg(mode)).quiet();
    let counts = read_json(&file);
    let made: Vec<(usize, u64)> = run.stdout.lines().map(number_pair).collect();
    assert!(!made.is_empty(), "{run:#?}");
    assert_eq!(clocks(&counts), made, "{mode} {options:?}: {counts:#}");
    (run, counts)
}

#[track_caller]
fn read_json(file: &Path) -> Value {
    let text = fs::read_to_string(file).expect("it was written");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn number_pair(line: &str) -> (usize, u64) {
    let (clock, count) = line.split_once(' ').expect("two numbers");
    (clock.parse().expect("a number"), count.parse().expect("a number"))
}

const NAMES: [&str; 12] = [
    "REALTIME",
    "MONOTONIC",
    "PROCESS_CPUTIME_ID",
    "THREAD_CPUTIME_ID",
    "MONOTONIC_RAW",
    "REALTIME_COARSE",
    "MONOTONIC_COARSE",
    "BOOTTIME",
    "REALTIME_ALARM",
    "BOOTTIME_ALARM",
    "",
    "TAI",
];

/// How often each clock was read by `clock_gettime`, in the order of their numbers.
fn clocks(counts: &Value) -> Vec<(usize, u64)> {
    let calls = counts["calls"].as_array().expect("a list").iter();
    let calls = calls.filter(|call| call["function"] == "clock_gettime").map(|call| {
        let id = NAMES.iter().position(|name| call["clock"] == *name);
        (id.expect("a clock of the helper's"), call["count"].as_u64().expect("a number"))
    });
    let mut calls: Vec<_> = calls.collect();
    calls.sort_unstable();
    calls
}

fn count_of(counts: &Value, function: &str) -> u64 {
    let calls = counts["calls"].as_array().expect("a list").iter();
    let of_function = calls.filter(|call| call["function"] == function);
    of_function.map(|call| call["count"].as_u64().expect("a number")).sum()
}

#[test]
fn each_function_and_clock_is_counted() {
    for source in Source::all() {
        let (_, counts) = assert_exact(source.options, "functions");
        let counted =
            ["gettimeofday", "time", "getcpu", "clock_getres"].map(|name| count_of(&counts, name));
        assert_eq!(counted, [31, 32, 33, 34], "{}: {counts:#}", source.name);
        let sum = counts["calls"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|call| call["count"].as_u64().unwrap());
        assert_eq!(counts["total"].as_u64(), Some(sum.sum()));
    }
}

/// A clock at a rate has coarse clocks that are the fine ones: a call is counted as what it was.
#[test]
fn a_clock_of_ones_own_is_counted_alike() {
    for options in [&["--rate", "2"][..], &["--offset", "1y", "--clocks", "all"], &["--freeze"]] {
        assert_exact(options, "functions");
    }
}

/// By system calls, which a clock that is moved has made by the image.
#[test]
fn calls_of_the_kernels_are_not_counted() {
    let direct = compile("direct.c", "direct", &["-O2", "-mno-red-zone"]);
    let moved = ["--json", "--offset", "400d", "--clocks", "all"];
    let run = finish(vdso_stat(moved).arg(direct).arg("clocks")).succeeded();
    let counts: Value = serde_json::from_str(&run.stderr).expect("a document");
    // Two by the C library, and one between them.
    assert_eq!(count_of(&counts, "time"), 2, "{counts:#}");
}

#[test]
fn the_kernel_is_asked_for_what_no_page_has() {
    let (_, counts) = assert_exact(&[], "functions");
    let of = |clock: &str| {
        let all = counts["asked_kernel"].as_array().expect("a list");
        all.iter().find(|it| it["clock"] == clock).and_then(|it| it["count"].as_u64())
    };
    assert_eq!(
        (of("PROCESS_CPUTIME_ID"), of("THREAD_CPUTIME_ID")),
        (Some(3), Some(4)),
        "{counts:#}"
    );
    let reasons = counts["reasons"].as_array().expect("a list");
    assert!(reasons.iter().any(|it| it["reason"] == "no page has the clock"), "{counts:#}");
}

#[test]
fn eight_threads_are_counted_exactly() {
    for source in Source::all() {
        let (_, counts) = assert_exact(source.options, "threads");
        let threads = counts["threads"].as_array().expect("a list");
        assert_eq!(threads.len(), 8, "{counts:#}");
        assert!(threads.iter().all(|thread| thread["total"] == 400_000), "{counts:#}");
        assert!(threads.iter().all(|thread| thread["name"] == "counted"), "{counts:#}");
    }
}

#[test]
fn forks_of_a_process_with_threads_are_counted_exactly() {
    let (_, counts) = assert_exact(&[], "forks");
    let threads = counts["threads"].as_array().expect("a list");
    // The children, the threads, and who forks.
    assert_eq!(threads.len(), 40 + 8 + 1, "{counts:#}");
}

#[test]
fn children_of_vfork_are_counted_exactly() {
    assert_exact(&[], "vforks");
}

#[test]
fn handlers_that_interrupt_a_count_are_counted_exactly() {
    assert_exact(&[], "signals");
}

#[test]
fn counts_go_on_across_exec() {
    assert_exact(&[], "exec");
}

/// A thread's first call asks the kernel for the thread's name and numbers, but below a filter that would not allow it.
#[test]
fn a_sandbox_kills_nobody_for_being_counted() {
    let (_, counts) = assert_exact(&[], "confined");
    let thread = &counts["threads"][0];
    assert_eq!((&thread["pid"], &thread["name"]), (&Value::Null, &Value::from("")), "{counts:#}");
}

#[test]
fn counts_survive_those_who_are_killed() {
    let (run, _) = assert_exact(&[], "killed");
    assert_eq!(run.status.signal(), Some(9), "{run:#?}");
}

#[test]
fn threads_beyond_those_that_are_told_apart_are_counted_exactly() {
    let (_, counts) = assert_exact(&[], "many");
    assert_eq!(counts["threads"].as_array().expect("a list").len(), 4096);
    assert_eq!(counts["others"][0]["count"], 5000 - 4096, "{:#}", counts["others"]);
}

fn language(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helpers/languages").join(name)
}

/// How often a program reads this clock.
#[track_caller]
fn reads(clock: usize, program: &[&OsStr]) -> u64 {
    let run = finish(vdso_stat(["--json"]).args(program)).succeeded();
    let counts = serde_json::from_str(&run.stderr).expect("a document");
    clocks(&counts).iter().find(|(id, _)| *id == clock).map_or(0, |(_, count)| *count)
}

/// Whether there is such a tool; if not, that is reported.
fn has(tool: &str, version: &str) -> bool {
    let is_here =
        Command::new(tool).arg(version).output().is_ok_and(|tried| tried.status.success());
    if !is_here {
        skip(Lacking::Tool, &format!("counts of {tool}"), &format!("there is no {tool}"));
    }
    is_here
}

const REALTIME: usize = 0;
const BOOTTIME: usize = 7;

#[test]
fn calls_of_python_are_counted_exactly() {
    if has("python3", "--version") {
        let script = language("counted.py");
        assert_eq!(reads(BOOTTIME, &["python3".as_ref(), script.as_ref()]), 1234);
    }
}

#[test]
fn calls_of_rust_are_counted_exactly() {
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("counted-rs");
    let mut rustc = Command::new("rustc");
    finish(rustc.args(["--edition=2024", "-o"]).arg(&output).arg(language("counted.rs")))
        .succeeded();
    assert_eq!(reads(REALTIME, &[output.as_ref()]), 8000);
}

#[test]
fn calls_of_go_are_counted_exactly() {
    if has("go", "version") {
        let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("counted-go");
        let mut go = Command::new("go");
        finish(go.args(["build", "-o"]).arg(&output).arg(language("counted.go"))).succeeded();
        assert_eq!(reads(REALTIME, &[output.as_ref()]), 8000);
    }
}

/// A program without a C library has no thread pointer, and counts with all others of its kind.
#[test]
fn calls_without_a_thread_pointer_are_counted_together() {
    let Some(program) = program(Program::NoLibc) else { return };
    let run = finish(vdso_stat(["--json"]).arg(program)).succeeded();
    let counts: Value = serde_json::from_str(&run.stderr).expect("a document");
    assert!(counts["total"].as_u64() > Some(0), "{counts:#}");
    assert_eq!(counts["threads"], Value::Array(Vec::new()));
}

/// What strace counts where the functions are hidden is what is counted where they are not.
#[test]
fn strace_counts_the_same_where_the_functions_are_off() {
    if !has("strace", "--version") {
        return;
    }
    let folder = scratch();
    let file = folder.path().join("calls");
    let mut command = Command::new(VDSO);
    command.args(["run", "--off", "--", "strace", "-f", "-e", "trace=clock_gettime", "-o"]);
    let run = finish(command.arg(&file).arg(helper("counted")).arg("functions")).succeeded();
    let traced = fs::read_to_string(&file).expect("it was written");
    let (_, counts) = assert_exact(&[], "functions");
    let calls = traced.lines().filter(|line| line.contains("clock_gettime(CLOCK_")).count();
    assert_eq!(calls as u64, count_of(&counts, "clock_gettime"), "{run:#?}\n{traced}");
}

#[test]
fn a_program_that_writes_over_the_counts_harms_nobody() {
    let run = finish(vdso_stat([""; 0]).arg(helper("counted")).arg("garbage"));
    run.succeeded().said(&["calls of the vDSO in"]);
}

#[test]
fn the_programs_own_output_and_exit_code_are_its_own() {
    let run =
        finish(vdso_stat([""; 0]).args(["sh", "-c", "echo out; echo err >&2; exit 7"])).exited(7);
    assert_eq!(run.stdout, "out\n");
    assert!(run.stderr.starts_with("err\n\n"), "{run:#?}");
}

#[test]
fn a_table_names_the_calls() {
    let run = finish(vdso_stat([""; 0]).arg(helper("counted")).arg("functions")).succeeded();
    run.said(&[
        " clock_gettime(TAI) ",
        " getcpu ",
        "the kernel was asked for: 3 x PROCESS_CPUTIME_ID, 4 x THREAD_CPUTIME_ID",
        "by 1 thread of 1 process\n",
    ]);
}

#[test]
fn lines_of_values_have_each_call_of_each_thread() {
    let run = finish(vdso_stat(["--csv"]).arg(helper("counted")).arg("exec")).succeeded();
    let mut lines = run.stderr.lines();
    assert_eq!(lines.next(), Some("pid,tid,name,function,clock,count"));
    let ends: Vec<_> = lines.map(|line| line.splitn(3, ',').last().expect("fields")).collect();
    // The program has its new name from the moment of its start.
    assert_eq!(ends, ["counted,clock_gettime,BOOTTIME,123", "exe,clock_gettime,BOOTTIME,77"]);
}

#[test]
fn a_program_that_cannot_be_started_leaves_no_counts() {
    let run = finish(vdso_stat([""; 0]).arg("/no/such/program")).exited(127);
    assert!(!run.stderr.contains("of the vDSO"), "{run:#?}");
}

#[test]
fn a_file_that_cannot_be_written_is_an_error() {
    let full = finish(vdso_stat(["-o", "/dev/full"]).args(["echo", "RAN"])).exited(125);
    assert_eq!(full.stdout, "RAN\n");
    full.said(&["cannot write to /dev/full: No space left on device"]);
    let missing =
        finish(vdso_stat(["-o", "/no/such/folder/file"]).args(["echo", "RAN"])).exited(125);
    assert_eq!(missing.stdout, "");
    missing.said(&["cannot write to /no/such/folder/file"]);
}

#[test]
fn a_closed_pipe_changes_nothing() {
    let script = format!("exec 4>&1; {{ {VDSO} stat -- sh -c 'exit 3'; echo $? >&4; }} 2>&1 | :");
    let run = finish(Command::new("sh").args(["-c", &script])).succeeded();
    assert_eq!(run.stdout, "3\n", "{run:#?}");
}

#[test]
fn nobody_is_counted_who_is_not_followed() {
    let run = finish(vdso_stat(["--no-follow"]).args(["echo", "RAN"])).exited(2);
    assert_eq!(run.stdout, "");
    run.said(&["nothing can be counted with --no-follow"]);
}

/// A counted program may write to the counts, and is no process of the launch's for that.
#[test]
fn what_a_counted_program_traces_has_its_clock_and_is_said_not_to_be_counted() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skip(Lacking::Tool, "a traced program", "no strace (Debian: strace)");
    }
    let date = ["date", "-u", "+%Y-%m-%d"];
    for options in [&["--freeze", "--at", "2038-01-19"][..], &[]] {
        let mut below = vdso_stat(options);
        below.args(["strace", "-f", "-o", "/dev/null"]).args(date);
        let mut around = Command::new("strace");
        around.args(["-f", "-o", "/dev/null", VDSO, "stat"]).args(options).arg("--").args(date);
        for mut command in [below, around] {
            let run = finish(&mut command).succeeded();
            assert!(options.is_empty() || run.stdout == "2038-01-19\n", "{run:#?}");
            run.said(&["warning: 'date' (pid ", "is not counted, as it is traced"]);
        }
    }
}

#[test]
fn a_counted_program_that_wants_a_listener_of_its_own_is_told_why_it_has_none() {
    let run = finish(vdso_stat([""; 0]).arg(helper("filters")).arg("listener")).succeeded();
    assert_eq!(run.stdout, "LISTENER EBUSY\n", "{run:#?}");
    run.said(&["warning: 'filters' (pid ", "seccomp"]);
}
