//! The requests themselves, each with its memory: all of `ptrace(2)` that is used. They are made by what
//! stands for a thread in the right state, see the [parent](super).

use nix::errno::Errno;
use nix::sys::ptrace::Options;
use nix::unistd::Pid;

use crate::error::{Attempt, Error, Result};

/// As glibc has them, and the others.
#[cfg(target_env = "gnu")]
type Request = libc::c_uint;
#[cfg(not(target_env = "gnu"))]
type Request = libc::c_int;

/// Size of the kernel's set of signals.
const MASK_BYTES: usize = size_of::<u64>();

/// A set of registers, by its number in `include/uapi/linux/elf.h`.
#[allow(dead_code, reason = "x86-64 has a request of its own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterSet {
    /// `NT_PRSTATUS`.
    General = 1,
    /// `NT_PRFPREG`.
    FloatingPoint = 2,
    /// `NT_ARM_GCS` (Linux 6.13).
    ShadowStack = 0x410,
}

/// `PTRACE_GET_RSEQ_CONFIGURATION` (Linux 5.13).
const GET_RSEQ_CONFIGURATION: Request = 0x420f;

/// `PTRACE_TRACEME`, by a child: its parent hears of it by [`wait_for`](super::wait_for). It stops at the end of
/// `execve` by `SIGTRAP`; it was not seized, so it cannot be interrupted. Makes one system call.
pub fn trace_me() -> nix::Result<()> {
    nix::sys::ptrace::traceme()
}

/// `PTRACE_SEIZE`.
pub fn seize(tid: Pid, options: Options) -> Result<()> {
    let result = number(libc::PTRACE_SEIZE, tid, options.bits() as usize);
    result.map_err(|errno| Error::on(tid, Attempt::Seize, errno))
}

/// `PTRACE_INTERRUPT`.
pub fn interrupt(tid: Pid) -> Result<()> {
    traced(tid, number(libc::PTRACE_INTERRUPT, tid, 0))
}

/// `PTRACE_SETOPTIONS`.
pub fn set_options(tid: Pid, options: Options) -> Result<()> {
    traced(tid, number(libc::PTRACE_SETOPTIONS, tid, options.bits() as usize))
}

/// `PTRACE_CONT`, with a signal or zero.
pub fn cont(tid: Pid, signal: i32) -> Result<()> {
    traced(tid, number(libc::PTRACE_CONT, tid, signal as usize))
}

/// `PTRACE_SYSCALL`, with a signal or zero.
pub fn cont_to_call(tid: Pid, signal: i32) -> Result<()> {
    traced(tid, number(libc::PTRACE_SYSCALL, tid, signal as usize))
}

/// `PTRACE_LISTEN`.
pub fn listen(tid: Pid) -> Result<()> {
    traced(tid, number(libc::PTRACE_LISTEN, tid, 0))
}

/// `PTRACE_DETACH`, with a signal or zero.
pub fn detach(tid: Pid, signal: i32) -> Result<()> {
    traced(tid, number(libc::PTRACE_DETACH, tid, signal as usize))
}

/// `PTRACE_GETEVENTMSG`.
pub fn event_message(tid: Pid) -> Result<u64> {
    let mut message: libc::c_ulong = 0;
    // SAFETY: the kernel writes one word, which is ours.
    let result = unsafe { raw(libc::PTRACE_GETEVENTMSG, tid, 0, (&raw mut message).cast()) };
    traced(tid, result.map(drop))?;
    Ok(message as u64)
}

/// `PTRACE_GETSIGMASK`.
pub fn blocked_signals(tid: Pid) -> Result<u64> {
    let mut blocked = 0_u64;
    let (request, mask) = (libc::PTRACE_GETSIGMASK as Request, &raw mut blocked);
    // SAFETY: the kernel writes as many bytes as it is told.
    let result = unsafe { raw(request, tid, MASK_BYTES, mask.cast()) };
    traced(tid, result.map(drop))?;
    Ok(blocked)
}

/// `PTRACE_SETSIGMASK`.
pub fn set_blocked_signals(tid: Pid, mut blocked: u64) -> Result<()> {
    let (request, mask) = (libc::PTRACE_SETSIGMASK as Request, &raw mut blocked);
    // SAFETY: the kernel reads as many bytes as it is told.
    let result = unsafe { raw(request, tid, MASK_BYTES, mask.cast()) };
    traced(tid, result.map(drop))
}

/// Where the thread's `struct rseq` is, by `PTRACE_GET_RSEQ_CONFIGURATION`; zero if it has none, or if the
/// kernel does not tell.
pub fn rseq_addr(tid: Pid) -> Result<u64> {
    let mut configuration = [0_u64; 3];
    let (bytes, place) = (size_of_val(&configuration), configuration.as_mut_ptr());
    // SAFETY: the kernel writes as many bytes as it is told.
    let result = unsafe { raw(GET_RSEQ_CONFIGURATION, tid, bytes, place.cast()) };
    match result {
        Err(Errno::ESRCH) => Err(Error::Gone { pid: tid }),
        // Older kernels do not tell.
        Err(_) => Ok(0),
        Ok(_) => Ok(configuration[0]),
    }
}

/// `struct ptrace_syscall_info` of `include/uapi/linux/ptrace.h` at a call's entry: not every C library's headers
/// have it.
#[derive(Default)]
#[repr(C)]
pub struct CallInfo {
    pub op: u8,
    padding: [u8; 3],
    pub architecture: u32,
    pub instruction_addr: u64,
    pub stack_addr: u64,
    pub number: u64,
    pub arguments: [u64; 6],
}

impl CallInfo {
    /// `op` of a call that is about to be made.
    pub const ENTRY: u8 = 1;
}

/// `PTRACE_GET_SYSCALL_INFO` (Linux 5.3).
pub fn call_info(tid: Pid) -> Result<CallInfo> {
    const GET_SYSCALL_INFO: Request = 0x420e;
    let mut info = CallInfo::default();
    let (bytes, place) = (size_of_val(&info), &raw mut info);
    // SAFETY: the kernel writes as many bytes as it is told.
    let result = unsafe { raw(GET_SYSCALL_INFO, tid, bytes, place.cast()) };
    result.map_err(|errno| Error::on(tid, Attempt::Trace, errno))?;
    Ok(info)
}

/// `PTRACE_POKEDATA`.
pub fn poke(tid: Pid, addr: u64, word: libc::c_long) -> Result<()> {
    let written = nix::sys::ptrace::write(tid, addr as *mut libc::c_void, word);
    written.map_err(|errno| Error::on(tid, Attempt::WriteMemory, errno))
}

/// `PTRACE_GETREGS`, as `PTRACE_GETREGSET` gives those of a program of 32 bits in another form.
#[cfg(target_arch = "x86_64")]
pub fn user_registers(tid: Pid) -> Result<libc::user_regs_struct> {
    traced(tid, nix::sys::ptrace::getregs(tid))
}

/// `PTRACE_SETREGS`.
#[cfg(target_arch = "x86_64")]
pub fn set_user_registers(tid: Pid, registers: libc::user_regs_struct) -> Result<()> {
    traced(tid, nix::sys::ptrace::setregs(tid, registers))
}

/// `PTRACE_GETREGSET`: fills `registers` with those of a set, and says how many bytes that were.
///
/// # Safety
/// Any bytes must be a valid `T`.
#[allow(dead_code, reason = "x86-64 has a request of its own")]
pub unsafe fn read_registers<T>(tid: Pid, set: RegisterSet, registers: &mut T) -> Result<usize> {
    let mut buffer =
        libc::iovec { iov_base: (&raw mut *registers).cast(), iov_len: size_of::<T>() };
    let (request, place) = (libc::PTRACE_GETREGSET, &raw mut buffer);
    // SAFETY: the kernel writes to the buffer as much as it says; the caller answers for what.
    let result = unsafe { raw(request, tid, set as usize, place.cast()) };
    traced(tid, result.map(drop))?;
    Ok(buffer.iov_len)
}

/// `PTRACE_SETREGSET`: sets the general registers.
#[allow(dead_code, reason = "x86-64 has a request of its own")]
pub fn write_registers<T>(tid: Pid, registers: &T) -> Result<()> {
    let mut buffer = libc::iovec {
        iov_base: (&raw const *registers).cast_mut().cast(),
        iov_len: size_of::<T>(),
    };
    let (request, place) = (libc::PTRACE_SETREGSET, &raw mut buffer);
    // SAFETY: the kernel reads the buffer, which is as long as it says.
    let result = unsafe { raw(request, tid, RegisterSet::General as usize, place.cast()) };
    traced(tid, result.map(drop))
}

/// A request that takes a number, and no memory.
fn number(request: Request, tid: Pid, number: usize) -> nix::Result<()> {
    // SAFETY: what is not an address is not read from, and all requests here are of that kind.
    unsafe { raw(request, tid, 0, number as *mut libc::c_void) }.map(drop)
}

/// # Safety
/// What `data` points to must be as large as the kernel takes it to be for this request.
unsafe fn raw(
    request: Request,
    tid: Pid,
    addr: usize,
    data: *mut libc::c_void,
) -> nix::Result<libc::c_long> {
    // SAFETY: the caller answers for the memory.
    Errno::result(unsafe { libc::ptrace(request, tid.as_raw(), addr, data) })
}

fn traced<T>(tid: Pid, result: nix::Result<T>) -> Result<T> {
    result.map_err(|errno| Error::on(tid, Attempt::Trace, errno))
}
