//! The supervisor's end of the filter.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::filter;
use super::in_flight::InFlight;
use super::report::Report;
use vdso_inject::detour::{Detours, RESTART};

/// Installs the filter in this process and all that come from it, and gives the listener.
///
/// Without privilege that takes `no_new_privs`, which this sets, and which set-user-ID programs
/// below it pay for.
pub fn install(detours: &Detours) -> nix::Result<OwnedFd> {
    /// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV` (Linux 5.19): a signal does not take back a report
    /// that has been received.
    const WAIT_KILLABLE: libc::c_ulong = 1 << 5;
    let listen = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    let mut listener = set_filter(detours, listen | WAIT_KILLABLE);
    if listener == Err(Errno::EACCES) {
        nix::sys::prctl::set_no_new_privs()?;
        listener = set_filter(detours, listen | WAIT_KILLABLE);
    }
    if listener == Err(Errno::EINVAL) {
        listener = set_filter(detours, listen);
    }
    // SAFETY: the kernel has just made this descriptor for us.
    listener.map(|listener| unsafe { OwnedFd::from_raw_fd(listener) })
}

fn set_filter(detours: &Detours, flags: libc::c_ulong) -> nix::Result<RawFd> {
    let mut program = filter::program(detours);
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let operation = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the program is valid for the call, and the kernel copies it.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &program) };
    Errno::result(result).map(|fd| fd as RawFd)
}

/// Receives and answers reports.
#[derive(Debug)]
pub struct Listener<'a> {
    fd: OwnedFd,
    in_flight: &'a InFlight,
}

nix::ioctl_readwrite!(notif_recv, b'!', 0, libc::seccomp_notif);
nix::ioctl_readwrite!(notif_send, b'!', 1, libc::seccomp_notif_resp);
nix::ioctl_write_ptr!(notif_id_valid, b'!', 2, u64);
nix::ioctl_write_int_bad!(notif_set_flags, nix::request_code_write!(b'!', 4, size_of::<u64>()));
nix::ioctl_write_ptr!(notif_addfd, b'!', 3, libc::seccomp_notif_addfd);

impl<'a> Listener<'a> {
    /// Takes charge of what [`install`] gave.
    pub fn new(fd: OwnedFd, in_flight: &'a InFlight) -> Self {
        /// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP` (Linux 6.6): a report and its answer are waited for,
        /// so the one may run where the other has just run.
        const SYNC_WAKE_UP: libc::c_int = 1;
        // SAFETY: the request takes a number. Older kernels refuse it, which only costs time.
        let _ = unsafe { notif_set_flags(fd.as_raw_fd(), SYNC_WAKE_UP) };
        Self { fd, in_flight }
    }

    /// To poll, and to pass on.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The next report, waited for; `None` if whoever made it is gone again, if this was interrupted, or if
    /// all slots are taken.
    ///
    /// The kernel takes it out of its queue and writes it to memory that survives this process, both
    /// in one system call, which a deadly signal does not end in between.
    fn receive(&self) -> Option<Report> {
        let index = self.in_flight.free_slot()?;
        let slot = self.in_flight.slot(index);
        // SAFETY: the slot is as large as the structure, all zeros as the request wants it, and free.
        unsafe { notif_recv(self.fd.as_raw_fd(), slot.for_kernel()) }.ok()?;
        self.in_flight.report(index)
    }

    /// The next report, if one waits.
    pub fn receive_waiting(&self) -> Option<Report> {
        let mut fds = [PollFd::new(self.fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).ok()?;
        let is_waiting = fds[0].revents()?.contains(PollFlags::POLLIN);
        is_waiting.then(|| self.receive()).flatten()
    }

    /// Whether whoever made it, and waits for the answer, has ended since: it was killed, or a thread
    /// beside it has exec'd. So it is, too, once the report is answered.
    pub fn is_gone(&self, report: Report) -> bool {
        !is_waiting(self.fd(), report)
    }

    /// Lets the call take its course.
    pub fn carry_on(&self, report: Report) {
        self.send(report, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32);
    }

    /// Answers in the kernel's place.
    pub fn refuse(&self, report: Report, errno: Errno) {
        self.send(report, -(errno as i32), 0);
    }

    /// Answers in the kernel's place: a value, or an errno if it is negative.
    pub fn answer(&self, report: Report, result: i64) {
        let (value, error) = if result < 0 { (0, result as i32) } else { (result, 0) };
        self.send_value(report, value, error, 0);
    }

    /// Answers so that the kernel makes the call anew, unless the thread, which was told to stop, is sent elsewhere
    /// at the stop.
    pub fn restart(&self, report: Report) {
        self.send(report, -RESTART, 0);
    }

    /// Puts `file` in the place of the descriptor `number` of the process, and answers.
    ///
    /// It can be done again by a successor, with the same result: so no moment at which this process is
    /// killed leaves the program another descriptor more, and no answer carries a number.
    pub fn give(&self, report: Report, file: BorrowedFd<'_>, number: u32) {
        let given = libc::seccomp_notif_addfd {
            id: report.id,
            flags: libc::SECCOMP_ADDFD_FLAG_SETFD as u32,
            srcfd: file.as_raw_fd() as u32,
            newfd: number,
            newfd_flags: libc::O_CLOEXEC as u32,
        };
        // SAFETY: the structure is the one that the request takes.
        let result = undisturbed(|| unsafe { notif_addfd(self.fd.as_raw_fd(), &raw const given) });
        match result {
            Ok(_) => self.send(report, 0, 0),
            Err(errno) => self.refuse(report, errno),
        }
    }

    fn send(&self, report: Report, error: i32, flags: u32) {
        self.send_value(report, 0, error, flags);
    }

    fn send_value(&self, report: Report, val: i64, error: i32, flags: u32) {
        let mut answer = libc::seccomp_notif_resp { id: report.id, val, error, flags };
        // SAFETY: the structure is the one that the request takes. An error means that the process
        // is gone, and there is nothing to do about that.
        let _ = undisturbed(|| unsafe { notif_send(self.fd.as_raw_fd(), &mut answer) });
    }
}

/// Whether whoever made a report waits for the answer to it. Taken to be so where that cannot be told.
pub fn is_waiting(listener: BorrowedFd<'_>, report: Report) -> bool {
    // SAFETY: the request reads the number that it is given.
    let waits = undisturbed(|| unsafe { notif_id_valid(listener.as_raw_fd(), &report.id) });
    waits != Err(Errno::ENOENT)
}

/// Does it until nothing interrupts it. This process blocks all signals, but being stopped, frozen or
/// attached to by a debugger ends a wait in these requests as a signal does.
fn undisturbed(mut request: impl FnMut() -> nix::Result<libc::c_int>) -> nix::Result<libc::c_int> {
    loop {
        match request() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}
