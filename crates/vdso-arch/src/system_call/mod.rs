//! System calls: their numbers, and the instruction that makes one with the registers that it takes and loses.
//!
//! [`numbers`] is plain data for every architecture. The instruction is the macro [`system_call!`](crate::system_call!),
//! in one file for each architecture. It is a macro, not a function, as inline assembly is not stable
//! everywhere: only who makes system calls is compiled for that. It is not safe, so it is called in the
//! caller's own `unsafe` block, where the reason stands why this call is sound.
//!
//! | architecture | instruction | number | arguments | result | error | lost besides |
//! |---|---|---|---|---|---|---|
//! | x86-64, x32 | `syscall` | rax | rdi rsi rdx r10 r8 r9 | rax | negative | rcx r11 |
//! | i386 | `int 0x80` | eax | ebx ecx edx esi edi ebp | eax | negative | |
//! | arm64 | `svc 0` | x8 | x0 to x5 | x0 | negative | scalable vectors |
//! | arm | `svc 0` | r7 | r0 to r5 | r0 | negative | |
//! | riscv | `ecall` | a7 | a0 to a5 | a0 | negative | vectors |
//! | loongarch64 | `syscall 0` | a7 | a0 to a5 | a0 | negative | t0 to t8 |
//! | powerpc | `sc` | r0 | r3 to r8 | r3 | positive, with SO of field 0 | r4 to r12, cr0, ctr, xer |
//! | s390x | `svc 0` | r1 | r2 to r7 | r2 | negative | |
//! | mips64 | `syscall` | $2 | $4 to $9 | $2 | positive, with $7 not zero | $3, $8 to $15, $24, $25 |
//!
//! Sources: syscall(2); `Documentation/arch/powerpc/syscall64-abi.rst`, `Documentation/arch/arm64/sve.rst`
//! (section 3) and `Documentation/arch/riscv/vector.rst` (section 3) of Linux 6.18.

pub mod numbers;
pub mod timed;

pub use numbers::{Numbers, X32_BIT};

macro_rules! architectures {
    ($($file:ident: $condition:meta;)*) => {$(
        #[cfg($condition)]
        mod $file;
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
    mips64: target_arch = "mips64";
}

/// SO of field 0, as `mfcr` gives PowerPC's condition register: set where a system call, or a function of the
/// vDSO, gives a positive error number.
pub const POWERPC_SUMMARY_OVERFLOW: usize = 1 << 28;

/// What a call on PowerPC gave, as other architectures give it: a value or a negative error number.
#[inline(always)]
pub const fn powerpc_result(value: isize, condition: usize) -> isize {
    if condition & POWERPC_SUMMARY_OVERFLOW != 0 { value.wrapping_neg() } else { value }
}
