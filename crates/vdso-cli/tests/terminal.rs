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
use support::{finish, finish_with_input, helper, scratch, vdso_run};

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
fn a_deadly_signal_gives_128_and_its_number_as_in_a_plain_run() {
    let deadly = (1..=31).filter(|n| ![17, 18, 19, 20, 21, 22, 23, 28].contains(n)).chain([34, 64]);
    for signal in deadly {
        let script = format!("ulimit -c 0; kill -{signal} $$; exit 0");
        let plain = finish(Command::new("sh").args(["-c", &script]));
        let run = finish(vdso_run(["--offset", "1y"]).args(["sh", "-c", &script]));
        assert_eq!(plain.status.signal(), Some(signal), "{plain:#?}");
        assert_eq!(run.shell_code(), 128 + signal, "{run:#?}");
        run.quiet();
    }
}

// ---------------------------------------------------------------------------------------------
// Signals from the terminal

/// Counts a signal until it reads `end`.
fn counter(signal: &str) -> String {
    format!(
        r#"perl -e '$|=1; $n=0; $SIG{{{signal}}}=sub{{$n++; print "got $n\n"}}; print "go\n"; while(<STDIN>){{last if /end/}} print "total $n\n"'"#
    )
}

#[test]
fn an_interrupt_ends_the_program() {
    for prefix in ["", "$V "] {
        for (key, code) in [(INTERRUPT, 130), (QUIT, 131)] {
            let mut bash = Terminal::bash();
            bash.line("ulimit -c 0");
            bash.line(&format!(r#"{prefix}sh -c 'echo "rea""dy"; exec sleep 1000'"#));
            bash.expect("ready");
            bash.keys(key);
            bash.expect("$ ");
            assert_eq!(bash.code_of(""), code, "{prefix}");
        }
    }
}

#[test]
fn an_interrupt_ends_a_loop_of_the_shell_as_it_does_in_a_plain_run() {
    let has_gone_on = |prefix: &str| {
        let mut bash = Terminal::bash();
        let body = r#"sh -c 'echo "rea""dy"; exec sleep 1000' || echo "$i af""ter""#;
        bash.line(&format!("for i in 1 2; do {prefix}{body}; break; done"));
        bash.expect("ready");
        bash.keys(INTERRUPT);
        let shown = bash.expect("$ ");
        shown.contains("after")
    };
    let (plain, run) = (has_gone_on(""), has_gone_on("$V "));
    assert_eq!(run, plain, "whether bash goes on after a program that died of ^C");
}

#[test]
fn an_interrupt_ends_a_script_as_it_does_in_a_plain_run() {
    let has_gone_on = |prefix: &str| {
        let mut bash = Terminal::bash();
        let script = r#"sh -c "echo rea""dy; exec sleep 1000"; echo "af""ter""#;
        bash.line(&format!("bash -c '{prefix}{script}'"));
        bash.expect("ready");
        bash.keys(INTERRUPT);
        bash.expect("$ ").contains("after")
    };
    assert_eq!(has_gone_on("$V "), has_gone_on(""), "whether a script goes on after ^C");
}

#[test]
fn a_program_that_handles_an_interrupt_gets_it_once() {
    let mut bash = Terminal::bash();
    bash.line(&format!("$V {}", counter("INT")));
    bash.expect("go\r\n");
    for round in 1..=3 {
        bash.keys(INTERRUPT);
        bash.expect(&format!("got {round}\r\n"));
    }
    bash.line("end");
    bash.expect("total 3\r\n");
    assert_eq!(bash.code_of(""), 0);
}

#[test]
fn a_change_of_the_terminals_size_reaches_the_program_once() {
    let mut bash = Terminal::bash();
    bash.line(&format!("$V {}", counter("WINCH")));
    bash.expect("go\r\n");
    for (round, columns) in [(1, 81), (2, 132)] {
        bash.resize(40, columns);
        bash.expect(&format!("got {round}\r\n"));
    }
    bash.line("end");
    bash.expect("total 2\r\n");
    bash.line("$V stty size");
    bash.expect("40 132\r\n");
}

#[test]
fn the_end_of_the_terminal_hangs_the_program_up() {
    let folder = scratch();
    let hung_up = folder.path().join("hung-up");
    let script = format!(
        r#"trap 'echo yes >{}; exit' HUP; echo "rea""dy"; while :; do sleep 0.05; done"#,
        hung_up.display()
    );
    // From a shell, and as the terminal's first program.
    let mut bash = Terminal::bash();
    bash.line(&format!("$V sh -c '{}'", script.replace('\'', r"'\''")));
    bash.expect("ready");
    bash.hang_up();
    wait_until("the hang-up", || hung_up.exists());
    fs::remove_file(&hung_up).expect("it is there");
    let mut first = Terminal::start(vdso_run(["--offset", "1y"]).args(["sh", "-c", &script]));
    first.expect("ready");
    first.hang_up();
    wait_until("the hang-up", || hung_up.exists());
}

// ---------------------------------------------------------------------------------------------
// Job control

#[test]
fn a_job_stops_and_comes_back() {
    let mut bash = Terminal::bash();
    bash.line("$V cat");
    for round in 1..=4 {
        bash.line(&format!("line{round}"));
        // The terminal's echo, and cat's.
        bash.expect(&format!("line{round}\r\nline{round}\r\n"));
        bash.keys(SUSPEND);
        bash.expect("Stopped");
        bash.expect("$ ");
        assert_eq!(bash.code_of("jobs | grep -c Stopped >/dev/null"), 0);
        bash.expect("$ ");
        bash.line("fg");
        bash.expect("run --offset 1234567s -- cat\r\n");
    }
    bash.line("last");
    bash.expect("last\r\nlast\r\n");
    bash.keys(END);
    bash.expect("$ ");
    assert_eq!(bash.code_of(""), 0);
}

#[test]
fn a_stopped_job_goes_on_in_the_background() {
    let folder = scratch();
    let go = folder.path().join("go");
    let mut bash = Terminal::bash();
    bash.line(&format!(
        r#"$V sh -c 'echo "rea""dy"; until [ -e {} ]; do sleep 0.02; done; exit 5'"#,
        go.display()
    ));
    bash.expect("ready");
    bash.keys(SUSPEND);
    bash.expect("Stopped");
    bash.expect("$ ");
    bash.line("bg");
    bash.expect("&\r\n");
    fs::write(&go, "").expect("a file");
    assert_eq!(bash.code_of("wait %1"), 5);
}

#[test]
fn a_program_that_stops_itself_stops_its_job() {
    for signal in ["STOP", "TSTP", "TTIN"] {
        let mut bash = Terminal::bash();
        bash.line(&format!(r#"$V sh -c 'kill -{signal} $$; echo "ba""ck"; exit 4'"#));
        bash.expect("Stopped");
        bash.expect("$ ");
        assert_eq!(bash.code_of("fg"), 4, "{signal}");
    }
}

#[test]
fn a_background_job_that_reads_waits_to_be_brought_to_the_front() {
    let mut bash = Terminal::bash();
    bash.line("$V cat &");
    bash.expect("$ ");
    bash.line("wait -f %1 2>/dev/null; jobs");
    bash.expect("Stopped");
    bash.line("fg");
    bash.expect("cat\r\n");
    bash.line("word");
    bash.expect("word\r\nword\r\n");
    bash.keys(END);
    bash.expect("$ ");
    assert_eq!(bash.code_of(""), 0);
}

#[test]
fn a_shell_inside_has_jobs_of_its_own() {
    let mut bash = Terminal::bash();
    bash.line(&format!("PS1='inside> ' $V bash {}", BASH_OPTIONS.join(" ")));
    bash.expect("inside> ");
    // ^C at the prompt is the inner shell's.
    bash.keys(INTERRUPT);
    bash.expect("inside> ");
    bash.line("cat");
    bash.line("first");
    bash.expect("first\r\nfirst\r\n");
    bash.keys(SUSPEND);
    bash.expect("Stopped");
    bash.expect("inside> ");
    bash.line("date +%s >/dev/null; fg");
    bash.expect("cat\r\n");
    bash.line("second");
    bash.expect("second\r\nsecond\r\n");
    bash.keys(INTERRUPT);
    bash.expect("inside> ");
    assert_eq!(bash.code_of(""), 130);
    bash.line("exit 3");
    // The outer shell has its terminal again.
    bash.expect("$ ");
    assert_eq!(bash.code_of(""), 3);
}

#[test]
fn a_shell_inside_can_be_suspended_and_comes_back() {
    for prefix in ["", "$V "] {
        let mut bash = Terminal::bash();
        bash.line(&format!("PS1='inside> ' {prefix}bash {}", BASH_OPTIONS.join(" ")));
        bash.expect("inside> ");
        bash.line("suspend");
        bash.expect("Stopped");
        bash.expect("$ ");
        bash.line("fg");
        bash.line("");
        bash.expect("inside> ");
        assert_eq!(bash.code_of("echo"), 0, "{prefix}");
        bash.line("exit 3");
        bash.expect("$ ");
        assert_eq!(bash.code_of(""), 3, "{prefix}");
    }
}

#[test]
fn a_shell_may_be_the_terminals_first_program() {
    let mut bash = Terminal::start(vdso_run(["--offset", "1y"]).arg("bash").args(BASH_OPTIONS));
    bash.expect("$ ");
    bash.keys(INTERRUPT);
    bash.expect("$ ");
    bash.line("sleep 1000");
    bash.keys(SUSPEND);
    bash.expect("Stopped");
    assert_eq!(bash.code_of("kill %1"), 0);
    bash.line("exit 6");
    assert_eq!(bash.wait().code(), Some(6));
}

#[test]
fn a_program_has_the_terminal_of_a_plain_run() {
    let seen = |prefix: &str| {
        let mut bash = Terminal::bash();
        bash.line(&format!(
            r#"{prefix}{} | grep ^session; echo "do""ne""#,
            helper("state").display()
        ));
        bash.expect("\nsession ");
        let line = bash.expect("\r\n");
        bash.expect("done");
        let fields: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let [session, _, group, _, terminal, _, foreground] = &fields[..] else {
            panic!("{line:?}")
        };
        assert_eq!(session.parse(), Ok(bash.pid().as_raw()), "{line}");
        (terminal.clone(), group == foreground)
    };
    assert_eq!(seen(""), ("yes".to_owned(), true));
    assert_eq!(seen("$V "), ("yes".to_owned(), true));
}

// ---------------------------------------------------------------------------------------------
// Signals to the launcher

#[test]
fn a_signal_to_the_launcher_reaches_the_program_once() {
    for signal in
        ["TERM", "HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "WINCH", "CONT", "RTMIN", "NUM40"]
    {
        let perl = counter(signal).replace("perl -e ", "exec perl -e ");
        let mut run = Shell::start(vdso_run(["--offset", "1y"]).args(["sh", "-c", &perl]));
        run.read_to("go\n");
        let name = signal.replace("NUM", "");
        let launcher = run.pid().to_string();
        finish(Command::new("kill").args([&format!("-{name}"), &launcher])).succeeded();
        run.read_to("got 1\n");
        run.send("end");
        assert_eq!(run.read_to_end(), "total 1\n", "{signal}");
        assert_eq!(run.wait().code(), Some(0));
    }
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
    assert_eq!(bash.code_of(""), 0);
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
