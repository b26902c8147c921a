//! x86-64, whose kernels execute i386 and x32 programs, too.

mod i386_stub;
mod jumps;
mod registers;
mod stub;
mod timed;

use vdso_arch::Machine;
use vdso_arch::abi::rows;
use vdso_arch::system_call::{X32_BIT, numbers};

use super::{Abi, StartCall, stub_calls};
use crate::exec::Probe;

pub use jumps::JUMPS;
pub use registers::Registers;

/// `arch/x86/entry/syscalls/syscall_64.tbl`.
const ARCH_PRCTL: u32 = 158;
/// `arch/x86/include/uapi/asm/prctl.h`.
const ARCH_SET_FS: u32 = 0x1002;
/// `arch/x86/entry/syscalls/syscall_32.tbl`.
const I386_SET_THREAD_AREA: u32 = 243;

static ABI_64: Abi = Abi::new(&rows::X86_64, &stub_calls(&numbers::X86_64), Some(stub::STUB), None)
    .with_start(StartCall { number: ARCH_PRCTL, first: Some(ARCH_SET_FS) })
    .with_timed(timed::CALLS);

static ABI_X32: Abi = Abi::new(
    &rows::X32,
    &stub_calls(&numbers::X32),
    Some(stub::X32_STUB),
    // mov eax, 0x4000003c; syscall: `exit`
    Some(Probe { machine: Machine::X86_64.0, code: b"\xb8\x3c\0\0\x40\x0f\x05" }),
)
.with_start(StartCall { number: X32_BIT | ARCH_PRCTL, first: Some(ARCH_SET_FS) })
.with_timed(timed::X32_CALLS);

static ABI_I386: Abi = Abi::new(
    &rows::I386,
    &stub_calls(&numbers::I386),
    Some(i386_stub::STUB),
    // mov eax, 1; int 0x80: `exit`
    Some(Probe { machine: Machine::I386.0, code: b"\xb8\x01\0\0\0\xcd\x80" }),
)
.with_start(StartCall { number: I386_SET_THREAD_AREA, first: None })
.with_timed(timed::I386_CALLS);

/// What these kernels execute.
pub static ABIS: &[&Abi] = &[&ABI_64, &ABI_X32, &ABI_I386];
