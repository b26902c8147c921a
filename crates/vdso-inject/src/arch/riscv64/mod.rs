//! 64-bit RISC-V.

mod registers;
mod stub;

use super::jump::Jumps;
use super::{Abi, Calls, StubNumbers, Word, stub_calls};

pub use registers::Registers;

/// Not done here yet.
pub static JUMPS: Option<Jumps> = None;

/// `AUDIT_ARCH_RISCV64`, `include/uapi/linux/audit.h`.
const AUDIT_ARCH_RISCV64: u32 = 0xc000_00f3;

/// `include/uapi/asm-generic/unistd.h`.
static ABI_64: Abi = Abi {
    name: "riscv64",
    word: Word::Bits64,
    calls: Calls {
        audit_arch: AUDIT_ARCH_RISCV64,
        execve: libc::SYS_execve as u32,
        execveat: libc::SYS_execveat as u32,
        prctl: libc::SYS_prctl as u32,
        seccomp: libc::SYS_seccomp as u32,
        stub: &stub_calls(StubNumbers {
            eventfd2: libc::SYS_eventfd2 as u32,
            prctl: libc::SYS_prctl as u32,
            fstat: libc::SYS_fstat as u32,
            mmap: libc::SYS_mmap as u32,
            mprotect: libc::SYS_mprotect as u32,
            close: libc::SYS_close as u32,
            madvise: libc::SYS_madvise as u32,
            brk: libc::SYS_brk as u32,
            munmap: libc::SYS_munmap as u32,
        }),
        timed: &[],
    },
    stub: Some(stub::STUB),
    probe: None,
};

/// What these kernels execute. No processor that Linux runs on executes 32-bit programs as well.
pub static ABIS: &[&Abi] = &[&ABI_64];
