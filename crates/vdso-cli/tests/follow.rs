//! The clock follows a program through all that comes of it: forks, threads, execs in all their
//! ways, scripts, shells, `make`, daemons; and it stays behind where it is told to.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::processes::wait_until;
use support::{
    Source, assert_realtime_shift, clocks, copy_into, finish, finish_with_input, helper, program,
    scratch, vdso_run, write_script,
};
use test_support::{Program, Readings};

const OFFSET: &str = "1234567s";
const SHIFT_NS: i128 = 1_234_567_000_000_000;

/// Lines that the C program prints at a time.
const LINES: usize = 9;

/// `vdso run` with the offset, and the source chosen.
fn shifted() -> Command {
    vdso_run(["--offset", OFFSET])
}

/// Runs a command whose every clock must be shifted, `times` lines of them.
#[track_caller]
fn check(command: &mut Command, lines: usize, tolerance_ns: i128) {
    let run = finish(command).succeeded().quiet();
    let readings = run.readings();
    assert_eq!(readings.iter().count(), lines, "{run:#?}");
    assert_realtime_shift(&readings, SHIFT_NS, tolerance_ns);
}

/// What `sh` is given to do, with the C program in `$CLOCKS`.
fn shell(name: &str, script: &str) -> Command {
    let mut command = shifted();
    command.args([name, "-c", script]).env("CLOCKS", clocks());
    command
}

#[test]
fn every_build_follows_itself_through_forks_and_execs_with_every_source() {
    let modes: [(&[&str], usize); 4] = [
        (&["exec", "20"], 21 * LINES),
        (&["fork", "50"], 50),
        (&["vfork"], LINES),
        (&["threads", "8"], 8 * LINES),
    ];
    let builds = Program::C.into_iter().filter(support::gets_clocks);
    for path in builds.filter_map(program) {
        for source in Source::all() {
            for (mode, lines) in modes {
                let options = source.and(&["--offset", OFFSET]);
                check(vdso_run(options).arg(&path).args(mode), lines, source.tolerance_ns);
            }
        }
    }
}

#[test]
fn eight_threads_that_fork_and_exec_at_once_all_get_the_clock() {
    for _ in 0..20 {
        check(shifted().arg(clocks()).args(["threads", "8"]), 8 * LINES, 0);
    }
}

#[test]
fn an_exec_from_a_thread_that_is_not_the_first_is_followed() {
    for _ in 0..20 {
        check(shifted().arg(helper("execs")).arg("thread").arg(clocks()), LINES, 0);
    }
}

#[test]
fn threads_that_all_exec_at_once_become_one_program_and_nobody_complains() {
    const ROUNDS: usize = 100;
    let rounds = ROUNDS.to_string();
    let mut race = shifted();
    check(race.arg(helper("execs")).args(["race", &rounds]).arg(clocks()), ROUNDS * LINES, 0);
}

#[test]
fn an_exec_by_descriptor_is_followed() {
    check(shifted().arg(helper("execs")).arg("fd").arg(clocks()), LINES, 0);
    let path = clocks();
    let (folder, name) = (path.parent().expect("a folder"), path.file_name().expect("a name"));
    check(shifted().arg(helper("execs")).arg("at").arg(folder).arg(name), LINES, 0);
}

#[test]
fn signals_at_any_moment_of_an_exec_change_nothing() {
    check(shifted().arg(helper("execs")).args(["storm", "50"]).arg(clocks()), 50 * LINES, 0);
}

#[test]
fn programs_killed_at_any_moment_of_an_exec_do_no_harm_to_others() {
    let script = r#"
        "$EXECS" die 200 "$CLOCKS" >/dev/null &
        for i in 1 2 3 4 5 6 7 8 9 10; do "$CLOCKS"; done
        wait $! && exec "$CLOCKS""#;
    check(shell("bash", script).env("EXECS", helper("execs")), 11 * LINES, 0);
}

#[test]
fn a_script_is_followed_into_its_interpreter() {
    let folder = scratch();
    let script = program(Program::Script).expect("it needs sh alone");
    check(shifted().arg(&script), LINES, 0);
    // An interpreter that is a script itself; what the C program makes of it is `loop 1`.
    write_script(&folder.path().join("1"), &format!("#!{} loop\n", script.display()));
    check(shifted().arg("1").current_dir(folder.path()).env("PATH", ":/usr/bin:/bin"), LINES, 0);
    // `#!/usr/bin/env sh` goes through one more exec.
    let env = folder.path().join("env");
    write_script(&env, &format!("#!/usr/bin/env sh\nexec {}\n", clocks().display()));
    check(shifted().arg(&env), LINES, 0);
}

#[test]
fn a_script_without_an_interpreter_line_is_run_by_sh() {
    let folder = scratch();
    let script = folder.path().join("bare");
    write_script(&script, &format!("{} && exec {0}\n", clocks().display()));
    check(shifted().arg(&script), 2 * LINES, 0);
    for launcher in [["sh", "-c"], ["bash", "-c"], ["env", "--"]] {
        check(shifted().args(launcher).arg(&script), 2 * LINES, 0);
    }
}

#[test]
fn a_program_is_found_in_the_path_after_misses() {
    let folder = scratch();
    let name = "vdso-test-program";
    for (sub, mode) in [("data", 0o644), ("good", 0o755)] {
        let place = folder.path().join(sub);
        fs::create_dir(&place).expect("a folder");
        let copy = copy_into(&place, &clocks(), mode);
        fs::rename(copy, place.join(name)).expect("one folder");
    }
    // Neither a folder of this name nor a file that cannot be executed is the program.
    fs::create_dir_all(folder.path().join("folder").join(name)).expect("a folder");
    let at = folder.path().display();
    let path = format!("/no/such/folder:{at}/folder:{at}/data:{at}:{at}/good:/usr/bin:/bin");
    check(shifted().arg(name).env("PATH", &path), LINES, 0);
    for launcher in ["env", "nice", "setsid"] {
        check(shifted().args([launcher, name]).env("PATH", &path), LINES, 0);
    }
    check(
        shifted().args(["sh", "-c", &format!("{name}; {name}")]).env("PATH", &path),
        2 * LINES,
        0,
    );
}

#[test]
fn wrappers_hand_the_clock_on() {
    let clocks = clocks();
    let wrappers: [&[&str]; 11] = [
        &["env", "A=b"],
        &["nice", "-n", "1"],
        &["setsid", "--wait"],
        &["nohup"],
        &["timeout", "60"],
        &["stdbuf", "-oL"],
        &["xargs", "-r"],
        &["sh", "-c", r#""$0""#],
        &["bash", "-c", r#"exec "$0""#],
        &["perl", "-e", "exec @ARGV"],
        &["python3", "-c", "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"],
    ];
    for wrapper in wrappers {
        if wrapper[0] == "xargs" {
            let run = finish_with_input(shifted().args(wrapper).arg(&clocks), b"loop 1\n");
            assert_realtime_shift(&run.succeeded().quiet().readings(), SHIFT_NS, 0);
        } else {
            check(shifted().args(wrapper).arg(&clocks), LINES, 0);
        }
    }
}

#[test]
fn make_runs_its_jobs_side_by_side() {
    let folder = scratch();
    let makefile = format!(
        "TARGETS := $(shell seq 50)\nall: $(TARGETS)\n$(TARGETS):\n\t@{}\n.PHONY: all $(TARGETS)\n",
        clocks().display()
    );
    fs::write(folder.path().join("Makefile"), makefile).expect("a file");
    check(shifted().args(["make", "-j4", "-C"]).arg(folder.path()).arg("-s"), 50 * LINES, 0);
}

#[test]
fn pipelines_substitutions_and_jobs_of_a_shell_are_followed() {
    check(&mut shell("bash", r#""$CLOCKS" | cat | tac | sort"#), LINES, 0);
    check(&mut shell("bash", r#"a=$("$CLOCKS"); echo "$a"; cat <("$CLOCKS")"#), 2 * LINES, 0);
    check(&mut shell("bash", r#"("$CLOCKS") & ("$CLOCKS") & { "$CLOCKS"; } & wait"#), 3 * LINES, 0);
    check(&mut shell("sh", r#"seq 20 | xargs -P4 -n1 sh -c '"$CLOCKS"'"#), 20 * LINES, 0);
    check(&mut shell("bash", r#"coproc "$CLOCKS"; cat <&"${COPROC[0]}""#), LINES, 0);
}

#[test]
fn bash_reads_the_clock_itself_in_every_subshell() {
    let script = r#"
        printf -v a '%(%Y)T' -1
        b=$(printf '%(%Y)T' -1)
        c=$(date +%Y)
        echo "$a $b $c ${EPOCHSECONDS:0:4}""#;
    let run = finish(vdso_run(["--at", "2100-06-01"]).args(["bash", "-c", script]));
    assert_eq!(run.succeeded().quiet().stdout, "2100 2100 2100 4115\n");
}

#[test]
fn a_daemon_keeps_its_clock_and_keeps_nobody_waiting() {
    let folder = scratch();
    // A copy whose processes can be told from those of other tests.
    let vdso = copy_into(folder.path(), Path::new(support::VDSO), 0o755);
    for source in Source::all() {
        let script = r#"
            setsid sh -c '
                until [ -e go ]; do sleep 0.01; done
                "$CLOCKS" >draft && "$CLOCKS" >>draft && mv draft out
            ' </dev/null >/dev/null 2>&1 &
            exit 7"#;
        let mut run = Command::new(&vdso);
        run.arg("run").args(source.and(&["--offset", OFFSET, "--", "sh", "-c", script]));
        // It ends, and so do its output and its complaints, although the daemon lives.
        finish(run.current_dir(folder.path()).env("CLOCKS", clocks())).exited(7).quiet();
        support::processes::wait_until("a supervisor for the daemon, and its standby", || {
            processes_of(&vdso) == 2
        });
        fs::write(folder.path().join("go"), "").expect("a file");
        let out = folder.path().join("out");
        wait_until("the daemon's clocks", || out.exists());
        let readings = Readings::parse(&fs::read_to_string(&out).expect("it is there"));
        let readings = readings.expect("clocks");
        assert_eq!(readings.iter().count(), 2 * LINES);
        assert_realtime_shift(&readings, SHIFT_NS, source.tolerance_ns);
        wait_until("the end of the supervisor", || processes_of(&vdso) == 0);
        for name in ["go", "out"] {
            fs::remove_file(folder.path().join(name)).expect("it is there");
        }
    }
}

/// How many processes execute this file.
fn processes_of(path: &Path) -> usize {
    let processes = fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    processes.filter(|p| fs::read_link(p.path().join("exe")).is_ok_and(|exe| exe == path)).count()
}

#[test]
fn nothing_of_ours_is_left_when_all_has_ended() {
    let folder = scratch();
    let vdso = copy_into(folder.path(), Path::new(support::VDSO), 0o755);
    for source in Source::all() {
        let mut run = Command::new(&vdso);
        run.arg("run").args(source.options).arg("--").arg(clocks()).args(["threads", "4"]);
        finish(&mut run).succeeded();
        wait_until("the end of the supervisor", || processes_of(&vdso) == 0);
    }
}

#[test]
fn an_exec_that_fails_fails_as_ever_and_leaves_nothing_behind() {
    let plain = finish(Command::new(helper("execs")).arg("fail")).succeeded();
    assert!(plain.stdout.contains("ENOENT") && plain.stdout.contains("FD 2"), "{plain:#?}");
    for source in Source::all() {
        let run = finish(vdso_run(source.options).arg(helper("execs")).arg("fail"));
        assert_eq!(run.succeeded().quiet().stdout, plain.stdout, "source {}", source.name);
    }
}

#[test]
fn a_program_has_the_descriptors_of_a_plain_run() {
    let plain = finish(Command::new(helper("execs")).arg("fds")).succeeded();
    for options in [[].as_slice(), &["--no-follow"], &["--source", "own"], &["-v"]] {
        let run = finish(vdso_run(options).arg(helper("execs")).arg("fds")).succeeded();
        assert_eq!(run.stdout, plain.stdout, "{options:?}");
        // And one that it executes.
        let command = r#""$0" fds"#;
        let run = finish(vdso_run(options).args(["sh", "-c", command]).arg(helper("execs")));
        assert_eq!(run.succeeded().stdout, plain.stdout, "{options:?}");
    }
}

#[test]
fn without_following_only_the_program_itself_has_the_clock() {
    for source in Source::all() {
        let options = source.and(&["--offset", OFFSET, "--no-follow"]);
        let run = finish(vdso_run(&options).arg(clocks()).args(["exec", "1"])).succeeded().quiet();
        let (first, second): (Vec<_>, Vec<_>) =
            run.stdout.lines().enumerate().partition(|(line, _)| *line < LINES);
        let part = |lines: Vec<(usize, &str)>| {
            let lines: Vec<&str> = lines.into_iter().map(|(_, line)| line).collect();
            Readings::parse(&lines.join("\n")).expect("clocks")
        };
        assert_realtime_shift(&part(first), SHIFT_NS, source.tolerance_ns);
        assert_realtime_shift(&part(second), 0, 0);
        // A fork is no exec.
        check(vdso_run(&options).arg(clocks()).args(["fork", "5"]), 5, source.tolerance_ns);
        let run = finish(vdso_run(&options).arg(clocks()).args(["threads", "8"]));
        assert_realtime_shift(&run.succeeded().quiet().readings(), 0, 0);
    }
}

/// A call that fails leaves its process traced for a moment, and some waits are given up when that ends.
#[test]
fn nothing_is_interrupted_after_an_exec_that_has_failed() {
    const WAYS: usize = 4;
    let waits = |command: &mut Command| {
        let run = finish(command.arg(helper("failed_exec")).arg(clocks())).succeeded().quiet();
        let (end, _) = run.stdout.match_indices('\n').nth(WAYS - 1).expect("a line for each");
        let (waits, rest) = run.stdout.split_at(end + 1);
        (waits.to_owned(), rest.to_owned())
    };
    let (plain, _) = waits(&mut Command::new("env"));
    let (followed, clocks) = waits(&mut shifted());
    assert_eq!(followed, plain);
    assert_realtime_shift(&Readings::parse(&clocks).expect("clocks"), SHIFT_NS, 0);
}
