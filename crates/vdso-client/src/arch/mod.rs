//! What differs by architecture:
//!
//! - `system_call(number, arguments)`: the value, or a negative error number;
//! - `call(function, …)`, `call_with_five`: a call of a vDSO function, with the same kind of result;
//! - on x86-64, reads of the counter.
//!
//! The facts are in vdso-arch: numbers, instructions, registers. All but PowerPC's vDSO functions are called as
//! C functions are, by `c_call`. Inline assembly is stable for all architectures but mips. There the system
//! calls go through the C library's `syscall` (feature `libc-syscall`).

use vdso_arch::system_call::Numbers;

/// The numbers of this architecture's system calls.
pub(crate) const NUMBERS: &Numbers =
    Numbers::CURRENT.expect("vdso-arch has a table of this architecture's system calls");

macro_rules! files {
    ($($file:ident: $condition:meta;)*) => {$(
        #[cfg($condition)]
        mod $file;
        #[cfg($condition)]
        pub(crate) use $file::*;
    )*};
}

files! {
    c_call: not(any(target_arch = "powerpc", target_arch = "powerpc64"));
    powerpc: any(target_arch = "powerpc", target_arch = "powerpc64");
    x86_64: all(target_arch = "x86_64", target_pointer_width = "64", not(miri));
    miri: miri;
    mips: all(
        any(target_arch = "mips", target_arch = "mips64", target_arch = "mips32r6", target_arch = "mips64r6"),
        not(miri)
    );
    instruction: not(any(
        target_arch = "mips",
        target_arch = "mips64",
        target_arch = "mips32r6",
        target_arch = "mips64r6",
        miri
    ));
}

/// Whether `long`, and so the C library's times, have 64 bits: on 64-bit architectures and x32.
pub(crate) const HAS_64_BIT_LONG_TIMES: bool =
    cfg!(any(target_pointer_width = "64", target_arch = "x86_64"));
