//! Messages between the processes of a launch: a few bytes and at most one descriptor.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};

/// What is said. The number's meaning is beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Program to supervisor: the filter is installed; comes with its listener.
    Following = 1,
    /// Program to supervisor: the filter cannot be installed; the errno. Supervisor to front: so nothing is
    /// started.
    NotFollowing,
    /// Front to program: go.
    Go,
    /// Program to front: `execve` failed; the errno.
    ExecFailed,
    /// Supervisor to front: the program waits to be told to go; its pid; comes with the listener, if there
    /// is one.
    Prepared,
    /// Supervisor to front: the program cannot be traced; the errno.
    NotTraced,
    /// Supervisor to front: it could not be set up; the errno.
    Refused,
    /// Supervisor to front: the program has ended, and with it the supervisor; the wait status. Front to a calling
    /// process: the same of itself.
    Ended,
    /// Supervisor to front: the program has ended, but others that came from it live on, and so does
    /// the supervisor; the wait status.
    EndedAlone,
    /// Supervisor to front: the program has been stopped; the signal.
    Stopped,
    /// Supervisor to front: the program goes on.
    Continued,
    /// Front to a calling process: the program is executed; its pid; comes with a descriptor of its process, if
    /// the kernel has such.
    Executed,
    /// Front to a calling process: a program was ended that would have run on the host's clock.
    OnHostClock,
    /// Front to a calling process: it could not trace the program; the errno.
    CannotTrace,
    /// Front to a calling process: the program cannot be followed; the errno.
    CannotFollow,
    /// Front to a calling process: no process could be started; the errno.
    CannotFork,
    /// Front to a calling process: its own processes could not be set up; the errno.
    CannotSetUp,
}

const KINDS: [Kind; 17] = [
    Kind::Following,
    Kind::NotFollowing,
    Kind::Go,
    Kind::ExecFailed,
    Kind::Prepared,
    Kind::NotTraced,
    Kind::Refused,
    Kind::Ended,
    Kind::EndedAlone,
    Kind::Stopped,
    Kind::Continued,
    Kind::Executed,
    Kind::OnHostClock,
    Kind::CannotTrace,
    Kind::CannotFollow,
    Kind::CannotFork,
    Kind::CannotSetUp,
];

/// One message.
#[derive(Debug)]
pub struct Message {
    /// What it says.
    pub kind: Kind,
    /// See the kind.
    pub number: i32,
    /// See the kind.
    pub fd: Option<OwnedFd>,
}

/// An end of a connection. Closed when its process ends, which tells the other end.
#[derive(Debug)]
pub struct Socket(pub OwnedFd);

impl Socket {
    /// Two connected ends, closed by `execve`.
    pub fn pair() -> nix::Result<(Self, Self)> {
        let (one, other) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Self(one), Self(other)))
    }

    /// Says something. The other end may be gone; whoever must know finds out by listening.
    pub fn send(&self, kind: Kind, number: i32, fd: Option<RawFd>) {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&(kind as u32).to_ne_bytes());
        bytes[4..].copy_from_slice(&number.to_ne_bytes());
        let fds: Vec<RawFd> = fd.into_iter().collect();
        let rights = [ControlMessage::ScmRights(&fds)];
        let control = if fds.is_empty() { &[][..] } else { &rights[..] };
        let _ = sendmsg::<()>(
            self.0.as_raw_fd(),
            &[IoSlice::new(&bytes)],
            control,
            MsgFlags::MSG_NOSIGNAL,
            None,
        );
    }

    /// Whether there is a message, or the other end is gone.
    pub fn is_ready(&self) -> bool {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1..))
    }

    /// Waits for a message; `None` when the other end is gone.
    pub fn receive(&self) -> Option<Message> {
        let mut bytes = [0; 8];
        let mut space = nix::cmsg_space!(RawFd);
        let mut buffers = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let (length, fd) = loop {
            match recvmsg::<()>(self.0.as_raw_fd(), &mut buffers, Some(&mut space), flags) {
                Ok(message) => break (message.bytes, received_fd(message.cmsgs().ok()?)),
                Err(Errno::EINTR) => {}
                Err(_) => return None,
            }
        };
        let word = |at: usize| bytes.get(at..at + 4)?.try_into().ok();
        let kind = u32::from_ne_bytes(word(0)?);
        let kind = KINDS.into_iter().find(|known| *known as u32 == kind)?;
        (length == bytes.len()).then_some(Message {
            kind,
            number: i32::from_ne_bytes(word(4)?),
            fd,
        })
    }
}

fn received_fd(messages: impl Iterator<Item = ControlMessageOwned>) -> Option<OwnedFd> {
    let mut received = None;
    for message in messages {
        if let ControlMessageOwned::ScmRights(fds) = message {
            for fd in fds {
                // SAFETY: the kernel has just made this descriptor for us.
                received = Some(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
    }
    received
}
