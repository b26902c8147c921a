//! A launch in the place of its own process, which somebody traces: that becomes the program, so that whoever traces it
//! traces the program, and a supervisor beside it follows what it starts.
//!
//! ```text
//! tracer ── program ── its children ...
//! init ── supervisor ── standby
//! ```
//!
//! There is no front: signals, stops and the end are the program's own.

use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::signal::SigSet;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};

use super::message::{Kind, Socket};
use super::supervise::{Common, is_scoped, run_beside};
use super::{Follow, Launch, OnHostClock, Outcome};
use crate::{execute, follow};

/// Whether a launch is to take its process's place.
pub fn is_wanted(launch: &Launch<'_>) -> bool {
    // Only a front gives an exit code of its own; and only descendants may be traced where that is so.
    launch.caller.is_none()
        && launch.follow == Follow::All
        && launch.on_host_clock == OnHostClock::Tell
        && follow::is_traced_elsewhere(Pid::this())
        && !is_scoped()
}

/// Becomes the program. `None` if it cannot be followed, and nothing has been done; else it could not be executed.
pub fn become_program(common: Common<'_, '_>, mask: &SigSet) -> Option<Outcome> {
    let (ours, theirs) = Socket::pair().ok()?;
    // SAFETY: this process has one thread, so the child may do anything.
    match unsafe { fork() }.ok()? {
        ForkResult::Child => {
            drop(ours);
            start_supervisor(common, theirs)
        }
        ForkResult::Parent { child } => {
            drop(theirs);
            // The program is to have no children that it knows nothing of.
            let _ = waitpid(child, None);
        }
    }
    let launch = common.launch;
    let listener = follow::install(&launch.payload.detours).ok()?;
    ours.send(Kind::Following, 0, Some(listener.as_raw_fd()));
    drop(listener);
    if ours.receive().is_none() {
        // As all below a filter whose listener is gone.
        return Some(Outcome::NotExecuted(Errno::ENOSYS));
    }
    launch.inheritance.restore();
    let _ = mask.thread_set_mask();
    Some(Outcome::NotExecuted(match launch.streams.take_place() {
        Ok(()) => execute(launch.command),
        Err(errno) => errno,
    }))
}

/// In a child, whose own child becomes the supervisor, and an orphan.
fn start_supervisor(common: Common<'_, '_>, start: Socket) -> ! {
    // SAFETY: this process has one thread, so the child may do anything.
    if let Ok(ForkResult::Child) = unsafe { fork() } {
        let listener = start.receive().and_then(|message| message.fd);
        if let Some(listener) = listener {
            run_beside(common, start, listener);
        }
    }
    // SAFETY: ends the process without running what belongs to its parent.
    unsafe { libc::_exit(0) }
}
