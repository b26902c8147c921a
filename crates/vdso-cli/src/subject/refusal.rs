//! Why a process's memory cannot be read, in words, and what to do about it.
//!
//! The kernel says no more than EPERM or EACCES. Its rules are those of ptrace(2), "Ptrace access mode
//! checking"; here they are gone through in the same order.

use std::fmt::Display;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::{Pid, Uid, User, geteuid};

use crate::message::{Hinted, printable};
use crate::system::status::{self, Status};
use crate::system::{Root, machine};

/// That there is no `/proc` to look into, or it tells of others.
pub fn without_proc(attempt: &str) -> Hinted {
    Hinted::new(
        format!("{attempt}: /proc is not mounted, or is that of another PID namespace"),
        "mount -t proc proc /proc, or start the namespace by unshare --mount-proc",
    )
}

/// That this process's own mappings cannot be read.
pub fn without_own_maps(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::NotFound => without_proc("cannot look at this process").into(),
        _ => anyhow::Error::new(error).context("cannot read /proc/self/maps"),
    }
}

/// That there is no such process.
pub fn gone(root: &Root, digits: &str) -> Hinted {
    // In the /proc of another PID namespace it is there, and leads nowhere.
    if fs::symlink_metadata(root.path("/proc/self")).is_err() {
        return without_proc(&format!("cannot look at process {digits}"));
    }
    let is_hidden = digits
        .parse()
        .is_ok_and(|pid: i32| pid > 0 && kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH));
    if is_hidden {
        return Hinted::new(
            format!("cannot look at process {digits}: /proc does not show it"),
            "/proc is mounted with hidepid, or is that of another PID namespace; root may see it",
        );
    }
    let hint = "pgrep finds a process by its name";
    Hinted::new(format!("no process has the number {digits}"), hint)
}

/// That it has ended.
pub fn zombie(pid: impl Display, name: &str) -> Hinted {
    let name = printable(name);
    Hinted::new(
        format!(
            "cannot look at process {pid} ({name}): it is a zombie, it has ended and its memory is gone"
        ),
        "its parent has not asked how it ended; look at the parent, or at a process that runs",
    )
}

/// That it never had memory.
pub fn kernel_thread(pid: impl Display, name: &str) -> Hinted {
    let name = printable(name);
    Hinted::new(
        format!(
            "cannot look at process {pid} ({name}): it is a thread of the kernel's, which has no \
             memory of its own"
        ),
        "the kernel's vDSO is in every program: leave the number out to see that of vdso itself",
    )
}

/// What is wrong with a process that has no memory at all.
pub fn without_memory(pid: Pid, name: &str) -> Option<Hinted> {
    let (root, digits) = (Root::new(None), pid.to_string());
    let status = Status::read(&root, &digits).ok()?;
    if status.has_ended() {
        return status::living_thread(&root, &digits).is_none().then(|| zombie(pid, name));
    }
    status.is_of_the_kernel().then(|| kernel_thread(pid, name))
}

/// Why the kernel gave this error.
pub fn explain(pid: Pid, name: &str, error: &io::Error) -> Hinted {
    // It may have ended meanwhile.
    let Ok(file) = fs::metadata(format!("/proc/{pid}/stat")) else {
        return gone(&Root::new(None), &pid.to_string());
    };
    if let Some(refused) = without_memory(pid, name) {
        return refused;
    }
    let what = format!("cannot read the memory of process {pid} ({})", printable(name));
    if !matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES)) {
        return Hinted::new(format!("{what}: {error}"), "try again: it may have just executed");
    }
    let root = Root::new(None);
    let users = Status::read(&root, &pid.to_string()).ok().and_then(|status| status.users());
    let (why, hint) = reason(&Facts {
        // The file is root's where the process may not be traced, whoever runs it: proc(5).
        is_dumpable: users.is_none_or(|users| users.contains(&file.uid())),
        users,
        us: geteuid(),
        ptrace_scope: machine::ptrace_scope(&root),
    });
    Hinted::new(format!("{what}: {why}"), hint)
}

/// What the kernel decides by.
struct Facts {
    /// Real, effective and saved user of the process.
    users: Option<[u32; 3]>,
    us: Uid,
    is_dumpable: bool,
    /// Of the Yama security module, where there is one.
    ptrace_scope: Option<u32>,
}

fn reason(facts: &Facts) -> (String, String) {
    // Root in a container is one without most of root's rights.
    let as_root = match facts.us.is_root() {
        true => {
            "vdso runs as root, but lacks CAP_SYS_PTRACE over it: give that to its container \
                 (--cap-add=SYS_PTRACE), or run it outside"
        }
        false => "run vdso as root (sudo), or in a container with CAP_SYS_PTRACE",
    };
    let foreign = facts.users.and_then(|users| users.into_iter().find(|&u| u != facts.us.as_raw()));
    if let Some(user) = foreign {
        let user = User::from_uid(Uid::from_raw(user))
            .ok()
            .flatten()
            .map_or_else(|| user.to_string(), |user| user.name);
        return (format!("it belongs to another user, {user}"), as_root.to_owned());
    }
    if !facts.is_dumpable {
        return (
            "it has made itself undumpable, or runs a file that may not be read".to_owned(),
            as_root.to_owned(),
        );
    }
    match facts.ptrace_scope {
        Some(1) => (
            "this system lets only parents look into processes (yama.ptrace_scope is 1)".to_owned(),
            format!("{as_root}; or set it to 0: sysctl kernel.yama.ptrace_scope=0"),
        ),
        Some(2) => (
            "this system lets only root look into processes (yama.ptrace_scope is 2)".to_owned(),
            as_root.to_owned(),
        ),
        Some(3) => (
            "this system lets nobody look into processes (yama.ptrace_scope is 3)".to_owned(),
            "it can be changed by a reboot only; every 64-bit program has the same image, which \
             vdso shows when no process is named"
                .to_owned(),
        ),
        _ => (
            "it has capabilities that vdso lacks, is in a user namespace of its own, or a security \
             module (seccomp, SELinux, AppArmor) forbids it"
                .to_owned(),
            as_root.to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Facts = Facts {
        users: Some([1000; 3]),
        us: Uid::from_raw(1000),
        is_dumpable: true,
        ptrace_scope: None,
    };

    #[test]
    fn each_rule_has_a_reason_and_a_hint_of_its_own() {
        let cases = [
            (Facts { users: Some([0, 0, 0]), ..USER }, "another user, root", "sudo"),
            (Facts { users: Some([1000, 1000, 4_000_001]), ..USER }, "user, 4000001", "sudo"),
            (Facts { is_dumpable: false, ..USER }, "undumpable", "sudo"),
            (Facts { ptrace_scope: Some(1), ..USER }, "only parents", "ptrace_scope=0"),
            (Facts { ptrace_scope: Some(2), ..USER }, "only root", "sudo"),
            (Facts { ptrace_scope: Some(3), ..USER }, "nobody", "reboot"),
            (Facts { ptrace_scope: Some(0), ..USER }, "capabilities", "CAP_SYS_PTRACE"),
            (USER, "capabilities", "CAP_SYS_PTRACE"),
            (Facts { us: Uid::from_raw(0), ..USER }, "another user", "CAP_SYS_PTRACE"),
            (Facts { users: Some([0; 3]), us: Uid::from_raw(0), ..USER }, "capabil", "container"),
        ];
        for (facts, why, hint) in cases {
            let (said, hinted) = reason(&facts);
            assert!(said.contains(why), "{said}");
            assert!(hinted.contains(hint), "{hinted}");
            // Whoever is root already cannot become it.
            assert!(!facts.us.is_root() || !hinted.contains("sudo"), "{hinted}");
        }
    }
}
