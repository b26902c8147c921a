//! Waits that are interrupted, abandoned, or made where nobody expects them, are what they are in a plain run: with signal
//! handlers that return, jump, throw, fork, exec or wait; cancelled; stopped; with many threads; beneath filters and
//! tracers; and whatever happens to those who send threads to their image.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use support::processes::{kill_hard, supervisor_of, wait_until};
use support::shell::Shell;
use support::{Finished, Source, compile, finish, helper, vdso_run};
use test_support::{Lacking, skip};

/// Options, and how many seconds of the program's pass in one of the host's.
const MODES: [(&[&str], &str); 3] = [
    (&["--offset", "+400d"], "1"),
    (&["--rate", ".5", "--clocks", "all"], "1"),
    (&["--rate", "1000", "--clocks", "all"], "1000"),
];

fn sources(options: &[&str]) -> Vec<Source> {
    let known = if options.contains(&"--rate") { Source::with_rate() } else { Source::all() };
    known.into_iter().skip(1).collect()
}

/// Runs the program plain and under vdso, in each mode and with each source; `scale` comes last of its arguments.
#[track_caller]
fn assert_as_plain(program: &Path, arguments: &[&str]) {
    let plain = finish(Command::new(program).args(arguments).arg("1")).succeeded();
    for (options, scale) in MODES {
        for source in sources(options) {
            let run = finish(vdso_run(source.and(options)).arg(program).args(arguments).arg(scale));
            let run = run.succeeded().quiet();
            assert_eq!(run.stdout, plain.stdout, "{}", run.command);
        }
    }
}

#[track_caller]
fn assert_interrupted_as_plain(what: &str) {
    assert_as_plain(&helper("interrupted"), &[what]);
}

#[test]
fn a_handler_gives_eintr_or_a_restart_with_the_rest() {
    assert_interrupted_as_plain("eintr");
}

#[test]
fn a_stop_gives_no_eintr_and_no_early_end() {
    assert_interrupted_as_plain("stopped");
}

#[test]
fn a_handler_may_jump_out_of_a_wait() {
    assert_interrupted_as_plain("longjmp");
}

#[test]
fn a_handler_may_wait_fork_and_exec_in_a_wait() {
    for what in ["nested", "fork", "exec"] {
        assert_interrupted_as_plain(what);
    }
}

#[test]
fn a_child_of_vfork_may_wait() {
    assert_interrupted_as_plain("vfork");
}

#[test]
fn a_thread_may_be_cancelled_in_a_wait() {
    assert_interrupted_as_plain("cancel");
}

#[test]
fn a_thread_of_musl_may_be_cancelled_in_a_wait() {
    let Some(program) = with_musl() else { return };
    assert_as_plain(&program, &["cancel"]);
    assert_as_plain(&program, &["eintr"]);
}

/// The helper with musl; `None` if that is not here, which is reported.
fn with_musl() -> Option<PathBuf> {
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interrupted-musl");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helpers/interrupted.c");
    let headers = ["-idirafter", "/usr/include", "-idirafter", "/usr/include/x86_64-linux-gnu"];
    let mut gcc = Command::new("musl-gcc");
    gcc.args(["-O2", "-static", "-g"]).args(headers).arg(source).arg("-o").arg(&output);
    if Command::new("musl-gcc").arg("--version").output().is_err() {
        skip(Lacking::Tool, "waits with musl", "there is no musl-gcc (package musl-tools)");
        return None;
    }
    finish(&mut gcc).succeeded();
    Some(output)
}

#[test]
fn a_handler_may_throw_out_of_a_wait() {
    let flags = ["-O2", "-fnon-call-exceptions", "-lstdc++"];
    assert_as_plain(&compile("thrown.cc", "thrown", &flags), &[]);
}

#[test]
fn two_thousand_threads_wait_at_once() {
    assert_interrupted_as_plain("threads");
}

#[test]
fn a_thread_execs_while_others_wait() {
    assert_interrupted_as_plain("exec-beside");
}

#[test]
fn no_wait_is_early_or_fails_in_a_storm_of_signals() {
    assert_interrupted_as_plain("storm");
}

#[test]
fn a_detour_leaves_all_registers_the_red_zone_and_the_stack() {
    let registers = helper("registers");
    finish(Command::new(&registers).arg(".01")).succeeded();
    for (options, scale) in MODES {
        for source in sources(options) {
            let span = if scale == "1" { ".01" } else { "10" };
            let run = finish(vdso_run(source.and(options)).arg(&registers).arg(span)).succeeded();
            assert_eq!(run.stdout, "the same\n", "{}", run.command);
        }
    }
}
