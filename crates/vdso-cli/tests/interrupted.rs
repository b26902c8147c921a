//! Waits that are interrupted, abandoned, or made where nobody expects them, are what they are in a plain run: with signal
//! handlers that return, jump, throw, fork, exec or wait; cancelled; stopped; with many threads; beneath filters and
//! tracers; and whatever happens to those who send threads to their image.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use support::processes::{is_alive, kill_hard, supervisor_of, wait_until};
use support::shell::Shell;
use support::{Finished, Source, Times, compile, finish, helper, i386_helper, vdso_run};
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
    assert_as_plain_with(program, arguments, sources);
}

#[track_caller]
fn assert_as_plain_with(
    program: &Path,
    arguments: &[&str],
    sources: impl Fn(&[&str]) -> Vec<Source>,
) {
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
    // From call sites that may have been rewritten.
    assert_interrupted_as_plain("cancel-often");
}

#[test]
fn a_thread_of_musl_may_be_cancelled_in_a_wait() {
    let Some(program) = with_musl() else { return };
    assert_as_plain(&program, &["cancel"]);
    assert_as_plain(&program, &["cancel-often"]);
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
    let flags = ["-O2", "-fnon-call-exceptions", "-pthread", "-Wl,--no-as-needed", "-lstdc++"];
    assert_as_plain(&compile("thrown.cc", "thrown", &flags), &[]);
}

/// With signals, jumps, forks, cancellation and many threads, as above.
#[test]
fn an_i386_program_is_interrupted_as_plain() {
    let Some(program) = i386_helper("interrupted", Times::Bits32, &[]) else { return };
    const ALL: [&str; 13] = [
        "eintr",
        "stopped",
        "longjmp",
        "nested",
        "fork",
        "exec",
        "vfork",
        "cancel",
        "threads",
        "timers",
        "exec-beside",
        "storm",
        "filtered",
    ];
    for what in ALL {
        assert_as_plain_with(&program, &[what], |_| vec![Source::AUTO]);
    }
}

#[test]
fn two_thousand_threads_wait_at_once() {
    assert_interrupted_as_plain("threads");
}

#[test]
fn eight_threads_set_timers_as_fast_as_they_can() {
    assert_interrupted_as_plain("timers");
}

#[test]
fn who_is_killed_on_the_way_into_a_wait_leaves_nothing_behind() {
    assert_interrupted_as_plain("killed");
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
    assert_registers_are_left(&helper("registers"), sources);
}

#[test]
fn a_detour_leaves_all_registers_and_the_stack_of_an_i386_program() {
    let flags = ["-no-pie"];
    let Some(registers) = i386_helper("registers_i386", Times::Bits32, &flags) else { return };
    assert_registers_are_left(&registers, |_| vec![Source::AUTO]);
}

#[track_caller]
fn assert_registers_are_left(registers: &Path, sources: impl Fn(&[&str]) -> Vec<Source>) {
    finish(Command::new(registers).arg(".01")).succeeded();
    for (options, scale) in MODES {
        for source in sources(options) {
            let span = if scale == "1" { ".01" } else { "10" };
            let run = finish(vdso_run(source.and(options)).arg(registers).arg(span)).succeeded();
            assert_eq!(run.stdout, "the same\n", "{}", run.command);
        }
    }
}

/// Waits one after another, while something is done to the supervisor at moments that nobody chooses.
#[track_caller]
fn assert_goes_on_while(disturb: impl Fn(nix::unistd::Pid)) {
    const ROUNDS: u32 = 12;
    for (options, scale) in MODES {
        let mut waits =
            Shell::start(vdso_run(options).arg(helper("interrupted")).args(["again", scale]));
        waits.read_to("started\n");
        for round in 0..ROUNDS {
            std::thread::sleep(Duration::from_millis(100) + Duration::from_micros(137) * round);
            disturb(supervisor_of(waits.pid()));
        }
        assert_eq!(waits.read_to_end(), "0 early, 0 errors\n", "{options:?}");
        assert!(waits.wait().success(), "{options:?}");
    }
}

#[test]
fn each_wait_happens_once_and_right_when_supervisors_are_killed() {
    assert_goes_on_while(|supervisor| {
        kill_hard(supervisor);
        wait_until("the supervisor's end", || !is_alive(supervisor));
    });
}

#[test]
fn each_wait_happens_once_and_right_when_supervisors_are_stopped() {
    assert_goes_on_while(|supervisor| {
        // It may have been replaced meanwhile.
        let _ = kill(supervisor, Signal::SIGSTOP);
        std::thread::sleep(Duration::from_millis(30));
        // Of the others somebody notices.
        if supervisor.as_raw() % 2 == 0 {
            let _ = kill(supervisor, Signal::SIGCONT);
        }
    });
}

#[test]
fn a_wait_that_a_tracer_keeps_for_itself_goes_on_as_the_hosts_and_is_told_once() {
    let program = helper("interrupted");
    let plain = finish(Command::new(&program).args(["traced", "1"])).succeeded();
    for (options, scale) in &MODES[1..] {
        let run = finish(vdso_run(*options).arg(&program).args(["traced", scale])).succeeded();
        assert_eq!(run.stdout, plain.stdout, "{}", run.command);
        let told = run.stderr.matches("waits by the kernel's own clocks while it is traced");
        assert_eq!(told.count(), 1, "{}", run.stderr);
    }
}

/// Runs a tool on a program that is in a wait of the image's, and gives what it wrote.
#[track_caller]
fn with_tool(program: &Path, tool: &str, arguments: &[&str]) -> Option<Finished> {
    if Command::new(tool).arg("--version").output().is_err() {
        skip(Lacking::Tool, &format!("{tool} in a wait"), &format!("there is no {tool}"));
        return None;
    }
    let (options, scale) = MODES[1];
    let mut waits =
        Shell::start(vdso_run(options).arg(program).args(["paused", scale]));
    let pid = waits.read_to("\n");
    let waits_in = || fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
    wait_until("its wait", || waits_in().contains("nanosleep"));
    let finished = finish(Command::new(tool).args(arguments).args(["-p", &pid]));
    waits.send("");
    // Waits that began while the tool traced it went by the host's clock.
    let end = waits.read_to_end();
    assert!(end.ends_with(" early, 0 errors\n"), "{end}");
    Some(finished)
}

#[test]
fn a_backtrace_of_a_thread_in_a_wait_shows_the_caller() {
    let arguments = ["-nx", "-batch", "-iex", "set debuginfod enabled off", "-ex", "bt"];
    let i386 = i386_helper("interrupted", Times::Bits32, &[]);
    for program in [Some(helper("interrupted")), i386].into_iter().flatten() {
        let Some(gdb) = with_tool(&program, "gdb", &arguments) else { return };
        for name in ["sleep_for", "paused", "main"] {
            assert!(gdb.stdout.contains(name), "no {name}: {gdb:#?}");
        }
    }
}

#[test]
fn strace_attaches_to_a_thread_in_a_wait() {
    // Ended by timeout(1), as strace would wait for the program's end.
    let arguments = ["-s", "INT", "1", "strace", "-e", "trace=nanosleep,clock_nanosleep"];
    let Some(strace) = with_tool(&helper("interrupted"), "timeout", &arguments) else { return };
    assert!(strace.stderr.contains("attached"), "{strace:#?}");
}

/// A program whose own filter has something to say about the same calls has what it asks for.
#[test]
fn a_filter_of_the_programs_own_decides_about_the_same_calls() {
    assert_interrupted_as_plain("filtered");
}
