//! What differs by architecture. Each file has the same three things:
//!
//! - `system_call(number, arguments)`: the value, or a negative error number;
//! - `number`: the numbers of the system calls that are made here;
//! - `call(function, …)`, `call_with_five`: a call of a vDSO function, with the same kind of result.
//!
//! All but PowerPC's vDSO functions are called as C functions are, by `c_call`.
//!
//! Inline assembly is stable for all of them but mips. There the system calls go through the C
//! library's `syscall` (feature `libc-syscall`), as on any architecture that has no file here.
//!
//! Sources: syscall(2) for registers; `arch/*/entry/syscalls/*.tbl` and
//! `include/uapi/asm-generic/unistd.h` (Linux 6.18) for numbers.

#[cfg(not(any(target_arch = "powerpc", target_arch = "powerpc64")))]
mod c_call;
#[cfg(not(any(target_arch = "powerpc", target_arch = "powerpc64")))]
pub(crate) use c_call::{call, call_with_five};

macro_rules! architectures {
    ($($file:ident: $condition:meta;)*) => {$(
        #[cfg(all($condition, not(miri)))]
        #[cfg_attr(not(feature = "std"), allow(dead_code, reason = "threads need a number more"))]
        mod $file;
        #[cfg(all($condition, not(miri)))]
        pub(crate) use $file::*;
    )*};
}

architectures! {
    x86_64: target_arch = "x86_64";
    x86: target_arch = "x86";
    aarch64: target_arch = "aarch64";
    arm: target_arch = "arm";
    riscv: any(target_arch = "riscv64", target_arch = "riscv32");
    loongarch64: target_arch = "loongarch64";
    powerpc: any(target_arch = "powerpc64", target_arch = "powerpc");
    s390x: target_arch = "s390x";
    mips: any(target_arch = "mips", target_arch = "mips64", target_arch = "mips32r6", target_arch = "mips64r6");
}

#[cfg(miri)]
mod miri;
#[cfg(miri)]
pub(crate) use miri::*;

/// Whether `long`, and so the C library's times, have 64 bits: on 64-bit architectures and x32.
pub(crate) const HAS_64_BIT_LONG_TIMES: bool =
    cfg!(any(target_pointer_width = "64", target_arch = "x86_64"));
