//! The processes of a launch, as `/proc` shows them.
//!
//! The front is the process that was started. The supervisor is a child of its, or, once there is no
//! front, an orphan; standbys are children of either. All of them execute the command's file, which is
//! what they are known by.

use std::fs;
use std::time::Duration;

use nix::unistd::{Pid, getpid};
use vdso_host::proc::{Stat, Status};

/// What the command's file is called while it is tested, and its processes with it.
pub const COMMAND: &str = "vdso";

/// What a process of vdso's is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The process that was started.
    Front,
    /// Watches over the programs.
    Supervisor,
    /// Would take the supervisor's place.
    Standby,
}

/// A living process of vdso's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which process.
    pub pid: Pid,
    /// What for.
    pub role: Role,
}

/// The processes of vdso's that live. This process must be the one that orphans come to.
pub fn members(front: Pid) -> Vec<Member> {
    let mut members = Vec::new();
    if is_ours(front) {
        members.push(Member { pid: front, role: Role::Front });
    }
    let orphans = children_of(getpid()).into_iter().filter(|&pid| pid != front);
    for pid in children_of(front).into_iter().chain(orphans).filter(|&pid| is_ours(pid)) {
        members.push(Member { pid, role: Role::Supervisor });
        let mut below = children_of(pid);
        while let Some(pid) = below.pop() {
            if is_ours(pid) {
                members.push(Member { pid, role: Role::Standby });
                below.extend(children_of(pid));
            }
        }
    }
    members
}

/// Whether none of vdso's is left. One that has just lost its parent is nobody's child for a moment.
pub fn is_nobody_left(front: Pid) -> bool {
    const LOOKS: usize = 20;
    (0..LOOKS).all(|look| {
        if look > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        members(front).is_empty()
    })
}

/// All processes that came from a launch and live.
pub fn all_from(front: Pid) -> Vec<Pid> {
    let mut rest = children_of(getpid());
    let mut all = Vec::new();
    while let Some(pid) = rest.pop() {
        rest.extend(children_of(pid));
        if group_of(pid) == Some(front) && is_alive(pid) {
            all.push(pid);
        }
    }
    all
}

/// The children of a process's first thread.
fn children_of(pid: Pid) -> Vec<Pid> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|id| id.parse().ok()).map(Pid::from_raw).collect()
}

fn is_ours(pid: Pid) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end() == COMMAND && is_alive(pid)
}

/// Whether it lives: a zombie does not.
fn is_alive(pid: Pid) -> bool {
    Stat::read(pid).is_ok_and(|stat| !stat.has_ended())
}

fn group_of(pid: Pid) -> Option<Pid> {
    Stat::read(pid).ok()?.field(5).map(Pid::from_raw)
}

/// How often a process has waited for something: it grows with what the process does.
pub fn waits_of(pid: Pid) -> u64 {
    let status = Status::read(pid).ok();
    status.and_then(|status| status.number("voluntary_ctxt_switches")).unwrap_or(0)
}
