//! x86-64, whose kernels execute i386 and x32 programs, too.

mod i386_stub;
mod jumps;
mod registers;
mod stub;
mod timed;

use super::{Abi, Calls, StubNumbers, Word, stub_calls};
use crate::exec::Probe;

pub use jumps::JUMPS;
pub use registers::Registers;

/// `AUDIT_ARCH_X86_64` and `AUDIT_ARCH_I386`, `include/uapi/linux/audit.h`.
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const AUDIT_ARCH_I386: u32 = 0x4000_0003;

/// `EM_X86_64` and `EM_386`, `include/uapi/linux/elf-em.h`.
const EM_X86_64: u16 = 62;
const EM_386: u16 = 3;

/// Set in the numbers of x32's system calls.
const X32_BIT: u32 = 0x4000_0000;

/// `arch/x86/entry/syscalls/syscall_64.tbl`.
static ABI_64: Abi = Abi {
    name: "x86-64",
    word: Word::Bits64,
    calls: Calls {
        audit_arch: AUDIT_ARCH_X86_64,
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
        timed: timed::CALLS,
    },
    stub: Some(stub::STUB),
    probe: None,
};

/// The same table.
static ABI_X32: Abi = Abi {
    name: "x32",
    word: Word::Bits32,
    calls: Calls {
        audit_arch: AUDIT_ARCH_X86_64,
        execve: X32_BIT | 520,
        execveat: X32_BIT | 545,
        prctl: X32_BIT | 157,
        seccomp: X32_BIT | 317,
        stub: &stub_calls(StubNumbers {
            eventfd2: X32_BIT | 290,
            prctl: X32_BIT | 157,
            fstat: X32_BIT | 5,
            mmap: X32_BIT | 9,
            mprotect: X32_BIT | 10,
            close: X32_BIT | 3,
            madvise: X32_BIT | 28,
            brk: X32_BIT | 12,
            munmap: X32_BIT | 11,
        }),
        timed: timed::X32_CALLS,
    },
    stub: Some(stub::X32_STUB),
    // mov eax, 0x4000003c; syscall: `exit`
    probe: Some(Probe { machine: EM_X86_64, code: b"\xb8\x3c\0\0\x40\x0f\x05" }),
};

/// `arch/x86/entry/syscalls/syscall_32.tbl`.
static ABI_I386: Abi = Abi {
    name: "i386",
    word: Word::Bits32,
    calls: Calls {
        audit_arch: AUDIT_ARCH_I386,
        execve: 11,
        execveat: 358,
        prctl: 172,
        seccomp: 354,
        stub: &stub_calls(StubNumbers {
            eventfd2: 328,
            prctl: 172,
            fstat: 197,
            mmap: 192,
            mprotect: 125,
            close: 6,
            madvise: 219,
            brk: 45,
            munmap: 91,
        }),
        timed: &[],
    },
    stub: Some(i386_stub::STUB),
    // mov eax, 1; int 0x80: `exit`
    probe: Some(Probe { machine: EM_386, code: b"\xb8\x01\0\0\0\xcd\x80" }),
};

/// What these kernels execute.
pub static ABIS: &[&Abi] = &[&ABI_64, &ABI_X32, &ABI_I386];
