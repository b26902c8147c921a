//! Requests about a stopped tracee that only [`Remote`](super::remote::Remote) makes.

use nix::errno::Errno;
use nix::unistd::Pid;

use super::memory::Memory;
use crate::error::{Attempt, Error, Result};

/// The signal of a stop at a system call's beginning or end.
pub const CALL: i32 = libc::SIGTRAP | 0x80;

/// Stops at system calls are told from others by [`CALL`].
pub fn tell_calls_apart(pid: Pid) -> Result<()> {
    set_options(pid, libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_TRACESYSGOOD)
}

/// As [`seize`](crate::ptrace::seize) sets the options.
pub fn tell_execs(pid: Pid) -> Result<()> {
    set_options(pid, libc::PTRACE_O_TRACEEXEC)
}

fn set_options(pid: Pid, options: libc::c_int) -> Result<()> {
    // SAFETY: the request takes a number.
    let result = unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid.as_raw(), 0, options) };
    checked(pid, result)
}

/// Lets it go on to where a system call begins or ends.
pub fn resume_to_call(pid: Pid) -> Result<()> {
    // SAFETY: the request takes a number.
    let result = unsafe { libc::ptrace(libc::PTRACE_SYSCALL, pid.as_raw(), 0, 0) };
    checked(pid, result)
}

/// Size of the kernel's set of signals.
const MASK_BYTES: usize = size_of::<u64>();

/// All signals, beyond `blocked`, but those that the program's own instructions raise, for which the kernel
/// would forget their handlers.
pub fn while_worked_on(blocked: u64) -> u64 {
    let own =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS];
    let own = own.iter().fold(0, |set, signal| set | 1_u64 << (signal - 1));
    // Nobody blocks these: they would not be read back.
    let never =
        [libc::SIGKILL, libc::SIGSTOP].iter().fold(0, |set, signal| set | 1_u64 << (signal - 1));
    (blocked | !own) & !never
}

/// The signals that are blocked.
pub fn blocked_signals(pid: Pid) -> Result<u64> {
    let mut blocked = 0_u64;
    let (request, mask) = (libc::PTRACE_GETSIGMASK as _, &raw mut blocked);
    // SAFETY: the kernel writes as many bytes as it is told.
    let result = unsafe { libc::ptrace(request, pid.as_raw(), MASK_BYTES, mask) };
    checked(pid, result)?;
    Ok(blocked)
}

/// Blocks these.
pub fn set_blocked_signals(pid: Pid, mut blocked: u64) -> Result<()> {
    let (request, mask) = (libc::PTRACE_SETSIGMASK as _, &raw mut blocked);
    // SAFETY: the kernel reads as many bytes as it is told.
    let result = unsafe { libc::ptrace(request, pid.as_raw(), MASK_BYTES, mask) };
    checked(pid, result)
}

/// Whether it is, at `addr`, in a sequence that the kernel must have begin anew when it is interrupted:
/// rseq(2). If it went on elsewhere first, the kernel would take the sequence for left.
pub fn is_in_restartable_sequence(pid: Pid, addr: u64) -> Result<bool> {
    /// `PTRACE_GET_RSEQ_CONFIGURATION`, Linux 5.13, and what it fills in.
    const REQUEST: u32 = 0x420f;
    let mut configuration = [0_u64; 3];
    let (bytes, place) = (size_of_val(&configuration), &raw mut configuration);
    // SAFETY: the kernel writes as many bytes as it is told.
    let result = unsafe { libc::ptrace(REQUEST as _, pid.as_raw(), bytes, place) };
    // Older kernels do not tell; C libraries have no such sequences.
    if result <= 0 || configuration[0] == 0 {
        return Ok(false);
    }
    /// Of `rseq_cs` in `struct rseq`, `include/uapi/linux/rseq.h`.
    const SEQUENCE: u64 = 8;
    let memory = Memory::of(pid);
    let sequence_addr = word_at(&memory, configuration[0] + SEQUENCE)?;
    if sequence_addr == 0 {
        return Ok(false);
    }
    // `start_ip` and `post_commit_offset` in `struct rseq_cs`.
    let start = word_at(&memory, sequence_addr + 8)?;
    let length = word_at(&memory, sequence_addr + 16)?;
    Ok(addr.wrapping_sub(start) < length)
}

fn word_at(memory: &Memory, addr: u64) -> Result<u64> {
    let mut word = [0; 8];
    memory.read(addr, &mut word)?;
    Ok(u64::from_ne_bytes(word))
}

/// The status of its next stop, or its end; `None` if it has neither stopped nor ended yet.
pub fn poll_for(pid: Pid) -> Result<Option<i32>> {
    wait(pid, libc::WNOHANG)
}

/// The same, as soon as there is one.
pub fn wait_for(pid: Pid) -> Result<i32> {
    loop {
        if let Some(status) = wait(pid, 0)? {
            return Ok(status);
        }
    }
}

fn wait(pid: Pid, flags: libc::c_int) -> Result<Option<i32>> {
    let mut status = 0;
    // SAFETY: the status is ours.
    let waited = unsafe { libc::waitpid(pid.as_raw(), &mut status, libc::__WALL | flags) };
    match Errno::result(waited) {
        Ok(0) | Err(Errno::EINTR) => Ok(None),
        Ok(_) => Ok(Some(status)),
        // Somebody has heard of its end already.
        Err(Errno::ECHILD) => Err(Error::Gone { pid }),
        Err(errno) => Err(Error::on(pid, Attempt::Trace, errno)),
    }
}

/// Sends it a signal that was kept from it.
pub fn send(pid: Pid, signal: i32) {
    // SAFETY: takes numbers. An error means that it is gone.
    unsafe { libc::syscall(libc::SYS_tgkill, pid.as_raw(), pid.as_raw(), signal) };
}

fn checked(pid: Pid, result: libc::c_long) -> Result<()> {
    Errno::result(result).map(drop).map_err(|errno| Error::on(pid, Attempt::Trace, errno))
}
