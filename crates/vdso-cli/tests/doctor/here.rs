//! This machine, and processes on it that `vdso doctor` did not start. What is true here is compared
//! with what the kernel says, not with what the machine happens to be.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::ptrace;
use serde_json::Value;
use test_support::{Lacking, skip};

use super::support::processes::wait_until;
use super::support::{VDSO, copy_into, finish, scratch, vdso_run};
use super::{check, doctor, document};

const NOBODY: u32 = 65534;

/// A process that waits, until it is dropped.
struct Waiting(Child);

impl Waiting {
    #[track_caller]
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts"))
    }

    /// A program that waits until its input ends. It has executed when this returns.
    #[track_caller]
    fn cat() -> Self {
        let waiting = Self::start(&mut Command::new("cat"));
        waiting.wait_for_name("cat");
        waiting
    }

    #[track_caller]
    fn wait_for_name(&self, name: &str) {
        let comm = format!("/proc/{}/comm", self.0.id());
        wait_until(name, || fs::read_to_string(&comm).is_ok_and(|comm| comm.trim_end() == name));
        // Its libraries are mapped when it waits.
        let stat = format!("/proc/{}/stat", self.0.id());
        wait_until("sleep", || fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") S ")));
    }

    fn id(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn look(command: &mut Command) -> Value {
    let finished = finish(command.arg("--json")).quiet();
    let document = document(&finished);
    let expected = i32::from(document["status"] == "fail");
    assert_eq!(finished.status.code(), Some(expected), "{finished:#?}");
    document
}

#[test]
fn the_document_has_what_scripts_need() {
    let document = look(&mut doctor());
    assert_eq!(document["schema_version"], 1);
    let checks = document["checks"].as_array().expect("checks are a list");
    let weight = |status: &Value| {
        let order = ["ok", "unknown", "warn", "fail"];
        order.iter().position(|known| status == known).expect("a known status")
    };
    let worst = checks.iter().map(|check| weight(&check["status"])).max();
    assert_eq!(worst, Some(weight(&document["status"])));
    for check in checks {
        let is_ok = check["status"] == "ok";
        assert!(!check["summary"].as_str().expect("a text").is_empty(), "{check:#}");
        for field in ["cause", "action"] {
            assert_eq!(check[field].is_null(), is_ok, "{field} of {check:#}");
        }
    }
    let mut ids: Vec<&str> = checks.iter().filter_map(|check| check["id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), checks.len(), "every check has an id of its own");
}

#[test]
fn the_clocksource_is_the_one_that_the_kernel_names() {
    let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let Ok(current) = fs::read_to_string(path) else {
        return skip(Lacking::Kernel, "the_clocksource_is_the_one_that_the_kernel_names", path);
    };
    let document = look(&mut doctor());
    assert_eq!(check(&document, "clocksource")["found"]["current"], current.trim());
}

#[test]
fn what_is_answered_is_what_the_kernels_image_exports() {
    let document = look(&mut doctor());
    let functions = &check(&document, "functions")["found"]["functions"];
    let functions = functions.as_array().expect("a list");
    let clock = functions.iter().filter_map(Value::as_str).find(|f| f.contains("clock_gettime"));
    assert!(clock.is_some(), "{functions:?}");
}

/// The fallbacks of a document, by call, through the vDSO.
fn counts(document: &Value) -> Vec<(String, bool, u64)> {
    let fallbacks = document["measurements"]["fallbacks"].as_array().expect("a list");
    let by_vdso = fallbacks.iter().filter(|fallback| fallback["through"] == "vdso");
    by_vdso
        .map(|fallback| {
            (
                fallback["call"].as_str().expect("a name").to_owned(),
                fallback["always_goes_to_the_kernel"] == true,
                fallback["system_calls"].as_u64().expect("a number"),
            )
        })
        .collect()
}

#[test]
fn a_clock_that_always_asks_the_kernel_does_and_coarse_ones_never_do() {
    let document = look(&mut doctor());
    if document["measurements"]["method"] != "ptrace" {
        let name = "a_clock_that_always_asks_the_kernel_does_and_coarse_ones_never_do";
        return skip(Lacking::Privilege, name, "this process may not trace a child of its own");
    }
    let counts = counts(&document);
    let is_control = |(_, control, _): &&(String, bool, u64)| *control;
    let controls: Vec<_> = counts.iter().filter(is_control).collect();
    assert!(!controls.is_empty(), "{counts:?}");
    assert!(controls.iter().all(|(_, _, count)| *count == 16), "{counts:?}");
    let coarse = counts.iter().filter(|(call, ..)| call.contains("COARSE"));
    assert!(coarse.clone().count() == 2 && coarse.clone().all(|c| c.2 == 0), "{counts:?}");
    // Whatever the clocksource: they come from the same counter.
    let of = |name: &str| counts.iter().find(|c| c.0.contains(name)).expect("it is measured").2;
    assert_eq!(of("(CLOCK_REALTIME)"), of("(CLOCK_MONOTONIC)"));
}

#[test]
fn a_tracer_keeps_calls_from_being_counted_but_not_from_being_timed() {
    let name = "a_tracer_keeps_calls_from_being_counted_but_not_from_being_timed";
    if Command::new("strace").arg("-V").output().is_err() {
        return skip(Lacking::Tool, name, "strace is not installed");
    }
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", VDSO, "doctor"]);
    let document = look(&mut strace);
    assert_eq!(document["measurements"]["method"], "timing");
    let tracer = check(&document, "tracer");
    assert_eq!(tracer["status"], "warn");
    assert_eq!(tracer["found"]["name"], "strace");
}

#[test]
fn a_seccomp_filter_is_seen_and_may_refuse_to_trace() {
    let mut command = doctor();
    // SAFETY: `refuse_ptrace` only makes system calls.
    unsafe { command.pre_exec(refuse_ptrace) };
    let document = look(&mut command);
    assert_eq!(document["measurements"]["method"], "timing");
    let seccomp = check(&document, "seccomp");
    assert!(seccomp["summary"].as_str().expect("a text").contains("filter"), "{seccomp:#}");
}

/// Installs a filter that answers ptrace with `EPERM`, as some containers have.
fn refuse_ptrace() -> std::io::Result<()> {
    let statement = |code, k| libc::sock_filter { code, jt: 0, jf: 0, k };
    let number = 0;
    let mut filter = [
        statement((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, number),
        libc::sock_filter {
            code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
            jt: 0,
            jf: 1,
            k: libc::SYS_ptrace as u32,
        },
        statement(libc::BPF_RET as u16, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        statement(libc::BPF_RET as u16, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: takes numbers.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: reads the program, which outlives the call.
    if unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

#[test]
fn a_time_namespace_moves_clocks_without_a_fallback() {
    let name = "a_time_namespace_moves_clocks_without_a_fallback";
    let mut unshare = Command::new("unshare");
    unshare.args(["-T", "--monotonic", "1000", "--boottime", "2000"]);
    if !unshare.arg("true").output().is_ok_and(|output| output.status.success()) {
        return skip(Lacking::Privilege, name, "unshare -T needs root and Linux 5.6");
    }
    let plain = look(&mut doctor());
    let mut unshare = Command::new("unshare");
    unshare.args(["-T", "--monotonic", "1000", "--boottime", "2000", "--fork", VDSO, "doctor"]);
    let document = look(&mut unshare);
    let offsets = &check(&document, "time-namespace")["found"]["offsets"];
    assert_eq!(offsets["monotonic_s"], 1000.0);
    assert_eq!(offsets["boottime_s"], 2000.0);
    assert!(check(&plain, "time-namespace")["found"].get("offsets").is_none());
    assert_eq!(counts(&document), counts(&plain));
}

#[test]
fn an_image_of_ours_is_told_from_the_kernels() {
    let document = look(vdso_run(["--offset", "1h"]).arg(VDSO).arg("doctor"));
    let vdso = check(&document, "vdso");
    assert_eq!(vdso["status"], "warn", "{vdso:#}");
    let mapping = vdso["found"]["mapping"].as_str().expect("a name");
    assert!(mapping.starts_with("/memfd:vdso-"), "{mapping}");
}

// ---------------------------------------------------------------------------------------------
// Other processes

#[test]
fn another_process_is_looked_at() {
    let cat = Waiting::cat();
    let document = look(doctor().arg(cat.id()));
    assert_eq!(document["process"]["name"], "cat");
    assert_eq!(document["process"]["pid"], cat.0.id());
    assert!(check(&document, "libc")["summary"].is_string());
    assert_eq!(check(&document, "vdso")["status"], "ok");
}

#[test]
fn a_process_that_is_traced_names_its_tracer() {
    let cat = Waiting::cat();
    let pid = nix::unistd::Pid::from_raw(cat.0.id() as i32);
    if let Err(errno) = ptrace::seize(pid, ptrace::Options::empty()) {
        let name = "a_process_that_is_traced_names_its_tracer";
        return skip(Lacking::Privilege, name, &format!("ptrace: {}", errno.desc()));
    }
    let document = look(doctor().arg(cat.id()));
    let tracer = check(&document, "tracer");
    assert_eq!(tracer["status"], "warn");
    assert!(tracer["found"]["pid"].is_u64());
}

#[test]
fn a_process_that_is_gone_a_zombie_and_a_kernel_thread_are_refused_with_the_reason() {
    let mut child = Command::new("true").spawn().expect("true runs");
    let pid = child.id().to_string();
    let stat = format!("/proc/{pid}/stat");
    wait_until("its end", || fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z ")));
    let refused = |pid: &str, said: &[&str]| {
        finish(doctor().arg(pid)).exited(1).said(&["vdso: hint: ", pid]).said(said);
    };
    refused(&pid, &["cannot look at process", "(true)", "zombie", "look at the parent"]);
    child.wait().expect("it is our child");
    refused(&pid, &["no process has the number", "pgrep"]);
    let is_thread = fs::read_to_string("/proc/2/comm").is_ok_and(|name| name == "kthreadd\n");
    if !is_thread {
        return skip(Lacking::Kernel, "kernel threads", "this PID namespace has none");
    }
    refused("2", &["cannot look at process 2", "thread of the kernel's", "leave the number out"]);
}

#[test]
fn without_proc_it_is_said_how_to_have_it() {
    let name = "without_proc_it_is_said_how_to_have_it";
    let hidden = |arguments: &[&str]| {
        let script = r#"mount -t tmpfs none /proc && exec "$@""#;
        let mut unshare = Command::new("unshare");
        finish(unshare.args(["--mount", "sh", "-c", script, "sh"]).args(arguments))
    };
    if !hidden(&["true"]).status.success() {
        return skip(Lacking::Privilege, name, "unshare --mount needs root");
    }
    for (arguments, subject) in [
        (&["doctor"][..], "this process"),
        (&["doctor", "4711"], "process 4711"),
        (&["doctor", "--", "true"], "'true'"),
        (&["inspect"], "this process"),
        (&["bench"], "this process"),
        (&["inspect", "4711"], "process 4711"),
    ] {
        let run = hidden(&[&[VDSO], arguments].concat()).exited(1);
        let attempt = format!("cannot look at {subject}: /proc is not mounted");
        run.said(&[&attempt, "hint: mount -t proc proc /proc"]);
    }
}

#[test]
fn of_another_users_process_it_is_said_what_could_not_be_seen() {
    if !nix::unistd::geteuid().is_root() {
        let name = "of_another_users_process_it_is_said_what_could_not_be_seen";
        return skip(Lacking::Privilege, name, "it needs root to become another user");
    }
    let cat = Waiting::cat();
    let folder = scratch();
    let vdso = copy_into(folder.path(), Path::new(VDSO), 0o755);
    let mut command = Command::new(vdso);
    command.args(["doctor", &cat.id()]).uid(NOBODY).gid(NOBODY).current_dir("/");
    let document = look(&mut command);
    for id in ["vdso", "libc", "time-namespace"] {
        let check = check(&document, id);
        assert_eq!(check["status"], "unknown", "{check:#}");
        assert_eq!(check["command"], format!("sudo vdso doctor {}", cat.id()));
    }
    // Everybody may know these.
    assert_eq!(check(&document, "tracer")["status"], "ok");
    assert_eq!(check(&document, "seccomp")["status"], "ok");
}

#[test]
fn mistakes_in_the_arguments_are_usage_errors() {
    finish(doctor().arg("nonsense")).exited(2);
    finish(doctor().arg("4294967295")).exited(2).said(&["no process has so high a number"]);
    finish(doctor().arg("0")).exited(2).said(&["no process has the number 0"]);
    finish(doctor().arg("--no-count")).exited(2);
    finish(doctor().args(["1", "--", "true"])).exited(2);
}

#[test]
fn a_report_goes_to_a_file_without_colours() {
    let folder = scratch();
    let file = folder.path().join("report");
    let mut command = doctor();
    let finished = finish(command.args(["--color", "always", "--output"]).arg(&file)).quiet();
    assert_eq!(finished.stdout, "");
    let text = fs::read_to_string(&file).expect("the report");
    assert!(text.contains("clocksource") && !text.contains('\x1b'), "{text}");
    let finished = finish(doctor().args(["--output", "/no/such/file"])).exited(1);
    finished.said(&["cannot write to /no/such/file"]);
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    assert!(!finish(&mut doctor()).stdout.contains('\x1b'));
    assert!(finish(doctor().args(["--color", "always"])).stdout.contains('\x1b'));
}
