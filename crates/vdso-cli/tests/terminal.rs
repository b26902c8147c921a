//! In a terminal, `vdso run` is not there: exit codes, signals, job control, input and output are as
//! without it.

mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use support::processes::{state_of, wait_until};
use support::shell::Shell;
use support::terminal::{BASH_OPTIONS, END, INTERRUPT, QUIT, SUSPEND, Terminal};
use support::{finish, finish_with_input, helper, scratch, vdso_run, write_script};

// ---------------------------------------------------------------------------------------------
// How it ends

#[test]
fn every_exit_code_passes_through() {
    let mut bash = Terminal::bash();
    bash.line(
        r#"for i in {0..255}; do $V sh -c "exit $i"; [ $? = $i ] || echo "ba""d $i"; done; echo "do""ne""#,
    );
    let before = bash.expect("done");
    assert!(!before.contains("bad"), "{before}");
}

#[test]
fn a_deadly_signal_ends_it_as_it_ends_a_plain_run() {
    let deadly = (1..=64).filter(|n| ![17, 18, 19, 20, 21, 22, 23, 28].contains(n));
    for signal in deadly {
        let script = format!("ulimit -c 0; kill -{signal} $$; exit 0");
        let plain = finish(Command::new("sh").args(["-c", &script]));
        let run = finish(vdso_run(["--offset", "1y"]).args(["sh", "-c", &script]));
        // A C library may start its children with signals of its own blocked.
        let is_the_librarys = [32, 33].contains(&signal);
        assert!(plain.status.signal() == Some(signal) || is_the_librarys, "{plain:#?}");
        assert_eq!(run.status.signal(), plain.status.signal(), "{run:#?}");
        run.quiet();
    }
}

#[test]
fn a_core_is_dumped_of_the_program_alone_and_the_status_says_so() {
    let crash = |mut command: Command| {
        let folder = scratch();
        command.args(["sh", "-c", "ulimit -c unlimited && kill -SEGV $$"]);
        let run = finish(command.current_dir(folder.path()));
        let files = fs::read_dir(folder.path()).expect("a folder").count();
        (run.status, files)
    };
    let (plain, plain_files) = crash(Command::new("env"));
    let (run, files) = crash(vdso_run(["--offset", "1y"]));
    assert_eq!(plain.signal(), Some(libc::SIGSEGV));
    assert_eq!(run.signal(), plain.signal());
    // With a limit of 0, which root may have above it, or a pattern elsewhere there is none in either.
    assert_eq!(files, plain_files);
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").expect("it can be read");
    let is_piped = pattern.starts_with(['|', '@']);
    let has_mounts = finish(Command::new("unshare").args(["-m", "true"])).status.success()
        || finish(Command::new("unshare").args(["-Um", "true"])).status.success();
    if is_piped || !has_mounts {
        let why = "core_pattern is a pipe, or nobody may mount: the status cannot say it";
        test_support::skip(test_support::Lacking::Kernel, "the core flag of a status", why);
        return;
    }
    assert_eq!(run, plain);
}

// ---------------------------------------------------------------------------------------------
// Signals from the terminal

/// What is put in front of a command: nothing, to see that the test is right, and `vdso run`.
const PREFIXES: [&str; 2] = ["", "$V "];

/// A program that says that it is there, and then sleeps. The terminal echoes what is typed, so
/// whatever is waited for is typed in two parts.
const SLEEPER: &str = r#"sh -c 'echo "rea""dy"; exec sleep 1000'"#;

/// A program that counts a signal until it reads `end`.
fn counter(signal: i32) -> String {
    format!("{} {signal}", helper("count").display())
}

#[test]
fn an_interrupt_ends_the_program() {
    for prefix in PREFIXES {
        for (key, code) in [(INTERRUPT, 130), (QUIT, 131)] {
            let mut bash = Terminal::bash();
            bash.line("ulimit -c 0");
            bash.expect("$ ");
            bash.line(&format!("{prefix}{SLEEPER}"));
            bash.expect("ready");
            bash.keys(key);
            bash.expect("$ ");
            assert_eq!(bash.last_code(), code, "{prefix}");
        }
    }
}

#[test]
fn an_interrupt_ends_a_loop_of_the_shell_as_it_does_in_a_plain_run() {
    let has_gone_on = |prefix: &str| {
        let mut bash = Terminal::bash();
        bash.line(&format!(r#"for i in 1; do {prefix}{SLEEPER}; echo "af""ter"; done"#));
        bash.expect("ready");
        bash.keys(INTERRUPT);
        bash.expect("$ ").contains("after")
    };
    let [plain, run] = PREFIXES.map(has_gone_on);
    assert_eq!(run, plain, "whether bash goes on after a program that died of ^C");
}

#[test]
fn an_interrupt_ends_a_script_as_it_does_in_a_plain_run() {
    let folder = scratch();
    let has_gone_on = |prefix: &str| {
        let script = folder.path().join("script");
        write_script(&script, &format!("#!/bin/bash\n{prefix}{SLEEPER}\necho after\n"));
        let mut bash = Terminal::bash();
        bash.line(&script.display().to_string());
        bash.expect("ready");
        bash.keys(INTERRUPT);
        bash.expect("$ ").contains("after")
    };
    let [plain, run] = PREFIXES.map(has_gone_on);
    assert_eq!(run, plain, "whether a script goes on after a program that died of ^C");
}

#[test]
fn a_program_that_handles_an_interrupt_gets_it_once() {
    for prefix in PREFIXES {
        let mut bash = Terminal::bash();
        bash.line(&format!("{prefix}{}", counter(libc::SIGINT)));
        bash.expect("go\r\n");
        for round in 1..=3 {
            bash.keys(INTERRUPT);
            bash.expect(&format!("got {round} value 0\r\n"));
        }
        bash.line("end");
        bash.expect("total 3\r\n");
        bash.expect("$ ");
        assert_eq!(bash.last_code(), 0, "{prefix}");
    }
}

#[test]
fn a_change_of_the_terminals_size_reaches_the_program_once() {
    for prefix in PREFIXES {
        let mut bash = Terminal::bash();
        bash.line(&format!("{prefix}{}", counter(libc::SIGWINCH)));
        bash.expect("go\r\n");
        for (round, columns) in [(1, 81), (2, 132)] {
            bash.resize(40, columns);
            bash.expect(&format!("got {round} value 0\r\n"));
        }
        bash.line("end");
        bash.expect("total 2\r\n");
        bash.line(&format!("{prefix}stty size"));
        bash.expect("40 132\r\n");
    }
}

#[test]
fn the_end_of_the_terminal_hangs_the_program_up() {
    let folder = scratch();
    let hung_up = folder.path().join("hung-up");
    let script = folder.path().join("script");
    let text = format!(
        "#!/bin/sh\ntrap 'echo >{}; exit' HUP\necho ready\nwhile :; do sleep 0.05; done\n",
        hung_up.display()
    );
    write_script(&script, &text);
    for prefix in PREFIXES {
        // From a shell.
        let mut bash = Terminal::bash();
        bash.line(&format!("{prefix}{}", script.display()));
        bash.expect("ready");
        bash.hang_up();
        wait_until("the hang-up", || hung_up.exists());
        fs::remove_file(&hung_up).expect("it is there");
    }
    // As the terminal's first program.
    let mut first = Terminal::start(vdso_run(["--offset", "1y"]).arg(&script));
    first.expect("ready");
    first.hang_up();
    wait_until("the hang-up", || hung_up.exists());
}

// ---------------------------------------------------------------------------------------------
// Job control

#[test]
fn a_job_stops_and_comes_back() {
    for prefix in PREFIXES {
        let mut bash = Terminal::bash();
        bash.line(&format!("{prefix}cat"));
        for round in 1..=4 {
            bash.line(&format!("line{round}"));
            // The terminal's echo, and cat's.
            bash.expect(&format!("line{round}\r\nline{round}\r\n"));
            bash.suspend_reader("$ ");
            assert_eq!(bash.code_of("jobs | grep -c Stopped >/dev/null"), 0);
            bash.expect("$ ");
            bash.line("fg");
            bash.expect("cat\r\n");
        }
        bash.line("last");
        bash.expect("last\r\nlast\r\n");
        bash.keys(END);
        bash.expect("$ ");
        assert_eq!(bash.last_code(), 0, "{prefix}");
    }
}

#[test]
fn a_job_stops_and_comes_back_when_the_supervisor_stands_still() {
    let mut bash = Terminal::bash();
    // Its parent is the supervisor.
    bash.line(r#"$V sh -c 'kill -STOP $PPID; echo "rea""dy"; read line; exit 6'"#);
    bash.expect("ready");
    bash.keys(SUSPEND);
    bash.expect("Stopped");
    bash.expect("$ ");
    bash.line("fg");
    bash.expect("exit 6'\r\n");
    bash.line("word");
    bash.expect("$ ");
    assert_eq!(bash.last_code(), 6);
}

#[test]
fn a_stopped_job_goes_on_in_the_background() {
    let folder = scratch();
    let go = folder.path().join("go");
    let script = folder.path().join("script");
    // It waits without a child: one of vfork's that is stopped before its exec keeps its parent from
    // stopping, with vdso as without.
    let text = format!("#!/bin/sh\necho ready\nread line <{}\nexit 5\n", go.display());
    write_script(&script, &text);
    nix::unistd::mkfifo(&go, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    for prefix in PREFIXES {
        let mut bash = Terminal::bash();
        bash.line(&format!("{prefix}{}", script.display()));
        bash.expect("ready");
        bash.keys(SUSPEND);
        bash.expect("Stopped");
        bash.expect("$ ");
        bash.line("bg");
        bash.expect("&\r\n");
        fs::write(&go, "go\n").expect("a line");
        assert_eq!(bash.code_of("wait %1"), 5, "{prefix}");
    }
}

#[test]
fn a_program_that_stops_itself_stops_its_job() {
    for prefix in PREFIXES {
        for signal in ["STOP", "TSTP", "TTIN"] {
            let mut bash = Terminal::bash();
            bash.line(&format!("{prefix}sh -c 'kill -{signal} $$; exit 4'"));
            bash.expect("Stopped");
            bash.expect("$ ");
            assert_eq!(bash.code_of("fg"), 4, "{prefix}{signal}");
        }
    }
}

#[test]
fn a_background_job_that_reads_waits_to_be_brought_to_the_front() {
    for prefix in PREFIXES {
        let mut bash = Terminal::bash();
        bash.line(&format!("{prefix}cat &"));
        bash.expect("$ ");
        assert_eq!(bash.code_of("until jobs | grep -q Stopped; do sleep 0.02; done"), 0);
        bash.expect("$ ");
        bash.line("fg");
        bash.expect("cat\r\n");
        bash.line("word");
        bash.expect("word\r\nword\r\n");
        bash.keys(END);
        bash.expect("$ ");
        assert_eq!(bash.last_code(), 0, "{prefix}");
    }
}

/// Starts an interactive bash below another.
#[track_caller]
fn bash_inside(prefix: &str) -> Terminal {
    let mut bash = Terminal::bash();
    bash.line(&format!("PS1='in''side> ' {prefix}bash {}", BASH_OPTIONS.join(" ")));
    bash.expect("inside> ");
    bash
}

#[test]
fn a_shell_inside_has_jobs_of_its_own() {
    for prefix in PREFIXES {
        let mut bash = bash_inside(prefix);
        // ^C at the prompt is the inner shell's.
        bash.keys(INTERRUPT);
        bash.expect("inside> ");
        bash.line("cat");
        bash.line("first");
        bash.expect("first\r\nfirst\r\n");
        bash.suspend_reader("inside> ");
        bash.line("date +%s >/dev/null; fg");
        bash.expect("cat\r\n");
        bash.line("second");
        bash.expect("second\r\nsecond\r\n");
        bash.keys(INTERRUPT);
        bash.expect("inside> ");
        assert_eq!(bash.last_code(), 130, "{prefix}");
        bash.line("exit 3");
        // The outer shell has its terminal again.
        bash.expect("$ ");
        assert_eq!(bash.last_code(), 3, "{prefix}");
    }
}

#[test]
fn a_shell_inside_can_be_suspended_and_comes_back() {
    for prefix in PREFIXES {
        let mut bash = bash_inside(prefix);
        for _ in 0..2 {
            bash.line("suspend");
            bash.expect("Stopped");
            bash.expect("$ ");
            bash.line("fg");
            bash.expect("bash");
            bash.line("");
            bash.expect("inside> ");
        }
        bash.line("exit 3");
        bash.expect("$ ");
        assert_eq!(bash.last_code(), 3, "{prefix}");
    }
}

#[test]
fn a_shell_may_be_the_terminals_first_program() {
    let mut bash = Terminal::start(vdso_run(["--offset", "1y"]).arg("bash").args(BASH_OPTIONS));
    bash.expect("$ ");
    bash.keys(INTERRUPT);
    bash.expect("$ ");
    bash.line(SLEEPER);
    bash.expect("ready");
    bash.keys(SUSPEND);
    bash.expect("Stopped");
    // It must be gone, or the shell stays for it.
    bash.code_of("kill %1; while kill -0 %1 2>&-; do sleep 0.01; done");
    bash.line("exit 6");
    assert_eq!(bash.wait().code(), Some(6));
}

#[test]
fn a_program_has_the_terminal_of_a_plain_run() {
    for prefix in PREFIXES {
        let mut bash = Terminal::bash();
        let state = helper("state");
        bash.line(&format!("{prefix}{} | grep ^session", state.display()));
        bash.expect("\nsession ");
        let line = bash.expect("\r\n");
        let fields: Vec<&str> = line.split(' ').collect();
        let [session, "group", group, "terminal", "yes", "foreground", foreground] = fields[..]
        else {
            panic!("{prefix}: {line:?}")
        };
        assert_eq!(session.parse(), Ok(bash.pid().as_raw()), "{prefix}: {line}");
        assert_eq!(group, foreground, "{prefix}");
    }
}

// ---------------------------------------------------------------------------------------------
// Signals to the launcher

#[test]
fn a_signal_to_the_launcher_reaches_the_program_once() {
    use libc::{SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
    for signal in [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH] {
        pass_on(signal);
    }
}

#[test]
fn a_real_time_signal_to_the_launcher_reaches_the_program_once() {
    for signal in [libc::SIGRTMIN(), libc::SIGRTMIN() + 5, libc::SIGRTMAX()] {
        pass_on(signal);
    }
}

#[track_caller]
fn pass_on(signal: i32) {
    let mut run = vdso_run(["--offset", "1y"]);
    let mut run = Shell::start(run.arg(helper("count")).arg(signal.to_string()));
    run.read_to("go\n");
    let launcher = run.pid().to_string();
    finish(Command::new("kill").args([&format!("-{signal}"), &launcher])).succeeded();
    run.read_to("got 1 value 0\n");
    run.send("end");
    assert_eq!(run.read_to_end(), "total 1\n", "signal {signal}");
    assert_eq!(run.wait().code(), Some(0), "signal {signal}");
}

#[test]
fn a_deadly_signal_to_the_launcher_ends_the_program() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        let mut run = Shell::start(vdso_run(["--offset", "1y"]).arg("cat"));
        run.send("ready");
        run.read_to("ready\n");
        kill(run.pid(), signal).expect("it runs");
        run.read_to_end();
        let status = run.wait();
        let shown = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        assert_eq!(shown, code);
    }
}

#[test]
fn the_launcher_can_be_stopped_and_continued() {
    let mut run = Shell::start(vdso_run(["--offset", "1y"]).arg("cat"));
    run.send("ready");
    run.read_to("ready\n");
    let launcher = run.pid();
    let program = support::processes::program_of(launcher, "cat");
    for _ in 0..3 {
        kill(launcher, Signal::SIGTSTP).expect("it runs");
        wait_until("the program stops", || state_of(program) == Some('T'));
        wait_until("the launcher stops", || state_of(launcher) == Some('T'));
        kill(launcher, Signal::SIGCONT).expect("it runs");
        wait_until("the launcher goes on", || state_of(launcher) != Some('T'));
        wait_until("the program goes on", || state_of(program) != Some('T'));
        run.send("word");
        run.read_to("word\n");
    }
    run.close_input();
    assert_eq!(run.wait().code(), Some(0));
}

// ---------------------------------------------------------------------------------------------
// Input and output

#[test]
fn input_and_its_end_pass_through() {
    let text: &[u8] = b"one\ntwo\n\0\xff no newline";
    let run = finish_with_input(vdso_run(["--offset", "1y"]).arg("cat"), text).succeeded().quiet();
    assert_eq!(run.stdout, String::from_utf8_lossy(text));
    let run = finish(vdso_run(["--offset", "1y"]).args(["wc", "-c"])).succeeded();
    assert_eq!(run.stdout, "0\n");
    let mut bash = Terminal::bash();
    bash.line("$V wc -l");
    bash.line("a");
    bash.keys(END);
    bash.expect("\n1\r\n");
    bash.expect("$ ");
    assert_eq!(bash.last_code(), 0);
}

#[test]
fn a_pipe_breaks_as_ever() {
    for script in [
        "yes | $V head -1; echo ${PIPESTATUS[*]}",
        "$V yes | head -1; echo ${PIPESTATUS[*]}",
        "$V yes | $V head -1; echo ${PIPESTATUS[*]}",
        "$V sh -c 'yes | head -1'; echo ${PIPESTATUS[*]}",
    ] {
        let output = |prefix: &str| {
            let mut bash = Command::new("bash");
            finish(bash.args(["-c", script]).env("V", prefix)).succeeded().quiet().stdout
        };
        let run = output(&format!("{} run --offset 1y --", support::VDSO));
        assert_eq!(run, output("env"), "{script}");
    }
}

#[test]
fn a_pipe_that_the_program_lets_go_of_ends() {
    let folder = support::scratch();
    for script in [
        "{ yes; echo gone >fifo; } | $V bash -c 'exec <&-; cat fifo'",
        "$V bash -c 'exec >&-; cat fifo >&2' | { cat; echo gone >fifo; }",
    ] {
        let mut bash = Command::new("bash");
        bash.args(["-c", &format!("rm -f fifo && mkfifo fifo && {script} 2>&1")]);
        bash.env("V", format!("{} run --offset 1y --", support::VDSO));
        let run = finish(bash.current_dir(folder.path())).succeeded();
        assert_eq!(run.stdout + &run.stderr, "gone\n", "{script}");
    }
}
