//! Ends all that came from a program, for a caller that has ended.

use std::collections::{HashMap, HashSet};
use std::os::fd::BorrowedFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vdso_host::proc::{self, Stat};

/// Kills the descendants of this process, but for `spared`, which starts nothing. Orphans among them are this process's children,
/// as it is their subreaper. One that may not be killed, as it runs as another user, is left; all are where `/proc`
/// has other ids than this process.
pub fn end_all(spared: Option<Pid>) {
    const LONGEST: Duration = Duration::from_secs(5);
    const INTERVAL: Duration = Duration::from_millis(1);
    if !proc::is_ours() {
        return;
    }
    let start = Instant::now();
    // Somebody may fork between a look and a signal.
    while start.elapsed() < LONGEST {
        let living = below(Pid::this());
        let killed = living
            .into_iter()
            .filter(|&pid| Some(pid) != spared)
            .filter(|&pid| kill(pid, Signal::SIGKILL).is_ok())
            .count();
        if killed == 0 {
            return;
        }
        sleep(INTERVAL);
    }
}

/// Whether a process has ended that is known by a descriptor.
pub fn has_ended(process: Option<BorrowedFd<'_>>) -> bool {
    let Some(process) = process else { return false };
    let mut fds = [PollFd::new(process, PollFlags::POLLIN)];
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1..))
}

/// All living processes that came from one.
fn below(ancestor: Pid) -> HashSet<Pid> {
    let mut children: HashMap<Pid, Vec<Pid>> = HashMap::new();
    for pid in proc::numbers_in("/proc").into_iter().flatten().map(Pid::from_raw) {
        let Ok(stat) = Stat::read(pid) else { continue };
        if stat.has_ended() {
            continue;
        }
        // Field 4 is the parent.
        if let Some(parent) = stat.field(4).map(Pid::from_raw) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = HashSet::new();
    let mut next = vec![ancestor];
    while let Some(parent) = next.pop() {
        for &child in children.get(&parent).into_iter().flatten() {
            if found.insert(child) {
                next.push(child);
            }
        }
    }
    found
}
