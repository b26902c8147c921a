//! A program without the image: the functions of the kernel's vDSO, in its own copy, are made to make the system calls that
//! they stand for. A filter reports these, so that the supervisor can answer them by the program's clock; and whoever
//! traces the program sees them.
//!
//! For programs that somebody else traces: no second tracer can give them the image, but their memory can be written to.
//! Symbols and addresses stay, as a C library may have looked them up already. A function is written over before the
//! program has called any, while it waits in a report of its own start ([`Calls::start`](crate::arch::Calls::start)).

use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::unistd::Pid;
use vdso_arch::abi::{Call, CallSet};
use vdso_arch::system_call::Numbers;
use vdso_elf::Image;
use vdso_host::proc;

use crate::arch::jump::{JUMPS, Jumps};
use crate::error::{Attempt, Error, Result};
use crate::exec::Memory;

/// What is written over functions of the kernel's vDSO, which is the same in all programs of this program's kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelCalls(Vec<Body>);

/// What is written over one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// From the vDSO's first byte.
    pub offset: u64,
    /// The instructions.
    pub code: Vec<u8>,
}

impl KernelCalls {
    /// For the functions that answer `calls`, as far as this kernel's vDSO has them.
    ///
    /// # Errors
    /// [`Error::Architecture`] where that is not done, [`Error::NoRoom`], and what reading this process's vDSO gives.
    pub fn here(calls: CallSet) -> Result<Self> {
        let memory = Memory::of(Pid::this());
        match memory.kernel_vdso()? {
            Some((addr, _)) => Self::of(memory.pid(), &memory.mapping_at(addr)?, calls),
            None => Ok(Self(Vec::new())),
        }
    }

    /// For the functions of `vdso`, the kernel's in process `pid`, that answer `calls`.
    pub(crate) fn of(pid: Pid, vdso: &[u8], calls: CallSet) -> Result<Self> {
        let abi = vdso_image::ARCHITECTURE.abi;
        let jumps = JUMPS.as_ref().ok_or(Error::Architecture)?;
        let numbers = abi.numbers.ok_or(Error::Architecture)?;
        let image = Image::parse(vdso).map_err(Error::Image)?;
        let mut bodies = Vec::new();
        for function in abi.functions {
            let Some(call) = function.call().filter(|&call| calls.contains(call)) else { continue };
            let Some(symbol) = image.lookup(function.name, None) else { continue };
            let Some(offset) = symbol.file_offset else { continue };
            let before = vdso.get(offset..).unwrap_or_default();
            let code = code(jumps, numbers, call, before).ok_or(Error::Architecture)?;
            if code.len() > room(offset, symbol.size as usize) {
                return Err(Error::NoRoom { pid });
            }
            bodies.push(Body { offset: offset as u64, code });
        }
        Ok(Self(bodies))
    }

    /// Each function's.
    pub(crate) fn bodies(&self) -> &[Body] {
        &self.0
    }

    /// Whether somebody who goes on there, from the vDSO's first byte, would execute a part of an instruction.
    pub(crate) fn is_within(&self, offset: u64) -> bool {
        let is_in =
            |body: &Body| offset > body.offset && offset < body.offset + body.code.len() as u64;
        self.0.iter().any(is_in)
    }

    /// Writes over the functions in process `pid`, unless that `is_gone`: its number may be another's then.
    ///
    /// # Errors
    /// [`Error::Gone`], and others as the kernel has them: it can be told that only a tracer may write so
    /// (`proc_mem.force_override`).
    ///
    /// # Safety
    /// Unless it is gone, `pid` must be a program of this program's kind that waits in its report, so none of this process's,
    /// and that has one thread, which is not within such a function.
    pub unsafe fn write(&self, pid: Pid, is_gone: &dyn Fn() -> bool) -> Result<()> {
        let failed = |error: std::io::Error| {
            let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
            Error::on(pid, Attempt::WriteMemory, errno)
        };
        if !proc::is_ours() {
            return Err(Error::on(pid, Attempt::WriteMemory, Errno::ESRCH));
        }
        // It stays that program's memory, so whether that is the one in question is asked behind this.
        let file = File::options().write(true).open(format!("/proc/{pid}/mem")).map_err(failed)?;
        let vdso = Memory::of(pid).kernel_vdso();
        if is_gone() {
            return Err(Error::Gone { pid });
        }
        let Some((addr, _)) = vdso? else { return Ok(()) };
        self.0
            .iter()
            .try_for_each(|body| file.write_all_at(&body.code, addr + body.offset).map_err(failed))
    }

    /// Whether they were written over in process `pid`, or in one that it was forked from.
    pub fn are_in(&self, pid: Pid) -> bool {
        let memory = Memory::of(pid);
        let Ok(Some((addr, _))) = memory.kernel_vdso() else { return false };
        let is_there = |body: &Body| {
            let mut code = vec![0; body.code.len()];
            memory.read(addr + body.offset, &mut code).is_ok() && code == body.code
        };
        !self.0.is_empty() && self.0.iter().all(is_there)
    }
}

fn code(jumps: &Jumps, numbers: &Numbers, call: Call, before: &[u8]) -> Option<Vec<u8>> {
    let number = match call {
        Call::ClockGettime => numbers.clock_gettime?,
        Call::ClockGetres => numbers.clock_getres?,
        Call::Gettimeofday => numbers.gettimeofday?,
        Call::Time => numbers.time?,
        Call::Getcpu => numbers.getcpu,
        // It takes more than the system call does, which its caller makes then.
        _ => return Some(marked(jumps, before, (jumps.refuse)(Errno::ENOSYS as i32))),
    };
    Some(marked(jumps, before, (jumps.make_call)(number)))
}

/// Behind what must stay at a function's beginning.
fn marked(jumps: &Jumps, before: &[u8], code: Vec<u8>) -> Vec<u8> {
    match before.starts_with(jumps.mark) {
        true => [jumps.mark, &code].concat(),
        false => code,
    }
}

/// How many bytes are the function's alone, which may be a jump: the next one begins at a multiple of 16 bytes.
fn room(offset: usize, size: usize) -> usize {
    /// Of the kernel's functions on x86-64: `CONFIG_FUNCTION_ALIGNMENT` is that or more (`arch/x86/Kconfig`).
    const ALIGNMENT: usize = 4;
    (offset + size).next_multiple_of(ALIGNMENT) - offset
}

#[cfg(all(test, target_arch = "x86_64", target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn a_function_makes_its_call_and_getrandom_refuses() {
        let jumps = JUMPS.as_ref().unwrap();
        let numbers = vdso_image::ARCHITECTURE.abi.numbers.unwrap();
        let code = |call, before: &[u8]| code(jumps, numbers, call, before).unwrap();
        // mov eax, 228; syscall; ret
        let clock_gettime = b"\xb8\xe4\0\0\0\x0f\x05\xc3";
        assert_eq!(code(Call::ClockGettime, &[0x90; 16]), clock_gettime);
        // mov eax, -38; ret
        assert_eq!(code(Call::Getrandom, &[0x90; 16]), b"\xb8\xda\xff\xff\xff\xc3");
        // endbr64 stays.
        let marked = code(Call::ClockGettime, b"\xf3\x0f\x1e\xfa\xe9");
        assert_eq!(marked, [b"\xf3\x0f\x1e\xfa", &clock_gettime[..]].concat());
    }

    #[test]
    fn a_small_function_has_room_to_where_the_next_begins() {
        // A jump, and one behind a mark: what is written over them has 8 bytes, and 12.
        assert_eq!([room(0x40, 5), room(0x44, 9), room(0x40, 16)], [8, 12, 16]);
    }

    #[test]
    fn every_clock_function_of_this_kernel_has_room() {
        let Ok(Some(_)) = Memory::of(Pid::this()).kernel_vdso() else { return };
        let all = KernelCalls::here(CallSet::ALL).expect("room");
        assert!(all.bodies().len() >= 5, "{all:?}");
        let one = KernelCalls::here(Call::Time.into()).expect("room");
        assert_eq!(one.bodies().len(), 1);
        assert!(!all.are_in(Pid::this()));
    }
}
