//! Whom nothing is attached to, and why.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::unistd::Pid;
use vdso_host::proc::{self, Stat, Status};

use crate::error::{Attempt, Error, Result};
use crate::exec::Memory;

/// An error that says why a process is not one that an image is attached to.
pub fn may_be_attached(pid: Pid) -> Result<()> {
    let failed = |error: io::Error| of_proc(pid, &error);
    let status = Status::read(pid).map_err(failed)?;
    let stat = Stat::read(pid).map_err(failed)?;
    if stat.has_ended() || status.number("Tgid") != Some(pid.as_raw()) {
        return Err(Error::Gone { pid });
    }
    if is_kernels(&stat) {
        return Err(Error::KernelThread { pid });
    }
    let tracer = status.number("TracerPid").filter(|&tracer: &i32| tracer != 0);
    if let Some(tracer) = tracer {
        return Err(Error::Traced { pid, tracer: Pid::from_raw(tracer) });
    }
    // Each thread has filters of its own.
    for tid in proc::numbers_in(format!("/proc/{pid}/task")).map_err(failed)? {
        if is_filtered(pid, tid)? {
            return Err(Error::Filtered { pid });
        }
    }
    // From here on another user's process refuses.
    let vdso = Memory::of(pid).kernel_vdso()?;
    let announced = announced(pid)?;
    match (vdso, announced) {
        (Some((start, _)), Some(addr)) if start != addr => return Err(Error::HasImage { pid }),
        (Some(_), _) => {}
        (None, Some(addr)) if addr != 0 => return Err(Error::HasImage { pid }),
        (None, _) => return Err(Error::WithoutVdso { pid }),
    }
    if time_namespace(pid).map_err(failed)? != time_namespace("self").map_err(failed)? {
        return Err(Error::TimeNamespace { pid });
    }
    Ok(())
}

/// Whether a thread has a seccomp filter; not if it has ended.
pub fn is_filtered(pid: Pid, tid: i32) -> Result<bool> {
    /// `SECCOMP_MODE_DISABLED` of `include/uapi/linux/seccomp.h`.
    const UNCONFINED: u32 = 0;
    match Status::read(format_args!("{pid}/task/{tid}")) {
        Ok(status) => Ok(status.number("Seccomp").unwrap_or(UNCONFINED) != UNCONFINED),
        Err(error) => match of_proc(pid, &error) {
            Error::Gone { .. } => Ok(false),
            error => Err(error),
        },
    }
}

/// `PF_KTHREAD` of `include/linux/sched.h`, in field 9.
fn is_kernels(stat: &Stat) -> bool {
    const KERNEL_THREAD: u32 = 0x0020_0000;
    stat.field(9).is_some_and(|flags: u32| flags & KERNEL_THREAD != 0)
}

/// What the auxiliary vector says, as words of 64 bits: a 32-bit program's says nothing then.
fn announced(pid: Pid) -> Result<Option<u64>> {
    let auxv = fs::read(format!("/proc/{pid}/auxv")).map_err(|error| of_proc(pid, &error))?;
    let words: Vec<u64> = auxv.as_chunks().0.iter().map(|&word| u64::from_ne_bytes(word)).collect();
    let entry = words.chunks_exact(2).find(|entry| entry[0] == libc::AT_SYSINFO_EHDR);
    Ok(entry.map(|entry| entry[1]))
}

fn time_namespace(process: impl std::fmt::Display) -> io::Result<u64> {
    match fs::metadata(format!("/proc/{process}/ns/time")) {
        Ok(namespace) => Ok(namespace.ino()),
        // A kernel without them.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// The processes that are known to have a memory of their own.
///
/// Only the threads of one process are stopped: so no other may have the same memory. Who does not have it now can only be
/// given it by being made, so of a program that has stopped only processes are compared that are new. Processes of other
/// users, which cannot be compared, cannot have it without having been given it by a program of that kind (`CLONE_VM`,
/// then `setuid`).
#[derive(Debug, Default)]
pub struct Compared(HashSet<i32>);

impl Compared {
    /// An error if a process that is not known yet has the same memory.
    pub fn compare(&mut self, pid: Pid) -> Result<()> {
        let processes = proc::numbers_in("/proc").map_err(|error| of_proc(pid, &error))?;
        let owner = owner(pid.as_raw()).map_err(|error| of_proc(pid, &error))?;
        for other in processes.filter(|&other| other != pid.as_raw()) {
            if !self.0.insert(other) || self::owner(other).ok() != Some(owner) {
                continue;
            }
            match has_same_memory(pid.as_raw(), other) {
                Ok(false) | Err(Errno::ESRCH) => {}
                Ok(true) => {
                    return Err(Error::SharedMemory { pid, other: Pid::from_raw(other) });
                }
                // One that its user may run but not read has a memory of its own.
                Err(Errno::EPERM) if has_same_memory(pid.as_raw(), pid.as_raw()).is_ok() => {}
                Err(errno) => return Err(Error::on(pid, Attempt::CompareMemory, errno)),
            }
        }
        Ok(())
    }
}

fn owner(pid: i32) -> io::Result<u32> {
    fs::metadata(format!("/proc/{pid}")).map(|folder| folder.uid())
}

fn has_same_memory(one: i32, other: i32) -> nix::Result<bool> {
    /// `KCMP_VM` of `include/uapi/linux/kcmp.h`.
    const VM: libc::c_int = 1;
    // SAFETY: takes numbers.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, one, other, VM, 0, 0) };
    Errno::result(order).map(|order| order == 0)
}

fn of_proc(pid: Pid, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::Gone { pid },
        _ => Error::on(
            pid,
            Attempt::ReadProc,
            error.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
        ),
    }
}

/// The kind of program by its vDSO, if that is not 64-bit: the kernel gives each program one of its own kind.
pub fn foreign(vdso: &[u8]) -> Option<&'static str> {
    /// `EI_CLASS` and its value for 64 bits, `include/uapi/linux/elf.h`.
    const CLASS: usize = 4;
    const CLASS_64: u8 = 2;
    /// `e_machine`, and its value for i386.
    const MACHINE: usize = 18;
    const I386: u8 = 3;
    match (vdso.get(CLASS)?, vdso.get(MACHINE)?) {
        (&CLASS_64, _) => None,
        (_, &I386) => Some("i386"),
        _ => Some("x32"),
    }
}
