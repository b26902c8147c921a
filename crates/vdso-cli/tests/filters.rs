//! Programs that use seccomp for themselves, below a filter of vdso's: what they refuse costs them at
//! most their clock, and what they cannot have is said.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Finished, assert_realtime_shift, finish, helper, vdso_run};
use test_support::{Clock, Program, Readings};

const OFFSET: &str = "1234567s";
const SHIFT_NS: i128 = 1_234_567_000_000_000;
const UNTOUCHED: &str = "runs on the kernel's own clocks";

/// The calls that the helper knows how to refuse.
const CALLS: [&str; 10] = [
    "prctl",
    "madvise",
    "munmap",
    "mprotect",
    "eventfd2",
    "fstat",
    "close",
    "brk",
    "mmap",
    "mmap-exec",
];

/// A program that makes none of these calls.
#[track_caller]
fn program() -> PathBuf {
    support::program(Program::NoLibc).expect("it needs rustc and cc alone")
}

/// The helper in one of its modes.
fn filters<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(helper("filters"));
    command.args(arguments);
    command
}

/// The same command under `vdso run`.
fn under_vdso(options: &[&str], command: &Command) -> Command {
    let mut run = vdso_run([&["--offset", OFFSET], options].concat());
    run.arg(command.get_program()).args(command.get_args());
    run
}

/// Whether the program had its clock, or, for the kernel's, a notice tells of it.
fn judge(run: &Finished) -> Result<(), String> {
    if !run.status.success() {
        return Err(format!("{}, {}", run.status, run.stderr.trim()));
    }
    let readings =
        Readings::parse(&run.stdout).map_err(|error| format!("{error}: {}", run.stdout))?;
    let all_have = |shift_ns| {
        readings.of(Clock::Realtime).all(|reading| reading.shift_range().contains(&shift_ns))
    };
    match run.stderr.as_str() {
        "" if all_have(SHIFT_NS) => Ok(()),
        said if all_have(0) && said.contains(UNTOUCHED) => Ok(()),
        said => Err(format!("said {said:?}, and the clocks are\n{}", run.stdout)),
    }
}

/// Each call refused in such a way, for the program itself and for a child of a shell.
#[track_caller]
fn assert_runs_where_calls_are(action: &str) {
    let program = program();
    let mut failures = Vec::new();
    for call in CALLS {
        let mut plain = filters(["refuse", call, action]);
        plain.arg(&program);
        finish(&mut plain).succeeded().quiet();
        if let Err(reason) = judge(&finish(&mut under_vdso(&[], &plain))) {
            failures.push(format!("{call}: {reason}"));
        }
        if let Err(reason) = judge(&finish(&mut in_shell(&[], &plain))) {
            failures.push(format!("{call} below a shell: {reason}"));
        }
    }
    assert!(failures.is_empty(), "{action}:\n{}", failures.join("\n"));
}

/// The command as a child of a shell, which ends as the command does.
fn in_shell(options: &[&str], command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#""$@"; code=$?; exit $code"#, "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    under_vdso(options, &shell)
}

#[test]
fn a_program_runs_whose_filter_refuses_a_call_of_the_stubs() {
    assert_runs_where_calls_are("eperm");
    assert_runs_where_calls_are("enosys");
}

#[test]
fn a_program_runs_whose_filter_only_says_that_a_call_was_made() {
    assert_runs_where_calls_are("success");
}

#[test]
fn a_program_runs_whose_filter_kills_for_a_call_of_the_stubs() {
    assert_runs_where_calls_are("kill");
    assert_runs_where_calls_are("trap");
}

/// A filter is asked for the calls of each kind of programs, not only of the kind that installs it.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_program_runs_whose_filter_kills_for_a_call_of_another_kind_of_stub() {
    if !support::gets_clocks(&Program::CI386) {
        return;
    }
    let Some(i386) = support::program(Program::CI386) else { return };
    for (program, is_untouched) in [(i386, true), (program(), false)] {
        let mut plain = filters(["kill-i386"]);
        plain.arg(program);
        finish(&mut plain).succeeded().quiet();
        for run in [&mut under_vdso(&[], &plain), &mut in_shell(&[], &plain)] {
            let run = finish(run);
            judge(&run).unwrap_or_else(|reason| panic!("{reason}"));
            assert_eq!(run.stderr.contains(UNTOUCHED), is_untouched, "{run:#?}");
        }
    }
}

// ---------------------------------------------------------------------------------------------
// Sandboxes that cannot be had

#[test]
fn a_program_that_wants_a_listener_of_its_own_is_told_why_it_has_none() {
    let listener = filters(["listener"]);
    let run = finish(&mut under_vdso(&[], &listener)).succeeded();
    assert_eq!(run.stdout, "LISTENER EBUSY\n", "{run:#?}");
    let pid_is_named = run.stderr.contains("'filters' (pid ");
    assert!(pid_is_named, "{run:#?}");
    run.said(&["warning", "seccomp", "--no-follow"]);
}

#[test]
fn a_program_that_wants_strict_mode_is_told_why_it_has_it_not() {
    for way in ["seccomp", "prctl"] {
        let strict = filters(["strict", way]);
        let run = finish(&mut under_vdso(&[], &strict)).succeeded();
        assert_eq!(run.stdout, "STRICT EINVAL\n", "{run:#?}");
        run.said(&["warning", "'filters' (pid ", "seccomp", "--no-follow"]);
    }
}

#[test]
fn a_program_that_is_not_followed_has_a_sandbox_of_its_own() {
    for (arguments, expected) in [
        (["listener"].as_slice(), "LISTENER made\n"),
        (&["strict", "seccomp"], "STRICT set\n"),
        (&["strict", "prctl"], "STRICT set\n"),
    ] {
        let command = filters(arguments.iter().copied());
        let plain = finish(&mut filters(arguments.iter().copied())).succeeded().quiet();
        assert_eq!(plain.stdout, expected);
        let run = finish(&mut under_vdso(&["--no-follow"], &command)).succeeded().quiet();
        assert_eq!(run.stdout, expected);
    }
}

// ---------------------------------------------------------------------------------------------
// The stub's calls, made by a program

#[test]
fn a_program_that_makes_the_stubs_calls_gets_what_the_kernel_says() {
    let program = support::clocks();
    let ask = |options: &[&str]| {
        let mut ask = filters(["ask"]);
        ask.arg(&program);
        finish(&mut under_vdso(options, &ask)).succeeded()
    };
    let asked: String = (0..5).map(|request| format!("ASKED {request} -1 EINVAL\n")).collect();
    for (options, shift_ns) in
        [([].as_slice(), SHIFT_NS), (&["-v"], SHIFT_NS), (&["--no-follow"], 0)]
    {
        let run = ask(options);
        let clocks = run.stdout.strip_prefix(&format!("{asked}FDS +0\n"));
        let clocks = clocks.unwrap_or_else(|| panic!("{options:?}: {run:#?}"));
        assert_realtime_shift(&Readings::parse(clocks).expect("clocks"), shift_ns, 0);
        // What the program says of itself is not believed.
        for lie in ["0x1234000", "warning"] {
            assert!(!run.stderr.contains(lie), "{options:?}: {run:#?}");
        }
    }
}

// ---------------------------------------------------------------------------------------------
// --strict

/// A program that cannot be given a clock: nothing can be made executable in it.
fn without_clock(program: &Path) -> Command {
    let mut command = filters(["refuse", "mmap-exec", "eperm"]);
    command.arg(program);
    command
}

#[test]
fn strict_ends_a_program_that_would_run_on_the_hosts_clock() {
    let program = program();
    finish(&mut without_clock(&program)).succeeded().quiet();
    let commands: [fn(&[&str], &Command) -> Command; 2] = [under_vdso, in_shell];
    for under in commands {
        let run = finish(&mut under(&["--strict"], &without_clock(&program))).exited(125);
        assert_eq!(run.stdout, "", "it has run: {run:#?}");
        run.said(&["vdso: error: ", "(pid ", "was ended", "kernel's own clocks"]);
    }
}

#[test]
fn strict_says_nothing_of_programs_that_have_their_clock() {
    let run = finish(&mut in_shell(&["--strict"], &Command::new(support::clocks())));
    assert_realtime_shift(&run.succeeded().quiet().readings(), SHIFT_NS, 0);
}
