//! What the kernel is asked about processes that `/proc` does not tell everywhere.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::thread::sleep;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::Pid;
use vdso_host::proc;

/// A descriptor that is ready when a process has ended. `None` before Linux 5.3, or if it is gone.
pub fn open(pid: Pid) -> Option<OwnedFd> {
    // SAFETY: takes two numbers.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) }).ok()?;
    // SAFETY: the kernel has just made this descriptor for us.
    Some(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Whether this process has one thread, which so is the caller. No if nothing tells.
pub fn has_one_thread() -> bool {
    /// A thread that has been joined is still one of the kernel's for a moment.
    const TRIES: u32 = 50;
    (0..TRIES).any(|tried| {
        if tried > 0 {
            sleep(Duration::from_millis(1));
        }
        by_list().unwrap_or_else(by_unsharing)
    })
}

/// `None` where `/proc` does not tell.
fn by_list() -> Option<bool> {
    let threads = proc::is_ours().then(|| proc::numbers_in("/proc/self/task").ok())??;
    Some(threads.count() == 1)
}

/// Memory and handlers can be unshared, which changes nothing, if nobody shares them. Source: unshare(2).
fn by_unsharing() -> bool {
    // SAFETY: it does nothing, or fails.
    Errno::result(unsafe { libc::unshare(libc::CLONE_THREAD) }).is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    use super::*;

    /// A filter may forbid the second way.
    fn answers() -> [Option<bool>; 2] {
        // SAFETY: it does nothing, or fails.
        let unshared = Errno::result(unsafe { libc::unshare(libc::CLONE_THREAD) });
        let by_unsharing = match unshared {
            Ok(_) => Some(true),
            Err(Errno::EINVAL) => Some(false),
            Err(_) => None,
        };
        [by_list(), by_unsharing]
    }

    #[test]
    fn threads_are_counted_in_both_ways() {
        let (end, ended) = channel::<()>();
        let other = std::thread::spawn(move || ended.recv());
        assert!(!has_one_thread());
        assert!(answers().into_iter().flatten().all(|has_one| !has_one));
        drop(end);
        let _ = other.join();
        // SAFETY: the child, which has one thread, makes system calls and ends.
        match unsafe { fork() }.expect("fork") {
            ForkResult::Child => {
                let is_one = has_one_thread() && answers().into_iter().flatten().all(|is| is);
                // SAFETY: ends at once.
                unsafe { libc::_exit(i32::from(!is_one)) };
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
            }
        }
    }
}
