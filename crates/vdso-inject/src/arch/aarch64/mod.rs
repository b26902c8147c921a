//! arm64, most of whose kernels execute 32-bit arm programs, too.

mod registers;
mod stub;

use super::{Abi, Calls, Word};

pub use registers::Registers;

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
    },
    stub: Some(stub::STUB),
    probe: None,
};

/// `arch/arm/tools/syscall.tbl`.
static ABI_ARM: Abi = Abi {
    name: "arm",
    word: Word::Bits32,
    calls: Calls { audit_arch: AUDIT_ARCH_ARM, execve: 11, execveat: 387, prctl: 172 },
    stub: None,
    probe: None,
};

/// What these kernels execute.
pub static ABIS: &[&Abi] = &[&ABI_64, &ABI_ARM];
