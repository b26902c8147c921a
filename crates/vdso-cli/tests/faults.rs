//! Killed at any moment, short of everything, refused by the kernel: the program goes on with a
//! right clock, or vdso says what is wrong and what to do.

mod support;

use std::process::Command;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use support::processes::{
    child_of_ours, is_alive, kill_hard, state_of, supervisor_of, wait_for, wait_until,
};
use support::shell::Shell;
use support::{Finished, Source, assert_realtime_shift, clocks, finish, helper, vdso_run};
use test_support::{Clock, Lacking, Program, Readings};

const OFFSET: &str = "1234567s";
const SHIFT_NS: i128 = 1_234_567_000_000_000;

/// Lines that the C program prints at a time.
const LINES: usize = 9;

// ---------------------------------------------------------------------------------------------
// Processes killed

/// A shell under `vdso run`, which waits for commands.
#[track_caller]
fn shell_of(source: Source) -> Shell {
    let options = source.and(&["--offset", OFFSET]);
    let mut shell = Shell::start(vdso_run(options).arg("bash").env("CLOCKS", clocks()));
    assert_eq!(shell.ask("echo ready"), "ready\n");
    shell
}

/// The shell's own clock, its children's, and a chain of execs must be right.
#[track_caller]
fn assert_goes_on(shell: &mut Shell, source: Source) {
    for command in [r#""$CLOCKS""#, r#"("$CLOCKS" exec 2)"#, r#"sh -c '"$CLOCKS" threads 3'"#] {
        let readings = Readings::parse(&shell.ask(command)).expect("clocks");
        assert_realtime_shift(&readings, SHIFT_NS, source.tolerance_ns);
    }
    // Not EPOCHSECONDS, which is as of the last tick, and so may be a second behind date's.
    let by_bash = shell
        .ask(r#"a=$(date +%s); b=${EPOCHREALTIME%%[.,]*}; c=$(date +%s); echo $((a<=b && b<=c))"#);
    assert_eq!(by_bash, "1\n");
}

#[test]
fn the_program_goes_on_when_the_launcher_is_killed() {
    for source in Source::all() {
        let mut shell = shell_of(source);
        let supervisor = supervisor_of(shell.pid());
        kill_hard(shell.pid());
        shell.wait();
        assert_goes_on(&mut shell, source);
        shell.send("exit");
        shell.read_to_end();
        wait_until("the supervisor ends with the last program", || !is_alive(supervisor));
    }
}

#[test]
fn the_program_goes_on_when_the_supervisor_is_killed_and_its_exit_code_arrives() {
    for source in Source::all() {
        let mut shell = shell_of(source);
        for _ in 0..3 {
            let supervisor = supervisor_of(shell.pid());
            kill_hard(supervisor);
            wait_until("the supervisor's end", || !is_alive(supervisor));
            assert_goes_on(&mut shell, source);
        }
        shell.send("exit 42");
        shell.read_to_end();
        assert_eq!(shell.wait().code(), Some(42), "{source:?}");
    }
}

#[test]
fn a_signal_that_ends_the_program_arrives_when_the_supervisor_was_killed() {
    let mut shell = shell_of(Source::AUTO);
    kill_hard(supervisor_of(shell.pid()));
    assert_goes_on(&mut shell, Source::AUTO);
    shell.send("kill -TERM $$");
    shell.read_to_end();
    let status = shell.wait();
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    assert_eq!(status.code().or(signal.map(|signal| 128 + signal)), Some(143));
}

#[test]
fn the_end_of_the_program_is_seen_when_the_supervisor_stands_still() {
    for options in [&[][..], &["--no-follow"]] {
        // With a child that lives on, and without.
        for before in ["sleep 1000 > /dev/null & echo ready", "echo ready"] {
            let options = options.iter().chain(&["--offset", OFFSET]);
            let mut shell = Shell::start(vdso_run(options).arg("bash"));
            assert_eq!(shell.ask(before), "ready\n");
            kill(supervisor_of(shell.pid()), Signal::SIGSTOP).expect("it is there");
            shell.send("exit 42");
            assert_eq!(shell.wait().code(), Some(42), "{before}");
        }
    }
}

#[test]
fn any_number_of_supervisors_may_be_killed() {
    let mut shell = shell_of(Source::AUTO);
    for _ in 0..20 {
        let supervisor = supervisor_of(shell.pid());
        kill_hard(supervisor);
        wait_until("the supervisor's end", || !is_alive(supervisor));
        assert_eq!(shell.ask("/bin/echo here"), "here\n");
    }
    shell.send("exit 4");
    shell.read_to_end();
    assert_eq!(shell.wait().code(), Some(4));
}

#[test]
fn nobody_hangs_when_supervisors_do_not_live_to_do_anything() {
    let mut shell = shell_of(Source::AUTO);
    let mut kills = 0;
    while let Some(supervisor) = wait_for("a supervisor, or the decision to have none", || {
        let found = child_of_ours(shell.pid());
        (found.is_some() || kills > 16).then_some(found)
    }) {
        kill_hard(supervisor);
        wait_until("the supervisor's end", || !is_alive(supervisor));
        kills += 1;
        assert!(kills < 100, "there is always another");
    }
    // Nobody is left to follow an exec. It may fail, but it must not wait for ever.
    shell.send("/bin/true; echo \"code $?\"");
    shell.read_to("code ");
}

#[test]
fn nothing_of_ours_is_left_when_the_launcher_was_killed() {
    // Orphans come to this process, which can count them then.
    nix::sys::prctl::set_child_subreaper(true).expect("it is allowed");
    let script = r#"read -r _ _ _ front _ </proc/$PPID/stat; kill -KILL "$front"; exec true"#;
    for (options, at_most) in [([].as_slice(), 4), (&["--no-follow"], 2)] {
        let run = finish(vdso_run(options).args(["sh", "-c", script])).quiet();
        assert_eq!(run.shell_code(), 128 + Signal::SIGKILL as i32);
        let group = Pid::from_raw(-(run.pid as i32));
        let orphans = std::iter::from_fn(|| waitpid(group, None).ok()).count();
        assert!((1..=at_most).contains(&orphans), "{options:?}: {orphans} processes were left");
    }
}

/// The process that will take a supervisor's place.
#[track_caller]
fn standby_of(supervisor: Pid) -> Pid {
    wait_for("a standby", || child_of_ours(supervisor))
}

#[test]
fn the_program_goes_on_when_launcher_and_supervisors_are_killed_one_after_another() {
    for source in Source::all() {
        let mut shell = shell_of(source);
        let mut supervisor = supervisor_of(shell.pid());
        kill_hard(shell.pid());
        shell.wait();
        for _ in 0..3 {
            let standby = standby_of(supervisor);
            kill_hard(supervisor);
            wait_until("the supervisor's end", || !is_alive(supervisor));
            assert_goes_on(&mut shell, source);
            supervisor = standby;
        }
        shell.send("exit");
        shell.read_to_end();
        wait_until("the last supervisor's end", || !is_alive(supervisor));
    }
}

#[test]
fn the_program_goes_on_when_supervisor_and_launcher_are_killed() {
    for source in Source::all() {
        let mut shell = shell_of(source);
        let first = supervisor_of(shell.pid());
        kill_hard(first);
        wait_until("the supervisor's end", || !is_alive(first));
        let second = supervisor_of(shell.pid());
        kill_hard(shell.pid());
        shell.wait();
        assert_goes_on(&mut shell, source);
        let standby = standby_of(second);
        kill_hard(second);
        wait_until("the successor's end", || !is_alive(second));
        assert_goes_on(&mut shell, source);
        shell.send("exit");
        shell.read_to_end();
        wait_until("the last supervisor's end", || !is_alive(standby));
    }
}

/// Programs are started all the time while supervisors are killed. Each must run; only one that was
/// being worked on at that very moment may have kept the kernel's clocks.
#[test]
fn no_program_is_lost_when_supervisors_are_killed_at_any_moment() {
    const ROUNDS: usize = 300;
    const KILLS: usize = 8;
    let mut shell = shell_of(Source::AUTO);
    shell.send(&format!(
        r#"for i in {{1..{ROUNDS}}}; do "$CLOCKS" || echo "FAILED $?"; [ $((i % 30)) = 5 ] && echo KILL; done; echo END"#
    ));
    let mut output = String::new();
    for _ in 0..KILLS {
        output += &shell.read_to("KILL\n");
        kill_hard(supervisor_of(shell.pid()));
    }
    output += &shell.read_to("END\n").replace("KILL\n", "");
    let readings = Readings::parse(&output).unwrap_or_else(|error| panic!("{error}: {output}"));
    assert_eq!(readings.iter().count(), ROUNDS * LINES);
    let is_untouched = |reading: &&test_support::Reading| {
        reading.clock == Clock::Realtime && reading.shift_range().contains(&0)
    };
    let untouched = readings.iter().filter(is_untouched).count();
    assert!(untouched <= KILLS, "{untouched} programs ran on the kernel's clocks");
    shell.send("exit 3");
    shell.read_to_end();
    assert_eq!(shell.wait().code(), Some(3));
}

#[test]
fn nobody_hangs_when_all_of_ours_is_killed() {
    let mut shell = shell_of(Source::AUTO);
    let front = shell.pid();
    let supervisor = supervisor_of(front);
    // So that it starts no successor. Nobody may be stopped when it ends in its turn: the kernel hangs
    // up a group that has become an orphan if any of it is stopped.
    kill(front, Signal::SIGSTOP).expect("it runs");
    wait_until("the launcher stops", || state_of(front) == Some('T'));
    kill_hard(supervisor);
    wait_until("the supervisor's end", || !is_alive(supervisor));
    kill_hard(front);
    shell.wait();
    // Nobody is left to follow an exec. The shell itself goes on, and so does its clock.
    let seconds: i64 = shell.ask("echo $EPOCHSECONDS").trim().parse().expect("a number");
    let host = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let behind = host.expect("it is past 1970").as_secs() as i64 + 1_234_567 - seconds;
    assert!((0..=support::LIMIT.as_secs() as i64).contains(&behind), "{behind}");
    // An exec may fail, but it must not wait for ever.
    shell.send("/bin/true; echo \"code $?\"");
    shell.read_to("code ");
}

// ---------------------------------------------------------------------------------------------
// Large and small

#[test]
fn there_may_be_twenty_thousand_arguments() {
    for source in Source::all() {
        let script = r#"a=$#; exec "$0" -c 'echo $1 $#; exec "$CLOCKS"' "$0" "$a" "$@""#;
        let mut run = vdso_run(source.and(&["--offset", OFFSET]));
        run.args(["sh", "-c", script, "sh"]).args((0..20_000).map(|n| n.to_string()));
        let mut run = finish(run.env("CLOCKS", clocks())).succeeded().quiet();
        let (counts, rest) = run.stdout.split_once('\n').expect("a line");
        assert_eq!(counts, "20000 20001");
        run.stdout = rest.to_owned();
        assert_realtime_shift(&run.readings(), SHIFT_NS, source.tolerance_ns);
    }
}

#[test]
fn the_environment_may_be_huge() {
    for source in Source::all() {
        let mut run = vdso_run(source.and(&["--offset", OFFSET]));
        // A variable may have 32 pages, all together a quarter of the stack's limit.
        run.envs((0..14).map(|n| (format!("HUGE{n}"), "x".repeat(120_000))));
        let run = finish(run.arg(clocks()).args(["exec", "2"])).succeeded().quiet();
        assert_realtime_shift(&run.readings(), SHIFT_NS, source.tolerance_ns);
    }
}

#[test]
fn there_may_be_no_environment_and_no_arguments_at_all() {
    let mut run = vdso_run(["--offset", OFFSET]);
    let run = finish(run.env_clear().arg(clocks()).args(["exec", "1"])).succeeded().quiet();
    assert_realtime_shift(&run.readings(), SHIFT_NS, 0);
    // With an empty list of arguments, which the kernel makes one empty argument.
    let run = finish(vdso_run(["--offset", OFFSET]).arg(helper("execs")).arg("bare").arg(clocks()));
    assert_realtime_shift(&run.succeeded().readings(), SHIFT_NS, 0);
}

/// Below a limit on memory that a plain run needs, the program must run, too: perhaps without room
/// for the image, and then with a warning.
#[test]
fn a_program_without_room_for_the_image_runs_untouched() {
    let path = support::program(Program::Exit).expect("it needs gcc alone");
    let limited = |command: &mut Command, pages: u64| {
        let limit = format!("--as={}", pages * 4096);
        finish(command.arg(limit).arg("--").arg(&path))
    };
    let runs = |pages: u64| limited(&mut Command::new("prlimit"), pages).status.success();
    let (mut too_little, mut enough) = (1, 4096);
    assert!(runs(enough), "16 MiB is enough for a program of one page");
    while enough - too_little > 1 {
        let middle = (too_little + enough) / 2;
        *(if runs(middle) { &mut enough } else { &mut too_little }) = middle;
    }
    let mut warnings = 0;
    for pages in enough..enough + 12 {
        for options in [[].as_slice(), &["--source", "chain"]] {
            let run = limited(vdso_run(options).arg("prlimit"), pages);
            assert!(run.status.success(), "{pages} pages, {enough} are enough: {run:#?}");
            if !run.stderr.is_empty() {
                warnings += 1;
                run.said(&["warning", "runs on the kernel's own clocks"]);
            }
        }
    }
    assert!(warnings > 0, "there is no room for an image in {enough} pages");
}

#[test]
fn a_program_without_room_for_a_descriptor_runs() {
    let path = support::program(Program::CStatic).expect("it needs gcc alone");
    for source in Source::all() {
        for limit in ["0:0", "3:3", "4:4"] {
            let mut run = vdso_run(source.and(&["--offset", OFFSET]));
            let run = finish(run.args(["prlimit", &format!("--nofile={limit}"), "--"]).arg(&path));
            let run = run.succeeded();
            let is_untouched = run.stderr.contains("runs on the kernel's own clocks");
            let shift_ns = if is_untouched { 0 } else { SHIFT_NS };
            assert_realtime_shift(&run.readings(), shift_ns, source.tolerance_ns);
            if !is_untouched {
                run.quiet();
            }
        }
    }
}

/// A launcher has a few descriptors for itself. Where it has not, it says so.
#[test]
fn a_launcher_with_few_descriptors_runs_or_says_why_not() {
    let mut failures = Vec::new();
    for limit in [4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 32, 64, 100] {
        for options in [[].as_slice(), &["--no-follow"]] {
            let mut run = Command::new("prlimit");
            run.arg(format!("--nofile={limit}:{limit}")).args([support::VDSO, "run"]).args(options);
            let run = finish(run.args(["--offset", OFFSET, "--"]).arg(clocks()));
            let is_explained = match run.status.code() {
                Some(0) => {
                    assert_realtime_shift(&run.readings(), SHIFT_NS, 0);
                    run.stderr.is_empty()
                }
                Some(125) => limit < 20 && run.stderr.contains("oo many open files"),
                // The dynamic linker itself had no descriptor.
                Some(127) => limit < 6,
                _ => false,
            };
            if !is_explained {
                failures.push(format!("{limit} {options:?}: {}, {}", run.status, run.stderr));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_launcher_that_may_write_no_file_runs_or_says_why_not() {
    // The limit is on the size of files, which the image's file in memory has, too.
    let run =
        finish(Command::new("prlimit").args(["--fsize=0", support::VDSO, "run", "--", "true"]));
    assert!([Some(0), Some(125)].contains(&run.status.code()), "{run:#?}");
    if run.status.code() == Some(125) {
        run.said(&["vdso: error: ", "File too large"]);
    }
}

#[test]
fn a_program_ends_by_its_own_limits_as_ever() {
    let script = "ulimit -t 1; ulimit -c 0; while :; do :; done";
    let run = finish(vdso_run(["--offset", "1y"]).args(["sh", "-c", script]));
    assert_eq!(run.shell_code(), 128 + libc::SIGKILL);
}

/// Only by a filter is it known when such a program begins. How those fare that are followed: `debugging/traced.rs`.
#[test]
fn a_program_that_is_traced_and_not_followed_is_refused() {
    let name = "a_program_that_is_traced_and_not_followed_is_refused";
    if Command::new("strace").arg("-V").output().is_err() {
        return test_support::skip(test_support::Lacking::Tool, name, "no `strace` in PATH");
    }
    let mut run = Command::new("strace");
    run.args(["-f", "-o", "/dev/null", support::VDSO, "run", "--no-follow", "--", "true"]);
    finish(&mut run).exited(125).said(&["vdso: error: cannot trace", "hint", "strace"]);
}

// ---------------------------------------------------------------------------------------------
// One in another

/// What two launches make of each other is not promised, but the inner one's program has what the
/// inner one was asked for, and nobody is told things that are not so.
#[test]
fn the_inner_of_two_launches_decides() {
    const AT_SEC: i128 = 2_147_483_640;
    let folder = clocks().parent().expect("a folder").display().to_string();
    let inner = [support::VDSO, "run", "--at", "2038-01-19T03:14:00Z", "--", "clocks-dynamic"];
    for outer in [["--offset", "1y"].as_slice(), &["--offset", "1y", "--no-follow"]] {
        let start = Instant::now();
        let mut run = vdso_run(outer);
        run.args(inner).env("PATH", format!("/no/such/folder:/usr/bin:/bin:{folder}"));
        let run = finish(&mut run).succeeded();
        let longest_ns = start.elapsed().as_nanos() as i128;
        let now = run.readings().of(Clock::Realtime).next().expect("one").library_ns;
        let after_ns = now - AT_SEC * 1_000_000_000;
        assert!((0..=longest_ns).contains(&after_ns), "{outer:?}: {after_ns}, {run:#?}");
        let wrong = run.stderr.matches("'clocks-dynamic' (pid").count();
        assert_eq!(wrong, 0, "it does not run on the kernel's own clocks: {run:#?}");
        let wrong = run.stderr.matches("kernel's own clocks").count();
        assert_eq!(wrong, 0, "children have the outer one's: {run:#?}");
        let warnings = run.stderr.matches("warning").count();
        assert!(warnings <= 1, "one try each: {run:#?}");
    }
}

#[test]
fn the_helpers_see_no_difference_between_a_killed_and_a_living_launcher() {
    let mut shell = shell_of(Source::AUTO);
    let describe = format!("{} fds", helper("execs").display());
    let before = shell.ask(&describe);
    kill_hard(shell.pid());
    shell.wait();
    assert_eq!(shell.ask(&describe), before);
}

// ---------------------------------------------------------------------------------------------
// File systems

/// A network file system gives up what it waits for when its reader is interrupted: then `execve`
/// fails with EINTR, which it never does otherwise.
#[test]
fn nothing_interrupts_a_program_that_is_executed_from_a_slow_file_system() {
    const TEST: &str = "nothing_interrupts_a_program_that_is_executed_from_a_slow_file_system";
    let program = support::program(Program::CStatic).expect("it needs gcc alone");
    let folder = support::scratch();
    let file = folder.path().join("program");
    let slow = |command: &mut Command| {
        let mut run = Command::new(helper("slow_fuse"));
        run.arg(&program).arg(folder.path()).arg(command.get_program()).args(command.get_args());
        finish(&mut run)
    };
    let plain = slow(&mut Command::new(&file));
    if plain.status.code() == Some(NO_FUSE) {
        return test_support::skip(Lacking::Privilege, TEST, plain.stderr.trim());
    }
    assert_realtime_shift(&plain.succeeded().quiet().readings(), 0, 0);
    for options in [[].as_slice(), &["--no-follow"]] {
        let mut run = vdso_run([&["--offset", OFFSET], options].concat());
        let run = slow(run.arg(&file)).succeeded().quiet();
        assert_realtime_shift(&run.readings(), SHIFT_NS, 0);
    }
    for script in [r#"exec "$0""#, r#""$0"; exit $?"#] {
        let mut run = vdso_run(["--offset", OFFSET]);
        let run = slow(run.args(["sh", "-c", script]).arg(&file)).succeeded().quiet();
        assert_realtime_shift(&run.readings(), SHIFT_NS, 0);
    }
}

/// Nor when its supervisors are killed meanwhile: where the old program is gone already, an interruption
/// would end the new one by SIGSEGV.
#[test]
fn a_program_that_is_executed_from_a_slow_file_system_outlives_its_supervisors() {
    const TEST: &str =
        "a_program_that_is_executed_from_a_slow_file_system_outlives_its_supervisors";
    // Reading the program takes some fifteen times 50 ms.
    const SCRIPT: &str = r#"
        "$@" & front=$!
        for kill in 1 2 3 4 5 6; do
            sleep .1
            for child in $(cat /proc/$front/task/$front/children 2>/dev/null); do
                if [ "$(cat /proc/$child/comm 2>/dev/null)" = vdso ]; then kill -KILL $child; fi
            done
        done
        wait $front"#;
    let program = support::program(Program::CStatic).expect("it needs gcc alone");
    let folder = support::scratch();
    let below = ["sh", "-c", r#""$0"; exit $?"#];
    for wrapper in [[].as_slice(), &below] {
        let mut command = Command::new(helper("slow_fuse"));
        command.arg(&program).arg(folder.path()).args(["sh", "-c", SCRIPT, "sh", support::VDSO]);
        command.args(["run", "--offset", OFFSET]).args(wrapper);
        let run = finish(command.arg(folder.path().join("program")));
        if run.status.code() == Some(NO_FUSE) {
            return test_support::skip(Lacking::Privilege, TEST, run.stderr.trim());
        }
        let run = run.succeeded().quiet();
        assert_realtime_shift(&run.readings(), SHIFT_NS, 0);
    }
}

/// In [`hanging`]: the file system could not be mounted.
const NO_FUSE: i32 = 77;

/// A shell's script below `launcher`, in a file system that does not answer when `$1/stuck` is looked up, and
/// makes the file `$STUCK` then. `$2` is a program.
#[track_caller]
fn hanging(launcher: &Command, script: &str) -> Finished {
    let program = support::program(Program::CStatic).expect("it needs gcc alone");
    let (folder, other) = (support::scratch(), support::scratch());
    let mut command = Command::new(helper("slow_fuse"));
    command.env("STUCK", other.path().join("asked")).arg(&program).arg(folder.path());
    command.arg(launcher.get_program()).args(launcher.get_args());
    command.args(["sh", "-c", script, "sh"]).arg(folder.path()).arg(&program);
    finish(&mut command)
}

/// A server that does not answer holds whoever asks it, and nobody else.
#[test]
fn a_file_system_that_hangs_holds_nobody_but_those_who_execute_from_it() {
    const TEST: &str = "a_file_system_that_hangs_holds_nobody_but_those_who_execute_from_it";
    const SCRIPT: &str = r#"
        "$1/stuck" & stuck=$!
        while ! [ -e "$STUCK" ]; do :; done
        "$2"; code=$?
        kill -KILL $stuck
        exit $code"#;
    let plain = hanging(&Command::new("env"), SCRIPT);
    if plain.status.code() == Some(NO_FUSE) {
        return test_support::skip(Lacking::Privilege, TEST, plain.stderr.trim());
    }
    assert_realtime_shift(&plain.succeeded().quiet().readings(), 0, 0);
    let run = hanging(&vdso_run(["--offset", OFFSET]), SCRIPT).succeeded().quiet();
    assert_realtime_shift(&run.readings(), SHIFT_NS, 0);
}

/// More than can be in work at a time wait for the others, which is not the supervisor's fault.
#[test]
fn a_supervisor_with_too_much_in_work_is_not_taken_for_one_that_stands_still() {
    const TEST: &str = "a_supervisor_with_too_much_in_work_is_not_taken_for_one_that_stands_still";
    // The shell's parent is the supervisor.
    const SCRIPT: &str = r#"
        parent() { while read key value; do
            if [ "$key" = PPid: ]; then echo "$value"; fi
        done < /proc/$$/status; }
        before=$(parent)
        sleep 6 & sleeps=$!
        stuck=
        i=0; while [ $i -lt 530 ]; do "$1/stuck" & stuck="$stuck $!"; i=$((i + 1)); done
        wait $sleeps
        after=$(parent)
        kill -KILL $stuck
        if [ "$after" = "$before" ]; then "$2"; fi"#;
    let run = hanging(&vdso_run(["--offset", OFFSET]), SCRIPT);
    if run.status.code() == Some(NO_FUSE) {
        return test_support::skip(Lacking::Privilege, TEST, run.stderr.trim());
    }
    assert_realtime_shift(&run.succeeded().readings(), SHIFT_NS, 0);
}
