//! The witness: tells signals to the process group from signals to the front alone.
//!
//! A signal that is sent to the group reaches the program by itself; one that is sent to the front is
//! passed on. The kernel does not say which it was, so a second process of the group has all signals
//! blocked, does nothing else, and is asked what has reached it: see [`arrivals`](super::arrivals).
//!
//! It must be nobody whom somebody looking for the launcher finds, or a signal to all processes called
//! vdso would seem to have reached the program, too. So it goes by another name, and of the launcher's
//! arguments it shows those alone that are the program's.

use std::ffi::CString;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::signalfd::SignalFd;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};

use super::arrivals::Arrival;
use super::supervise::let_go_of_standard_streams;
use vdso_host::proc::{self, Stat};

/// Its name, which must be neither vdso's nor a program's. At most 15 bytes.
const NAME: &std::ffi::CStr = c"signal-witness";

/// What the front asks with, and what ends an answer.
const MARK: &[u8] = b"?";

/// As the front sees it. Ended when dropped.
pub struct Witness {
    pid: Pid,
    socket: OwnedFd,
}

impl Witness {
    /// Starts it. Signals must be blocked, and `signals` read them.
    pub fn start(signals: &SignalFd, command: &[CString]) -> nix::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        let front = getpid();
        // SAFETY: this process has one thread, so the child may do anything.
        match unsafe { fork() }? {
            ForkResult::Child => {
                drop(ours);
                testify(front, signals, &theirs, command);
                // SAFETY: ends the process without running what belongs to its parent.
                unsafe { libc::_exit(0) }
            }
            ForkResult::Parent { child } => Ok(Self { pid: child, socket: ours }),
        }
    }

    /// Becomes readable when something has reached the witness, or it is gone.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether there is news of it.
    pub fn has_news(&self) -> bool {
        is_readable(&self.socket, PollTimeout::ZERO)
    }

    /// All that has reached it since it was last asked. `None` if it does not answer.
    pub fn ask(&self) -> Option<Vec<Arrival>> {
        send(self.socket.as_raw_fd(), MARK, MsgFlags::MSG_NOSIGNAL).ok()?;
        let mut arrivals = Vec::new();
        loop {
            if !self.answers() {
                return None;
            }
            let mut packet = [0; Arrival::BYTES];
            match receive(&self.socket, &mut packet)? {
                Arrival::BYTES => arrivals.push(Arrival::from_bytes(&packet)),
                _ => break,
            }
        }
        // Sent by this process, to wake it.
        arrivals.retain(|arrival| arrival.sender != getpid().as_raw());
        Some(arrivals)
    }

    /// Waits for it. It may have been stopped with the whole group, of which only the front goes on.
    fn answers(&self) -> bool {
        const USUALLY_MS: u8 = 100;
        const AT_MOST_MS: u16 = 5000;
        is_readable(&self.socket, PollTimeout::from(USUALLY_MS)) || {
            let _ = kill(self.pid, Signal::SIGCONT);
            is_readable(&self.socket, PollTimeout::from(AT_MOST_MS))
        }
    }
}

impl Witness {
    /// Has it end, and does not wait for that.
    pub fn dismiss(&self) {
        // If it has been reaped, its id may be another's: it is asked for only as a child.
        if waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive) {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.dismiss();
        // Where nobody reaps orphans it would stay as a zombie.
        let _ = waitpid(self.pid, None);
    }
}

/// The witness's life: says at once what reaches it, and when asked, that this was all.
fn testify(front: Pid, signals: &SignalFd, socket: &OwnedFd, command: &[CString]) {
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    if getppid() != front {
        return;
    }
    let _ = nix::sys::prctl::set_name(NAME);
    let_go_of_standard_streams(&[0, 1, 2]);
    close_all_but(&[socket.as_raw_fd(), signals.as_raw_fd()]);
    hide_arguments(command);
    let mut packet = [0; Arrival::BYTES];
    loop {
        let mut fds =
            [socket.as_fd(), signals.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        if poll(&mut fds, PollTimeout::NONE).is_err() {
            continue;
        }
        // Asked first, looked afterwards: what had come before the question is in the answer.
        let is_asked = fds[0].any() == Some(true);
        if is_asked && receive(socket, &mut packet).is_none() {
            return;
        }
        while let Ok(Some(signal)) = signals.read_signal() {
            if let Some(arrival) = Arrival::of(&signal) {
                let _ = send(socket.as_raw_fd(), &arrival.to_bytes(), MsgFlags::MSG_NOSIGNAL);
            }
        }
        if is_asked {
            let _ = send(socket.as_raw_fd(), MARK, MsgFlags::MSG_NOSIGNAL);
        }
    }
}

fn is_readable(socket: &OwnedFd, timeout: PollTimeout) -> bool {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut fds, timeout), Ok(1..))
}

/// A packet's length; `None` when the other end is gone.
fn receive(socket: &OwnedFd, packet: &mut [u8]) -> Option<usize> {
    loop {
        match recv(socket.as_raw_fd(), packet, MsgFlags::empty()) {
            Ok(0) => return None,
            Ok(length) => return Some(length),
            Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    }
}

/// Of the front's descriptors it needs none, and whoever waits for the end of one must see it.
fn close_all_but(kept: &[i32]) {
    const FIRST: i32 = 3;
    let mut kept: Vec<i32> = kept.iter().copied().filter(|&fd| fd >= FIRST).collect();
    kept.sort_unstable();
    let mut next = FIRST;
    for fd in kept.into_iter().chain([i32::MAX]) {
        if next < fd {
            let (first, last) = (next as libc::c_uint, (fd - 1) as libc::c_uint);
            // SAFETY: nothing in this process uses these descriptors any more.
            let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
            // Before Linux 5.9; all that the front opens itself is lower.
            if closed == -1 {
                const HIGHEST: i32 = 1023;
                for fd in next..fd.min(HIGHEST) {
                    // SAFETY: as above.
                    let _ = unsafe { libc::close(fd) };
                }
            }
        }
        next = fd.saturating_add(1);
    }
}

/// Replaces the arguments that this process shows, which are the launcher's, except for the program's
/// at their end: whoever picks processes by a program's arguments picks the front for these, and the
/// program itself.
fn hide_arguments(command: &[CString]) -> Option<()> {
    if !proc::is_ours() {
        return None;
    }
    // Where they are: proc_pid_stat(5).
    let stat = Stat::read("self").ok()?;
    let (start, end): (u64, u64) = (stat.field(48)?, stat.field(49)?);
    let mut shown = std::fs::read("/proc/self/cmdline").ok()?;
    let programs: Vec<u8> =
        command.iter().flat_map(|word| word.as_bytes_with_nul()).copied().collect();
    let is_whole = shown.len() as u64 == end.checked_sub(start)?;
    let hidden = shown.len() - if shown.ends_with(&programs) { programs.len() } else { 0 };
    if !is_whole {
        return None;
    }
    shown[..hidden].fill(0);
    let title = NAME.to_bytes();
    let length = title.len().min(hidden.saturating_sub(1));
    shown[..length].copy_from_slice(&title[..length]);
    // By the kernel's hand: to this program the arguments are constants.
    let mut memory = std::fs::File::options().write(true).open("/proc/self/mem").ok()?;
    std::io::Seek::seek(&mut memory, std::io::SeekFrom::Start(start)).ok()?;
    memory.write_all(&shown).ok()
}
