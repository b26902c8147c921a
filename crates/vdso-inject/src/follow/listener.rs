//! The supervisor's end of the filter.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::unistd::Pid;
use vdso_data::sync::{AtomicU32, AtomicU64, Ordering};

use super::filter;
use crate::arch::{ABIS, Abi};

/// Installs the filter in this process and all that come from it, and gives the listener.
///
/// Without privilege that takes `no_new_privs`, which this sets, and which set-user-ID programs
/// below it pay for.
pub fn install() -> nix::Result<(OwnedFd, Waiting)> {
    /// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV` (Linux 5.19): a signal does not take back a report
    /// that has been received.
    const WAIT_KILLABLE: libc::c_ulong = 1 << 5;
    let listen = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    let mut listener = set_filter(listen | WAIT_KILLABLE);
    if listener == Err(Errno::EACCES) {
        nix::sys::prctl::set_no_new_privs()?;
        listener = set_filter(listen | WAIT_KILLABLE);
    }
    let mut waiting = Waiting::Undisturbed;
    if listener == Err(Errno::EINVAL) {
        listener = set_filter(listen);
        waiting = Waiting::Disturbed;
    }
    let listener = listener?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok((unsafe { OwnedFd::from_raw_fd(listener) }, waiting))
}

/// How a process waits for the answer to its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Waiting {
    /// Any signal ends the wait, and the call is then made anew.
    Disturbed,
    /// Only a deadly signal ends it.
    Undisturbed,
}

fn set_filter(flags: libc::c_ulong) -> nix::Result<RawFd> {
    let mut program = filter::program();
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let operation = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the program is valid for the call, and the kernel copies it.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &program) };
    Errno::result(result).map(|fd| fd as RawFd)
}

/// A process that waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    id: u64,
    /// Who.
    pub pid: Pid,
    /// What.
    pub call: Call,
    abi: AbiIndex,
}

impl Report {
    /// The kind of program that it is from.
    pub fn abi(&self) -> Option<&'static Abi> {
        ABIS.get(self.abi as usize).copied()
    }
}

/// What a process wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `execve` or `execveat`, by any of the processor's system call tables.
    Exec,
    /// A stub's request: what it asks for, what it says to that, and its token.
    Stub(u64, u64, u64),
}

/// The kind of program that has made a report, as a number: its place in [`ABIS`].
type AbiIndex = u32;

/// The report that is being worked on, in memory that outlives the supervisor: whoever takes over
/// answers it.
#[derive(Debug, Default)]
#[repr(C)]
pub struct InFlight {
    id: AtomicU64,
    pid: AtomicU64,
    /// One more than what a stub asks for, or zero for an exec.
    stub: AtomicU64,
    /// What it says to that, and its token.
    stub_arguments: [AtomicU64; 2],
    /// [`Report::abi`].
    abi: AtomicU32,
    /// The last id that was received, answered or not.
    last_id: AtomicU64,
    /// A [`Waiting`], the same for all reports.
    waiting: AtomicU32,
}

impl InFlight {
    /// Notes what [`install`] said, for all supervisors to come.
    pub fn set_waiting(&self, waiting: i32) {
        self.waiting.store(waiting as u32, Ordering::Relaxed);
    }

    /// Changes whenever a report is received, by whichever supervisor.
    pub fn last_id(&self) -> u64 {
        self.last_id.load(Ordering::Relaxed)
    }

    fn set(&self, report: Report) {
        let (stub, arguments) = match report.call {
            Call::Exec => (0, [0; 2]),
            Call::Stub(request, argument, token) => (request.wrapping_add(1), [argument, token]),
        };
        // Relaxed, but for the id: it stands for the rest, and is read after its writer's death.
        self.pid.store(report.pid.as_raw() as u64, Ordering::Relaxed);
        self.stub.store(stub, Ordering::Relaxed);
        for (place, argument) in self.stub_arguments.iter().zip(arguments) {
            place.store(argument, Ordering::Relaxed);
        }
        self.abi.store(report.abi, Ordering::Relaxed);
        self.last_id.store(report.id, Ordering::Relaxed);
        self.id.store(report.id, Ordering::Release);
    }

    fn clear(&self) {
        self.id.store(0, Ordering::Release);
    }

    /// What a supervisor that died had not answered.
    pub fn left_behind(&self) -> Option<Report> {
        // Acquire: pairs with the Release in `set`.
        let id = self.id.load(Ordering::Acquire);
        let [argument, token] =
            self.stub_arguments.each_ref().map(|place| place.load(Ordering::Relaxed));
        let call = match self.stub.load(Ordering::Relaxed) {
            0 => Call::Exec,
            request => Call::Stub(request - 1, argument, token),
        };
        let pid = Pid::from_raw(self.pid.load(Ordering::Relaxed) as i32);
        let abi = self.abi.load(Ordering::Relaxed);
        (id != 0).then_some(Report { id, pid, call, abi })
    }
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
    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Whether a process that has reported waits for the answer whatever happens.
    pub fn is_undisturbed(&self) -> bool {
        self.in_flight.waiting.load(Ordering::Relaxed) == Waiting::Undisturbed as u32
    }

    /// The next report; `None` if whoever made it is gone again.
    pub fn receive(&self) -> Option<Report> {
        // SAFETY: all zeros is a valid value, and the one that the kernel wants.
        let mut report: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the structure is the one that the request takes.
        unsafe { notif_recv(self.fd.as_raw_fd(), &mut report) }.ok()?;
        let prctl = ABIS.iter().position(|abi| {
            (abi.calls.audit_arch, abi.calls.prctl) == (report.data.arch, report.data.nr as u32)
        });
        let report = Report {
            id: report.id,
            pid: Pid::from_raw(report.pid as i32),
            call: match prctl {
                Some(_) => {
                    let [_, request, argument, token, ..] = report.data.args;
                    Call::Stub(request, argument, token)
                }
                None => Call::Exec,
            },
            abi: prctl.unwrap_or_default() as AbiIndex,
        };
        self.in_flight.set(report);
        Some(report)
    }

    /// Lets go on whoever's report was received by a supervisor that died before it could note that,
    /// or had put it off.
    ///
    /// Ids are consecutive, so it is one of the next, or of those before. One that nobody has
    /// received yet, or that was answered, is not answered by this.
    pub fn carry_on_unnoted(&self) {
        const MOST_WAITING: u64 = 256;
        let last = self.in_flight.last_id.load(Ordering::Relaxed);
        if last == 0 {
            return;
        }
        let noted = self.left_behind().map(|report| report.id);
        for distance in 0..2 * MOST_WAITING {
            let id = last.wrapping_sub(MOST_WAITING).wrapping_add(distance + 1);
            if noted != Some(id) {
                self.send(id, 0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32);
            }
        }
    }

    /// What a supervisor that died had not answered.
    pub fn left_behind(&self) -> Option<Report> {
        self.in_flight.left_behind()
    }

    /// Whether whoever made it, and waits for the answer, has ended since: it was killed, or a thread
    /// beside it has exec'd.
    pub fn is_gone(&self, report: Report) -> bool {
        // SAFETY: the request reads the number that it is given.
        let waits = unsafe { notif_id_valid(self.fd.as_raw_fd(), &report.id) };
        waits == Err(Errno::ENOENT)
    }

    /// Lets the call take its course.
    pub fn carry_on(&self, report: Report) {
        self.answer(report, 0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32);
    }

    /// Answers in the kernel's place.
    pub fn refuse(&self, report: Report, errno: Errno) {
        self.answer(report, 0, -(errno as i32), 0);
    }

    /// Puts `file` in the place of the process's descriptor `number`, and answers. What was done of that
    /// before an interruption, or by a supervisor that is no more, is done once more: it makes no difference.
    pub fn give(&self, report: Report, file: RawFd, number: u32) {
        let given = libc::seccomp_notif_addfd {
            id: report.id,
            flags: libc::SECCOMP_ADDFD_FLAG_SETFD as u32,
            srcfd: file as u32,
            newfd: number,
            newfd_flags: libc::O_CLOEXEC as u32,
        };
        loop {
            // SAFETY: the structure is the one that the request takes.
            match unsafe { notif_addfd(self.fd.as_raw_fd(), &raw const given) } {
                Ok(_) => return self.answer(report, 0, 0, 0),
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                // The stub then asks to be taken away.
                Err(errno) => return self.refuse(report, errno),
            }
        }
    }

    fn answer(&self, report: Report, val: i64, error: i32, flags: u32) {
        self.send(report.id, val, error, flags);
        self.in_flight.clear();
    }

    fn send(&self, id: u64, val: i64, error: i32, flags: u32) {
        let mut answer = libc::seccomp_notif_resp { id, val, error, flags };
        // SAFETY: the structure is the one that the request takes. An error means that the process
        // is gone, and there is nothing to do about that.
        let _ = unsafe { notif_send(self.fd.as_raw_fd(), &mut answer) };
    }
}
