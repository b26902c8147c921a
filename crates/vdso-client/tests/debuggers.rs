//! A program that uses the client, under debuggers, which change the auxiliary vector or stop the
//! program anywhere.

#![cfg(all(target_arch = "x86_64", not(miri)))]

use std::path::PathBuf;
use std::process::{Command, Output};

use test_support::{Lacking, Program, Readings, assert_shift, skip};

/// The program without a C library; it looks at the stack that it began with.
fn program(test: &str) -> Option<PathBuf> {
    let built = test_support::build(Program::NoLibc);
    built.inspect_err(|reason| skip(reason.lacking, test, &reason.reason)).ok()
}

/// Runs a tool; a machine that lacks it is a named skip.
fn run(test: &str, tool: &str, arguments: &[&str], program: &[&str]) -> Option<Output> {
    match Command::new(tool).args(arguments).args(program).output() {
        Ok(output) => Some(output),
        Err(error) => {
            skip(Lacking::Tool, test, &format!("cannot run {tool}: {error} (Debian: {tool})"));
            None
        }
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn under_valgrind_there_are_system_calls() {
    const TEST: &str = "under_valgrind_there_are_system_calls";
    let Some(path) = program(TEST) else { return };
    let path = path.to_str().expect("a path of text");
    let arguments = ["--quiet", "--error-exitcode=9"];
    let Some(output) = run(TEST, "valgrind", &arguments, &[path, "capabilities"]) else { return };
    assert!(output.status.success(), "{output:?}");
    for line in text(&output.stdout).lines().take(5) {
        // valgrind has taken the vDSO out of the vector on the stack, not out of the kernel's copy.
        assert!(
            line.ends_with("the auxiliary vector names no vDSO (vdso=0, or a debugger)"),
            "{line}"
        );
    }
    let Some(output) = run(TEST, "valgrind", &arguments, &[path]) else { return };
    assert!(output.status.success(), "{output:?}");
    for reading in &Readings::parse(text(&output.stdout)).expect("readings") {
        assert_shift(reading, 0, reading.resolution_ns());
    }
}

/// The kernel's copy of the vector goes on naming the vDSO that valgrind has unmapped.
#[test]
fn a_vdso_that_valgrind_has_taken_away_is_not_read() {
    const TEST: &str = "a_vdso_that_valgrind_has_taken_away_is_not_read";
    let Some(path) = program(TEST) else { return };
    let path = path.to_str().expect("a path of text");
    let arguments = ["--quiet", "--error-exitcode=9"];
    let asking = [path, "ask-kernel", "capabilities"];
    let Some(output) = run(TEST, "valgrind", &arguments, &asking) else { return };
    assert!(output.status.success(), "{output:?}");
    for line in text(&output.stdout).lines().take(5) {
        // The second where valgrind shows a program its own vector in the copy's place, too.
        let is_told = ["is where the auxiliary vector says (a debugger)", "names no vDSO"];
        assert!(is_told.iter().any(|reason| line.contains(reason)), "{line}");
    }
    let Some(output) = run(TEST, "valgrind", &arguments, &asking[..2]) else { return };
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stderr), "", "valgrind has seen no fault");
    for reading in &Readings::parse(text(&output.stdout)).expect("readings") {
        assert_shift(reading, 0, reading.resolution_ns());
    }
}

/// Without a debugger that copy is right.
#[test]
fn the_kernels_copy_of_the_vector_leads_to_the_vdso() {
    const TEST: &str = "the_kernels_copy_of_the_vector_leads_to_the_vdso";
    let Some(path) = program(TEST) else { return };
    let output = Command::new(path).args(["ask-kernel", "capabilities"]).output();
    let output = output.expect("it was built");
    let said = text(&output.stdout);
    let has_vdso = vdso_client::Capabilities::probe().vdso().is_ok();
    assert_eq!(said.contains("__vdso_clock_gettime"), has_vdso, "{said}");
}

#[test]
fn gdb_steps_through_a_read() {
    const TEST: &str = "gdb_steps_through_a_read";
    let Some(path) = program(TEST) else { return };
    let path = path.to_str().expect("a path of text");
    let arguments = [
        "--batch",
        "--nx",
        "-iex",
        "set debuginfod enabled off",
        "-ex",
        "set startup-with-shell off",
        "-ex",
        "starti",
        "-ex",
        "break __vdso_clock_gettime",
        "-ex",
        "continue",
        "-ex",
        "stepi 20",
        "-ex",
        "delete",
        "-ex",
        "continue",
        "--args",
    ];
    let Some(output) = run(TEST, "gdb", &arguments, &[path]) else { return };
    let said = text(&output.stdout);
    if text(&output.stderr).contains("ptrace: Operation not permitted") {
        return skip(Lacking::Privilege, TEST, "this user may not trace a program");
    }
    assert!(said.contains("exited normally"), "{output:?}");
    assert!(said.contains("Breakpoint 1, 0x"), "gdb has not stopped in the vDSO: {output:?}");
    // Each read of the program's, wherever it was stopped, lies between its raw ones.
    let lines = said.lines().filter(|line| line.split(' ').count() == 4);
    let is_reading = |line: &&str| line.split(' ').skip(1).all(|word| word.parse::<i128>().is_ok());
    let readings: Vec<&str> = lines.filter(is_reading).collect();
    assert_eq!(readings.len(), 9, "{said}");
    for reading in &Readings::parse(&(readings.join("\n") + "\n")).expect("readings") {
        assert_shift(reading, 0, reading.resolution_ns());
    }
}
