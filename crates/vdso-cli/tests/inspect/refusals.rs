//! Processes that cannot be looked at: each is refused with the reason and with what to do.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::Pid;
use tempfile::TempDir;
use test_support::{Lacking, skip};

use crate::processes::Subject;
use crate::support::processes::{state_of, wait_until};
use crate::support::{Finished, VDSO, copy_into, finish, helper, scratch};
use crate::{is_root, vdso};

const NOBODY: u32 = 65534;

/// Both commands must refuse, and say this.
#[track_caller]
fn assert_refused(pid: impl std::fmt::Display, said: &[&str]) {
    let pid = pid.to_string();
    let folder = scratch();
    let out = folder.path().join("out").display().to_string();
    for arguments in [["inspect", &pid].as_slice(), &["dump", &pid, "-o", &out]] {
        check(vdso(arguments), said);
    }
    assert!(!Path::new(&out).exists());
}

#[track_caller]
fn check(run: Finished, said: &[&str]) {
    assert_eq!(run.stdout, "", "{run:#?}");
    run.exited(1).said(&["vdso: error: ", "vdso: hint: "]).said(said);
}

#[test]
fn a_pid_that_is_not_there() {
    // What no process can have is a mistake in the arguments.
    for (number, said) in [("0", "the number 0"), ("2147483648", "so high a number")] {
        for arguments in
            [["inspect", number].as_slice(), &["dump", number, "-o", "-"], &["doctor", number]]
        {
            vdso(arguments).exited(2).said(&["error: ", "no process has", said]);
        }
    }
    let text = std::fs::read_to_string("/proc/sys/kernel/pid_max").expect("pid_max");
    let too_large: i64 = text.trim().parse().expect("a number");
    assert_refused(too_large, &["no process has the number"]);
    let mut child = Command::new("true").spawn().expect("true");
    child.wait().expect("it ends");
    assert_refused(child.id(), &["no process has the number", "pgrep"]);
}

#[test]
fn a_zombie() {
    let mut child = Command::new("true").spawn().expect("true");
    let pid = Pid::from_raw(child.id() as i32);
    wait_until("it is a zombie", || state_of(pid) == Some('Z'));
    assert_refused(pid, &["(true)", "zombie", "parent"]);
    child.wait().expect("it ends");
}

#[test]
fn a_thread_of_the_kernels() {
    let name = std::fs::read_to_string("/proc/2/comm").unwrap_or_default();
    if name.trim_end() != "kthreadd" {
        let reason = "the kernel's threads are in another PID namespace";
        return skip(Lacking::Kernel, "a_thread_of_the_kernels", reason);
    }
    assert_refused(2, &["(kthreadd)", "thread of the kernel's"]);
}

/// `vdso` and a program, where every user reaches them.
struct Shared {
    folder: TempDir,
    vdso: PathBuf,
}

impl Shared {
    fn new() -> Self {
        let folder = scratch();
        let vdso = copy_into(folder.path(), Path::new(VDSO), 0o755);
        Self { folder, vdso }
    }

    /// Runs it as nobody.
    #[track_caller]
    fn inspect(&self, pid: Pid) -> Finished {
        let mut command = Command::new(&self.vdso);
        finish(command.args(["inspect", &pid.to_string()]).uid(NOBODY).gid(NOBODY))
    }
}

#[test]
fn a_process_of_another_user() {
    if !is_root("a_process_of_another_user") {
        return;
    }
    let subject = Subject::start(&helper("image"));
    let shared = Shared::new();
    check(shared.inspect(subject.pid), &["(image)", "another user, root", "sudo"]);
}

#[test]
fn an_undumpable_process() {
    if !is_root("an_undumpable_process") {
        return;
    }
    let shared = Shared::new();
    let program = copy_into(shared.folder.path(), &helper("image"), 0o755);
    let mut command = Command::new(program);
    command.uid(NOBODY).gid(NOBODY);
    let subject = Subject::by(command, &["undumpable"], |pid| pid);
    check(shared.inspect(subject.pid), &["(image)", "undumpable", "sudo"]);
    // Root may.
    vdso(["inspect", &subject.pid.to_string()]).succeeded().quiet();
}

#[test]
fn a_process_of_ones_own_is_not_refused_to_an_ordinary_user() {
    if !is_root("a_process_of_ones_own_is_not_refused_to_an_ordinary_user") {
        return;
    }
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    if !matches!(scope.trim(), "" | "0") {
        let name = "a_process_of_ones_own_is_not_refused_to_an_ordinary_user";
        return skip(Lacking::Kernel, name, "yama.ptrace_scope forbids it");
    }
    let shared = Shared::new();
    let program = copy_into(shared.folder.path(), &helper("image"), 0o755);
    let mut command = Command::new(program);
    command.uid(NOBODY).gid(NOBODY);
    let subject = Subject::by(command, &[], |pid| pid);
    shared.inspect(subject.pid).succeeded().quiet();
}

/// It goes on to say everything else.
#[cfg(not(feature = "disassemble"))]
#[test]
fn a_build_without_disassemblers_says_so() {
    let run = vdso(["inspect", "--disassemble", "__vdso_time"]).exited(1);
    run.said(&["vdso: error: ", "built without its feature 'disassemble'", "vdso: hint: "]);
    vdso(["inspect", "--help"]).succeeded();
}
