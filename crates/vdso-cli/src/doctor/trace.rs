//! The ptrace requests that are needed: see ptrace(2).

use nix::errno::Errno;
use nix::unistd::Pid;

/// A system call that a tracee is about to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemCall {
    /// `AUDIT_ARCH_…`: whose numbers are used.
    pub architecture: u32,
    pub number: u64,
    pub arguments: [u64; 6],
    /// The instruction behind the one that makes it.
    pub instruction_addr: u64,
    pub stack_addr: u64,
}

/// `struct ptrace_syscall_info` of `include/uapi/linux/ptrace.h` at a call's entry: not every C library's headers
/// have it.
#[derive(Default)]
#[repr(C)]
struct SystemCallInfo {
    op: u8,
    padding: [u8; 3],
    architecture: u32,
    instruction_addr: u64,
    stack_addr: u64,
    number: u64,
    arguments: [u64; 6],
}

/// What a tracee that stopped at a system call is about to do; `None` if it has just done it.
///
/// Needs Linux 5.3.
pub fn entered(tracee: Pid) -> Result<Option<SystemCall>, Errno> {
    const PTRACE_GET_SYSCALL_INFO: u16 = 0x420e;
    const PTRACE_SYSCALL_INFO_ENTRY: u8 = 1;
    let mut info = SystemCallInfo::default();
    let (request, bytes) = (PTRACE_GET_SYSCALL_INFO.into(), size_of_val(&info));
    // SAFETY: the kernel writes as many bytes as it is told.
    let result = unsafe { libc::ptrace(request, tracee.as_raw(), bytes, &raw mut info) };
    Errno::result(result)?;
    Ok((info.op == PTRACE_SYSCALL_INFO_ENTRY).then_some(SystemCall {
        architecture: info.architecture,
        number: info.number,
        arguments: info.arguments,
        instruction_addr: info.instruction_addr,
        stack_addr: info.stack_addr,
    }))
}

/// Lets a stopped tracee go on, with the signal that it stopped for.
pub fn resume(tracee: Pid, until: Until, signal: i32) {
    let request = match until {
        Until::Event => libc::PTRACE_CONT,
        Until::SystemCall => libc::PTRACE_SYSCALL,
        Until::Continued => libc::PTRACE_LISTEN,
    };
    // SAFETY: the request takes a number, and no memory. An error means that the process is gone.
    unsafe { libc::ptrace(request, tracee.as_raw(), 0, signal) };
}

/// When a tracee stops next, at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// At a signal or an event that was asked for.
    Event,
    /// Before and after a system call, too.
    SystemCall,
    /// It stays stopped, as a signal wants it to be, until another one continues it.
    Continued,
}

/// Why a tracee, or a child, has news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Exited(i32),
    Signaled(i32),
    /// It stands before the first instruction of a new program.
    Exec,
    /// It ends, and still has its memory.
    Exiting,
    SystemCall,
    /// A signal stops it until it is continued.
    GroupStop,
    /// A signal is to be delivered.
    Signal(i32),
    /// A new thread, or a thread that goes on.
    Other,
}

impl Event {
    /// Takes a status of `waitpid` apart.
    fn of(status: i32) -> Self {
        if libc::WIFEXITED(status) {
            return Self::Exited(libc::WEXITSTATUS(status));
        }
        if libc::WIFSIGNALED(status) {
            return Self::Signaled(libc::WTERMSIG(status));
        }
        let signal = libc::WSTOPSIG(status);
        match status >> 16 {
            libc::PTRACE_EVENT_EXEC => Self::Exec,
            libc::PTRACE_EVENT_EXIT => Self::Exiting,
            libc::PTRACE_EVENT_STOP if signal != libc::SIGTRAP => Self::GroupStop,
            // `PTRACE_O_TRACESYSGOOD`.
            0 if signal == libc::SIGTRAP | 0x80 => Self::SystemCall,
            0 => Self::Signal(signal),
            _ => Self::Other,
        }
    }
}

/// Waits for news of any child or tracee.
pub fn wait() -> Result<(Pid, Event), Errno> {
    let mut status = 0;
    loop {
        // SAFETY: the status is ours.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::__WALL) };
        match Errno::result(pid) {
            Ok(pid) => return Ok((Pid::from_raw(pid), Event::of(status))),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
