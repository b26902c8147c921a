//! Signal handlers: sigaction(2).

use syscalls::{Errno, Sysno};
use vdso_arch::system_call::X32_BIT;
#[cfg(target_arch = "x86_64")]
use vdso_arch::system_call::numbers;

use super::{IS_MIPS, IS_X32, number_of, raw};

/// What a handler is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The signal's number.
    Signal,
    /// That, where it came from, and the registers that it interrupted: three arguments.
    Registers,
}

/// Sources: `include/uapi/asm-generic/signal.h` and mips' `asm/signal.h`.
const SA_SIGINFO: usize = if IS_MIPS { 8 } else { 4 };
/// Source: `arch/x86/include/uapi/asm/signal.h`.
#[cfg(target_arch = "x86_64")]
const SA_RESTORER: usize = 0x0400_0000;

/// Bytes of a set of signals.
const MASK_BYTES: usize = if IS_MIPS { 16 } else { 8 };

/// `struct sigaction` of the kernel's. Source: `asm/signal.h` of each architecture.
#[repr(C)]
struct Action {
    #[cfg(any(target_arch = "mips", target_arch = "mips64"))]
    flags: u32,
    handler: usize,
    #[cfg(not(any(target_arch = "mips", target_arch = "mips64")))]
    flags: usize,
    #[cfg(not(any(
        target_arch = "riscv64",
        target_arch = "loongarch64",
        target_arch = "mips",
        target_arch = "mips64"
    )))]
    restorer: usize,
    mask: [u8; MASK_BYTES],
}

/// Gives a signal a handler, which returns by the kernel's own trampoline.
///
/// # Safety
/// `handler` must be the address of a function that is sound wherever the signal comes.
pub unsafe fn set_handler(signal: usize, handler: usize, told: Told) -> Result<(), Errno> {
    let flags = if told == Told::Registers { SA_SIGINFO } else { 0 };
    // x86-64's vDSO has no trampoline, so the kernel has none to send handlers to.
    #[cfg(target_arch = "x86_64")]
    let (flags, restorer) = (flags | SA_RESTORER, (restore as *const ()).expose_provenance());
    #[cfg(not(target_arch = "x86_64"))]
    #[allow(unused_variables, reason = "some architectures have no such field")]
    let restorer = 0;
    let action = Action {
        handler,
        flags: flags as _,
        #[cfg(not(any(
            target_arch = "riscv64",
            target_arch = "loongarch64",
            target_arch = "mips",
            target_arch = "mips64"
        )))]
        restorer,
        mask: [0; MASK_BYTES],
    };
    let arguments = [signal, (&raw const action).expose_provenance(), 0, MASK_BYTES, 0, 0];
    /// x32 has a number of its own. Source: `arch/x86/entry/syscalls/syscall_64.tbl`.
    const X32_RT_SIGACTION: usize = X32_BIT as usize + 512;
    let number = if IS_X32 { X32_RT_SIGACTION } else { number_of(Sysno::rt_sigaction) };
    // SAFETY: it reads `action`; the caller answers for the handler.
    unsafe { raw(number, arguments) }.map(drop)
}

#[cfg(target_arch = "x86_64")]
unsafe extern "C" {
    fn restore();
}

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl restore",
    "restore:",
    "mov eax, {number}",
    "syscall",
    number = const if IS_X32 { numbers::X32 } else { numbers::X86_64 }.rt_sigreturn,
);
