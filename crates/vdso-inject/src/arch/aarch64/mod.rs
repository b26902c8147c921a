//! arm64, most of whose kernels execute 32-bit arm programs, too.

mod registers;
mod stub;

use super::jump::Jumps;
use super::{Abi, Calls, StubNumbers, Word, stub_calls};

pub use registers::Registers;

/// Not done here yet.
pub static JUMPS: Option<Jumps> = None;

/// `AUDIT_ARCH_AARCH64` and `AUDIT_ARCH_ARM`, `include/uapi/linux/audit.h`.
const AUDIT_ARCH_AARCH64: u32 = 0xc000_00b7;
const AUDIT_ARCH_ARM: u32 = 0x4000_0028;

/// `include/uapi/asm-generic/unistd.h`.
static ABI_64: Abi = Abi {
    name: "arm64",
    word: Word::Bits64,
    calls: Calls {
        audit_arch: AUDIT_ARCH_AARCH64,
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

/// `arch/arm/tools/syscall.tbl`.
static ABI_ARM: Abi = Abi {
    name: "arm",
    word: Word::Bits32,
    calls: Calls {
        audit_arch: AUDIT_ARCH_ARM,
        execve: 11,
        execveat: 387,
        prctl: 172,
        seccomp: 383,
        stub: &[],
    },
    stub: None,
    probe: None,
};

/// What these kernels execute.
pub static ABIS: &[&Abi] = &[&ABI_64, &ABI_ARM];
