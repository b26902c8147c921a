//! `vdso doctor -- COMMAND`: the program behaves as in a plain run, and what it asks the kernel for is
//! counted.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use test_support::{I386, Lacking, Program, skip};

use super::support::terminal::{self, Terminal};
use super::support::{Finished, VDSO, compile, finish, finish_with_input, program, scratch};
use super::{check, doctor};

/// A command under `vdso doctor`, and the report on it.
struct Examined {
    finished: Finished,
    report: Value,
}

/// Runs a command with some options.
#[track_caller]
fn examine<A: AsRef<OsStr>>(options: &[&str], command: &[A]) -> Examined {
    examine_with_input(options, command, b"")
}

#[track_caller]
fn examine_with_input<A: AsRef<OsStr>>(
    options: &[&str],
    command: &[A],
    input: &'static [u8],
) -> Examined {
    let folder = scratch();
    let file = folder.path().join("report.json");
    let mut run = doctor();
    run.args(options).args(["--json", "--output"]).arg(&file).arg("--").args(command);
    let finished = finish_with_input(&mut run, input);
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{e}: {finished:#?}"));
    let report: Value = serde_json::from_str(&text).expect("a document");
    assert_eq!(finished.status.code(), Some(i32::from(report["status"] == "fail")));
    Examined { finished, report }
}

impl Examined {
    #[track_caller]
    fn calls(&self, name: &str) -> u64 {
        self.report["command"]["system_calls"][name].as_u64().expect("they were counted")
    }
}

/// A call is made behind the compiler's back.
#[cfg(target_arch = "x86_64")]
const FLAGS: &[&str] = &["-O2", "-pthread", "-mno-red-zone"];
#[cfg(not(target_arch = "x86_64"))]
const FLAGS: &[&str] = &["-O2", "-pthread"];

/// `helpers/asks.c` with a word and how often.
fn asks(words: &[&str]) -> Vec<PathBuf> {
    std::iter::once(compile("asks.c", "asks", FLAGS))
        .chain(words.iter().map(PathBuf::from))
        .collect()
}

#[test]
fn a_command_is_not_run_for_a_report_that_cannot_be_written() {
    let folder = scratch();
    let mut run = doctor();
    run.arg("-o").arg(folder.path().join("none/report")).args(["--", "echo", "it ran"]);
    let finished = finish(&mut run);
    assert_eq!((finished.status.code(), finished.stdout.as_str()), (Some(1), ""), "{finished:#?}");
    finished.said(&["cannot write to", "none/report"]);
}

/// The new process's number is that of another one there.
#[test]
fn a_command_is_not_run_where_proc_is_that_of_another_namespace() {
    let name = "a_command_is_not_run_where_proc_is_that_of_another_namespace";
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork"]);
    if !unshare.arg("true").output().is_ok_and(|output| output.status.success()) {
        return skip(Lacking::Privilege, name, "unshare --pid needs root");
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", VDSO, "doctor", "--", "echo", "it ran"]);
    let finished = finish(&mut unshare);
    assert_eq!((finished.status.code(), finished.stdout.as_str()), (Some(1), ""), "{finished:#?}");
    finished.said(&["cannot look at 'echo'", "another PID namespace", "hint: mount -t proc"]);
}

#[test]
fn a_report_to_a_dash_is_one_to_standard_output() {
    let folder = scratch();
    let finished = finish(doctor().args(["--json", "-o", "-"]).current_dir(folder.path()));
    let report: Value = serde_json::from_str(&finished.stdout).expect("a document");
    assert!(report["checks"].is_array());
    assert!(!folder.path().join("-").exists());
}

#[test]
fn a_command_without_two_dashes_is_told_of_them() {
    let finished = finish(doctor().arg("true"));
    assert_eq!(finished.status.code(), Some(2));
    finished.said(&["this is no process number", "vdso doctor -- true"]);
}

#[test]
fn exit_codes_and_signals_are_reported_and_are_not_doctors_own() {
    for code in [0, 1, 7, 125, 255] {
        let examined = examine(&[], &["sh", "-c", &format!("exit {code}")]);
        assert_eq!(examined.report["command"]["exit_code"], code);
        assert_eq!(examined.report["command"]["signal"], Value::Null);
    }
    // The last one has no name in the C library's table.
    for signal in [1, 2, 6, 9, 11, 15, 40] {
        let examined = examine(&[], &["sh", "-c", &format!("ulimit -c 0; kill -{signal} $$")]);
        assert_eq!(examined.report["command"]["signal"], signal, "{:#?}", examined.finished);
        assert_eq!(examined.report["command"]["exit_code"], Value::Null);
    }
}

#[test]
fn a_command_that_cannot_run_is_an_error_with_the_reason() {
    finish(doctor().args(["--", "/no/such/program"]))
        .exited(1)
        .said(&["cannot run '/no/such/program'", "No such file"]);
    finish(doctor().args(["--", "/etc"]))
        .exited(1)
        .said(&["cannot run '/etc'", "ermission denied"]);
}

#[test]
fn standard_streams_are_the_programs() {
    let script = "cat; echo complaint >&2";
    let examined = examine_with_input(&[], &["sh", "-c", script], b"words\n");
    assert_eq!(examined.finished.stdout, "words\n");
    assert_eq!(examined.finished.stderr, "complaint\n");
}

#[test]
fn what_a_program_sees_of_itself_is_as_in_a_plain_run() {
    let script = "grep -E '^(Sig[PBIC]|Shd|Seccomp|NoNewPrivs|Cap|Threads)' /proc/self/status; ls -l \
                  /proc/self/fd | grep -c ' -> '; ps -o pgid= -p $$ | wc -l; umask; ulimit -a";
    let plain = finish(Command::new("sh").args(["-c", script]));
    for options in [[].as_slice(), &["--no-count"]] {
        let examined = examine(options, &["sh", "-c", script]);
        assert_eq!(examined.finished.stdout, plain.stdout);
    }
}

#[test]
fn signals_between_processes_and_stops_work() {
    // A handler, a child that stops itself and is continued, and a wait for it.
    let script = "trap 'echo caught' USR1; kill -USR1 $$; (kill -STOP $BASHPID; echo child) & \
                  while ! grep -q 'T (stopped' /proc/$!/status; do :; done; kill -CONT $!; wait $!";
    let examined = examine(&[], &["bash", "-c", script]);
    assert_eq!(examined.finished.stdout, "caught\nchild\n");
    // The program itself stops, which is to be seen, and another one continues it. That one may be
    // too early, so it does it again and again.
    let folder = scratch();
    let after = folder.path().join("after");
    let script = "(for i in $(seq 100); do grep -q . $0 && echo 'did not stop'; done; \
                  while ! grep -q . $0; do kill -CONT $$; done) 2>/dev/null & \
                  kill -STOP $$; echo after > $0; wait; echo on";
    let examined =
        examine(&[], &["bash".as_ref(), "-c".as_ref(), script.as_ref(), after.as_os_str()]);
    assert_eq!(examined.finished.stdout, "on\n");
}

/// The report of a program that ^C ended.
const INTERRUPTED: &str = "signal 2 (SIGINT)";

#[test]
fn keys_that_interrupt_and_suspend_are_for_the_program() {
    let mut bash = Terminal::bash();
    // What is typed is echoed, so whatever is waited for is typed in two parts.
    let reader = r#"sh -c 'echo "rea""dy"; while read word; do echo "got $word"; done'"#;
    bash.line(&format!("{VDSO} doctor -- {reader}"));
    bash.expect("ready");
    bash.keys(terminal::INTERRUPT);
    bash.expect(INTERRUPTED);
    bash.expect("$ ");
    bash.line(&format!("{VDSO} doctor -- {reader}"));
    bash.expect("ready");
    bash.suspend_reader("$ ");
    bash.line("fg");
    // Only when it has this, the terminal is its own again.
    bash.line("something");
    bash.expect("got something");
    bash.keys(terminal::INTERRUPT);
    bash.expect(INTERRUPTED);
    bash.expect("$ ");
}

#[test]
fn a_program_that_asks_the_kernel_itself_is_counted_call_by_call() {
    let examined = examine(&[], &asks(&["direct", "123"]));
    assert_eq!(examined.calls("clocks_direct"), 123);
    assert_eq!(examined.calls("clocks_from_vdso"), 0);
    assert_eq!(check(&examined.report, "command-calls")["status"], "warn");
    let examined = examine(&[], &asks(&["threads", "50"]));
    assert_eq!(examined.calls("clocks_direct"), 200);
}

#[test]
fn a_call_from_within_the_vdso_is_a_fallback() {
    let examined = examine(&[], &asks(&["vdso", "77"]));
    if examined.report["command"]["exit_code"] == 77 {
        let name = "a_call_from_within_the_vdso_is_a_fallback";
        return skip(Lacking::Kernel, name, "there is no room behind the vDSO's image here");
    }
    assert_eq!(examined.calls("clocks_from_vdso"), 77);
    assert_eq!(examined.calls("clocks_direct"), 0);
    assert_eq!(check(&examined.report, "command-calls")["status"], "fail");
}

#[test]
fn in_a_32_bit_program_who_calls_the_vdsos_entry_decides() {
    let name = "in_a_32_bit_program_who_calls_the_vdsos_entry_decides";
    // Whether there is a compiler for it.
    if program(Program::CI386).is_none() {
        return;
    }
    let asks = compile("asks.c", "asks32", &[&I386[..], &["-O2", "-pthread"]].concat());
    let asks = |word: &str| examine(&[], &[asks.as_os_str(), word.as_ref(), "41".as_ref()]);
    let direct = asks("direct");
    assert_eq!((direct.calls("clocks_direct"), direct.calls("clocks_from_vdso")), (41, 0));
    let vdso = asks("vdso");
    if vdso.report["command"]["exit_code"] == 77 {
        return skip(Lacking::Kernel, name, "there is no room behind the vDSO's image here");
    }
    assert_eq!((vdso.calls("clocks_direct"), vdso.calls("clocks_from_vdso")), (0, 41));
}

#[test]
fn a_clock_that_only_the_kernel_knows_is_no_fallback() {
    let examined = examine(&[], &asks(&["cpu", "31"]));
    assert_eq!(examined.calls("always_kernel"), 31);
    assert_eq!(check(&examined.report, "command-calls")["status"], "ok");
}

#[test]
fn calls_through_the_c_library_go_where_the_machines_clock_goes() {
    let examined = examine(&[], &asks(&["plain", "64"]));
    let fallbacks = examined.report["measurements"]["fallbacks"].as_array().expect("a list");
    let monotonic = fallbacks
        .iter()
        .find(|f| f["call"] == "clock_gettime(CLOCK_MONOTONIC)" && f["through"] == "vdso");
    let falls_back = monotonic.expect("it is measured")["system_calls"] != 0;
    assert_eq!(examined.calls("clocks_from_vdso"), if falls_back { 64 } else { 0 });
    assert_eq!(examined.calls("clocks_direct"), 0);
}

#[test]
fn the_last_program_of_a_process_is_the_one_that_is_counted() {
    let examined = examine(&[], &asks(&["exec", "direct", "9"]));
    assert_eq!(examined.calls("clocks_direct"), 9);
    let examined = examine(&[], &["sh", "-c", "exec cat /dev/null"]);
    assert_eq!(examined.report["process"]["name"], "cat");
}

#[test]
fn without_counting_the_program_is_looked_at_all_the_same() {
    let examined = examine(&["--no-count"], &asks(&["direct", "5"]));
    assert_eq!(examined.report["command"]["system_calls"], Value::Null);
    assert_eq!(examined.report["command"]["looked_at"], "end");
    let libc = check(&examined.report, "libc");
    assert_ne!(libc["status"], "unknown", "{libc:#}");
}

#[test]
fn the_c_library_of_a_program_is_its_own() {
    for (which, expected) in [
        (Program::CMusl, "musl"),
        (Program::Go, "go"),
        (Program::CStatic, "glibc"),
        (Program::CDynamic, "glibc"),
    ] {
        let Some(path) = program(which) else { continue };
        let examined = examine(&["--no-count"], &[path]);
        assert_eq!(check(&examined.report, "libc")["found"]["name"], expected, "{which:?}");
    }
}

#[test]
fn a_32_bit_program_is_looked_at_and_counted() {
    let Some(path) = program(Program::CI386) else { return };
    let examined = examine(&[], &[path]);
    let functions = &check(&examined.report, "functions")["found"]["functions"];
    assert!(functions.to_string().contains("__kernel_vsyscall"), "{functions}");
    // It reads each clock by a system call, too, to compare: through the vDSO, but not from it.
    assert!(examined.calls("clocks_direct") > 0);
    let fallbacks = &check(&examined.report, "fallbacks")["status"];
    assert!(*fallbacks == "fail" || examined.calls("clocks_from_vdso") == 0);
}

#[test]
fn a_preloaded_libfaketime_is_seen() {
    let name = "a_preloaded_libfaketime_is_seen";
    // It says where its library is, to the program that it starts.
    let asked =
        Command::new("faketime").args(["-f", "+1d", "sh", "-c", "echo $LD_PRELOAD"]).output();
    let Ok(asked) = asked else {
        return skip(Lacking::Tool, name, "faketime is not installed");
    };
    let library = String::from_utf8_lossy(&asked.stdout);
    let examined = examine(&[], &["env", &format!("LD_PRELOAD={}", library.trim()), "date"]);
    let preloaded = check(&examined.report, "preloaded");
    assert_eq!(preloaded["status"], "warn", "{preloaded:#}");
    assert_eq!(preloaded["summary"], "libfaketime");
}

#[test]
fn a_set_user_id_program_keeps_its_privilege_or_is_not_run() {
    let name = "a_set_user_id_program_keeps_its_privilege_or_is_not_run";
    if !nix::unistd::geteuid().is_root() {
        return skip(Lacking::Privilege, name, "it needs root to make such a program");
    }
    use super::support::{copy_into, set_mode};
    use std::os::unix::process::CommandExt;
    let folder = scratch();
    let vdso = copy_into(folder.path(), VDSO.as_ref(), 0o755);
    let id = copy_into(folder.path(), "/usr/bin/id".as_ref(), 0o4755);
    set_mode(&id, 0o4755);
    let mut command = Command::new(vdso);
    command.args(["doctor", "--"]).arg(id).uid(65534).gid(65534).current_dir("/");
    finish(&mut command).exited(1).said(&["set-user-ID", "run vdso as root"]);
}

#[test]
fn the_text_says_how_the_program_ended() {
    let finished = finish(doctor().args(["--", "sh", "-c", "exit 3"]));
    assert!(finished.stdout.contains("ended with exit code 3"), "{finished:#?}");
    let finished = finish(doctor().args(["--", "sh", "-c", "kill -15 $$"]));
    assert!(finished.stdout.contains("signal 15 (SIGTERM)"), "{finished:#?}");
}
