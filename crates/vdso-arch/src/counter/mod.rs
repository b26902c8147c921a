//! The counters that clocks are computed from, as user mode reads them.
//!
//! The macro [`counter!`](crate::counter!) reads the counter behind every earlier instruction; where there are more
//! ways, they are macros beside it, in one file for each architecture. They are macros for the same reason as
//! [`system_call!`](crate::system_call!), and are called in the caller's own `unsafe` block.
//!
//! | architecture | counter | read | kept behind earlier instructions by | later ones kept behind it by |
//! |---|---|---|---|---|
//! | x86 | time-stamp counter | `rdtscp` | itself | nothing; `lfence` |
//! | arm64 | virtual counter | `mrs cntvct_el0` | `isb` | `isb`, or a load that depends on it |
//! | arm64 with ECV | the same | `mrs cntvctss_el0` | itself | the same |
//! | arm | virtual counter | `mrrc p15, 1` | `isb` | a load that depends on it |
//! | riscv64 | wall-clock counter | `rdtime` | `fence rw, i` | `fence i, r` |
//! | loongarch64 | stable counter | `rdtime.d` | `dbar 0` | `dbar 0` |
//! | powerpc64 | time base | `mfspr 268` | `isync` | `isync` |
//! | s390x | time-of-day clock | `stckf` | `bcr 15, 0` | `bcr 15, 0` |
//!
//! None of the reads is `nomem`, so the compiler keeps memory accesses in place as well.
//!
//! Sources: Intel's manual, volume 2, "RDTSCP"; Arm Architecture Reference Manual, D11.1, and for ARMv7-A B8.1;
//! the RISC-V manual, "Zicsr", "CSR access ordering"; LoongArch Reference Manual, volume 1, "RDTIME" and "DBAR";
//! Power ISA, book II, "Time Base" and "Instruction Synchronize"; z/Architecture Principles of Operation;
//! `arch/arm64/include/asm/arch_timer.h` and `arch/s390/include/asm/vdso/gettimeofday.h` of Linux 6.18.

macro_rules! architectures {
    ($($file:ident: $condition:meta;)*) => {$(
        #[cfg($condition)]
        mod $file;
    )*};
}

architectures! {
    x86: any(target_arch = "x86_64", target_arch = "x86");
    aarch64: target_arch = "aarch64";
    arm: target_arch = "arm";
    riscv64: target_arch = "riscv64";
    loongarch64: target_arch = "loongarch64";
    powerpc64: target_arch = "powerpc64";
    s390x: target_arch = "s390x";
}
