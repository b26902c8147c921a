//! The kernel's vDSO for programs of another kind, from a process of our own: what is known of it goes into
//! what all later programs get, so it must come from nobody who could lie. A program's stack and memory
//! may be written to by other processes of its user.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{ForkResult, Pid, fork};

use super::companion::{DataPages, KernelVdso};
use super::memory::Memory;
use crate::arch::Abi;
use crate::error::{Attempt, Error, Result};
use crate::ptrace::{Stopped, Told, trace_me, wait_for};

/// The least that the kernel executes as a program of a kind, to look at what it gives to such programs.
#[derive(Debug)]
pub struct Probe {
    /// `e_machine` of its ELF header.
    pub machine: u16,
    /// Code that ends it, should it ever run.
    pub code: &'static [u8],
}

/// What the kernel gives to programs of this kind, which have pointers of 32 bits; an empty image if
/// nothing.
pub fn kernel_vdso(abi: &Abi) -> Result<KernelVdso> {
    let probe = abi.probe.as_ref().ok_or(Error::Architecture)?;
    let program = executable(probe).map_err(failed)?;
    let probing = Probing::at_exec(&program)?;
    let memory = Memory::of(probing.pid);
    let Some((addr, _)) = memory.kernel_vdso()? else {
        return Ok(KernelVdso { image: Vec::new(), pages: DataPages::Elsewhere });
    };
    Ok(KernelVdso { image: memory.mapping_at(addr)?, pages: memory.data_pages(addr)? })
}

/// A process of ours that stands at its first instruction, and ends with this.
struct Probing {
    pid: Pid,
    _thread: Stopped,
}

impl Probing {
    fn at_exec(program: &OwnedFd) -> Result<Self> {
        // SAFETY: the child makes nothing but system calls.
        match unsafe { fork() }.map_err(|errno| Error::on_self(Attempt::Fork, errno))? {
            ForkResult::Child => become_program(program),
            ForkResult::Parent { child: pid } => match wait_for(pid) {
                Told::Stopped(thread) => Ok(Self { pid, _thread: thread }),
                // The kernel does not execute such programs, or not from memory.
                Told::Running(_) | Told::Ended(_) => Err(failed(Errno::ENOEXEC)),
            },
        }
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        // Before its tracer lets go of it. Where it has ended already, there is nobody to wait for.
        if kill(self.pid, Signal::SIGKILL).is_ok() {
            let _ = wait_for(self.pid);
        }
    }
}

fn become_program(program: &OwnedFd) -> ! {
    // It stops by this signal; all of the supervisor's are blocked.
    let _ = SigSet::from(Signal::SIGTRAP).thread_unblock();
    if trace_me().is_ok() {
        let nothing = [std::ptr::null::<libc::c_char>()];
        let (arguments, environment) = (nothing.as_ptr(), nothing.as_ptr());
        let (call, file) = (libc::SYS_execveat, program.as_raw_fd());
        // SAFETY: path, arguments and environment are valid for the call.
        unsafe {
            libc::syscall(call, file, c"".as_ptr(), arguments, environment, libc::AT_EMPTY_PATH)
        };
    }
    // SAFETY: ends the process without running what belongs to its parent.
    unsafe { libc::_exit(127) }
}

fn executable(probe: &Probe) -> nix::Result<OwnedFd> {
    /// `include/uapi/linux/memfd.h` (Linux 6.3): without it an administrator may have files in memory not be
    /// executable.
    const MFD_EXEC: libc::c_uint = 0x10;
    let executable = MFdFlags::MFD_CLOEXEC | MFdFlags::from_bits_retain(MFD_EXEC);
    let create = |flags| memfd_create(c"vdso-probe", flags);
    let file = match create(executable) {
        Err(Errno::EINVAL) => create(MFdFlags::MFD_CLOEXEC),
        created => created,
    }?;
    let bytes = elf(probe);
    match nix::unistd::write(&file, &bytes)? {
        written if written == bytes.len() => Ok(file),
        _ => Err(Errno::ENOSPC),
    }
}

/// An ELF header, one program header, and the code: elf(5).
fn elf(probe: &Probe) -> Vec<u8> {
    const ADDR: u32 = 0x40_0000;
    const HEADER_BYTES: u16 = 52;
    const ENTRY_BYTES: u16 = 32;
    let code_offset = u32::from(HEADER_BYTES + ENTRY_BYTES);
    let bytes = code_offset + probe.code.len() as u32;
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    let halves = |halves: &[u16]| halves.iter().flat_map(|half| half.to_le_bytes()).collect();
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let parts: [Vec<u8>; 5] = [
        // ET_EXEC, the machine; version, entry, program headers, section headers, flags; sizes and counts
        halves(&[2, probe.machine]),
        words(&[1, ADDR + code_offset, HEADER_BYTES.into(), 0, 0]),
        halves(&[HEADER_BYTES, ENTRY_BYTES, 1, 0, 0, 0]),
        // PT_LOAD from the file's start, readable and executable
        words(&[1, 0, ADDR, ADDR, bytes, bytes, 5, 0x1000]),
        probe.code.to_vec(),
    ];
    file.extend(parts.concat());
    file
}

fn failed(errno: Errno) -> Error {
    Error::on_self(Attempt::Probe, errno)
}
