//! The program's own process, from `fork` to `execve`.

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

use nix::sys::signal::SigSet;

use super::message::{Kind, Socket};
use super::{Follow, Launch};
use crate::{execute, follow};

/// Becomes the program, as soon as the front says so. `file` is the image's, for a program that cannot
/// ask for it.
pub fn become_program(
    launch: &Launch<'_>,
    front: &Socket,
    supervisor: Socket,
    file: OwnedFd,
    mask: &SigSet,
) -> ! {
    launch.inheritance.restore();
    let listener = match launch.follow {
        Follow::All => Some(follow::install(&launch.payload.detours)),
        Follow::None => None,
    };
    match listener {
        Some(Ok(listener)) => {
            supervisor.send(Kind::Following, 0, Some(listener.as_raw_fd()));
            drop(file);
        }
        Some(Err(errno)) => leave_to(&supervisor, errno as i32, file),
        None => leave_to(&supervisor, 0, file),
    }
    drop(supervisor);
    // The supervisor may be killed meanwhile: then the front starts another, which starts another program.
    if front.receive().is_some_and(|message| message.kind == Kind::Go) {
        // Not before: a signal that ends it must be the program's end, not that of the launch.
        let _ = mask.thread_set_mask();
        let errno = match launch.streams.take_place() {
            Ok(()) => execute(launch.command),
            Err(errno) => errno,
        };
        front.send(Kind::ExecFailed, errno as i32, None);
    }
    // SAFETY: ends the process without running what belongs to its parent.
    unsafe { libc::_exit(125) }
}

fn leave_to(supervisor: &Socket, errno: i32, file: OwnedFd) {
    // Stays open across `execve`; the stub closes it.
    let _ = file.into_raw_fd();
    supervisor.send(Kind::NotFollowing, errno, None);
}
