//! The functions of each architecture's vDSO, with their versions.

use super::{Call, Function, Purpose};

const fn call(name: &'static str, version: &'static str, call: Call) -> Function {
    Function { name, version, purpose: Purpose::Call(call) }
}

const fn time64(name: &'static str, version: &'static str, call: Call) -> Function {
    Function { name, version, purpose: Purpose::Time64(call) }
}

const fn other(name: &'static str, version: &'static str) -> Function {
    Function { name, version, purpose: Purpose::Other }
}

pub const V2_5: &str = "LINUX_2.5";
pub const V2_6: &str = "LINUX_2.6";
pub const V2_6_15: &str = "LINUX_2.6.15";
pub const V2_6_29: &str = "LINUX_2.6.29";
pub const V2_6_39: &str = "LINUX_2.6.39";
pub const V4_15: &str = "LINUX_4.15";
pub const V5_10: &str = "LINUX_5.10";
pub const V6_11: &str = "LINUX_6.11";

pub const X86_64: &[Function] = &[
    call("__vdso_clock_gettime", V2_6, Call::ClockGettime),
    call("__vdso_gettimeofday", V2_6, Call::Gettimeofday),
    call("__vdso_time", V2_6, Call::Time),
    call("__vdso_clock_getres", V2_6, Call::ClockGetres),
    call("__vdso_getcpu", V2_6, Call::Getcpu),
    call("__vdso_getrandom", V2_6, Call::Getrandom),
    other("__vdso_sgx_enter_enclave", V2_6),
    other("__vdso_futex_robust_list64_try_unlock", V2_6),
    other("__vdso_futex_robust_list32_try_unlock", V2_6),
];

/// Its times have 64 bits.
pub const X32: &[Function] = &[
    call("__vdso_clock_gettime", V2_6, Call::ClockGettime),
    call("__vdso_gettimeofday", V2_6, Call::Gettimeofday),
    call("__vdso_time", V2_6, Call::Time),
    call("__vdso_clock_getres", V2_6, Call::ClockGetres),
    call("__vdso_getcpu", V2_6, Call::Getcpu),
    other("__vdso_futex_robust_list64_try_unlock", V2_6),
    other("__vdso_futex_robust_list32_try_unlock", V2_6),
];

pub const I386: &[Function] = &[
    time64("__vdso_clock_gettime64", V2_6, Call::ClockGettime),
    time64("__vdso_clock_getres_time64", V2_6, Call::ClockGetres),
    call("__vdso_clock_gettime", V2_6, Call::ClockGettime),
    call("__vdso_gettimeofday", V2_6, Call::Gettimeofday),
    call("__vdso_time", V2_6, Call::Time),
    call("__vdso_clock_getres", V2_6, Call::ClockGetres),
    call("__vdso_getcpu", V2_6, Call::Getcpu),
    other("__vdso_futex_robust_list32_try_unlock", V2_6),
    other("__kernel_vsyscall", V2_5),
    other("__kernel_sigreturn", V2_5),
    other("__kernel_rt_sigreturn", V2_5),
];

pub const ARM64: &[Function] = &[
    call("__kernel_clock_gettime", V2_6_39, Call::ClockGettime),
    call("__kernel_gettimeofday", V2_6_39, Call::Gettimeofday),
    call("__kernel_clock_getres", V2_6_39, Call::ClockGetres),
    call("__kernel_getrandom", V2_6_39, Call::Getrandom),
    other("__kernel_rt_sigreturn", V2_6_39),
];

/// Also of 32-bit programs on arm64.
pub const ARM: &[Function] = &[
    time64("__vdso_clock_gettime64", V2_6, Call::ClockGettime),
    time64("__vdso_clock_getres_time64", V2_6, Call::ClockGetres),
    call("__vdso_clock_gettime", V2_6, Call::ClockGettime),
    call("__vdso_gettimeofday", V2_6, Call::Gettimeofday),
    call("__vdso_clock_getres", V2_6, Call::ClockGetres),
];

pub const RISCV: &[Function] = &[
    call("__vdso_clock_gettime", V4_15, Call::ClockGettime),
    call("__vdso_gettimeofday", V4_15, Call::Gettimeofday),
    call("__vdso_clock_getres", V4_15, Call::ClockGetres),
    call("__vdso_getcpu", V4_15, Call::Getcpu),
    call("__vdso_getrandom", V4_15, Call::Getrandom),
    other("__vdso_rt_sigreturn", V4_15),
    other("__vdso_flush_icache", V4_15),
    other("__vdso_riscv_hwprobe", V4_15),
];

/// Without clocks, as its system calls have always had 64-bit times.
pub const RISCV32: &[Function] = &[
    call("__vdso_getcpu", V4_15, Call::Getcpu),
    other("__vdso_rt_sigreturn", V4_15),
    other("__vdso_flush_icache", V4_15),
    other("__vdso_riscv_hwprobe", V4_15),
];

pub const LOONGARCH: &[Function] = &[
    call("__vdso_clock_gettime", V5_10, Call::ClockGettime),
    call("__vdso_gettimeofday", V5_10, Call::Gettimeofday),
    call("__vdso_clock_getres", V5_10, Call::ClockGetres),
    call("__vdso_getcpu", V5_10, Call::Getcpu),
    call("__vdso_getrandom", V5_10, Call::Getrandom),
    other("__vdso_rt_sigreturn", V5_10),
];

pub const LOONGARCH32: &[Function] =
    &[call("__vdso_getcpu", V5_10, Call::Getcpu), other("__vdso_rt_sigreturn", V5_10)];

/// Both byte orders.
pub const PPC64: &[Function] = &[
    call("__kernel_clock_gettime", V2_6_15, Call::ClockGettime),
    call("__kernel_gettimeofday", V2_6_15, Call::Gettimeofday),
    call("__kernel_clock_getres", V2_6_15, Call::ClockGetres),
    call("__kernel_time", V2_6_15, Call::Time),
    call("__kernel_getcpu", V2_6_15, Call::Getcpu),
    call("__kernel_getrandom", V2_6_15, Call::Getrandom),
    other("__kernel_get_syscall_map", V2_6_15),
    other("__kernel_get_tbfreq", V2_6_15),
    other("__kernel_sync_dicache", V2_6_15),
    other("__kernel_sigtramp_rt64", V2_6_15),
];

pub const PPC32: &[Function] = &[
    time64("__kernel_clock_gettime64", V2_6_15, Call::ClockGettime),
    time64("__kernel_clock_getres_time64", V2_6_15, Call::ClockGetres),
    call("__kernel_clock_gettime", V2_6_15, Call::ClockGettime),
    call("__kernel_gettimeofday", V2_6_15, Call::Gettimeofday),
    call("__kernel_clock_getres", V2_6_15, Call::ClockGetres),
    call("__kernel_time", V2_6_15, Call::Time),
    call("__kernel_getcpu", V2_6_15, Call::Getcpu),
    call("__kernel_getrandom", V2_6_15, Call::Getrandom),
    other("__kernel_get_syscall_map", V2_6_15),
    other("__kernel_get_tbfreq", V2_6_15),
    other("__kernel_sync_dicache", V2_6_15),
    other("__kernel_sigtramp32", V2_6_15),
    other("__kernel_sigtramp_rt32", V2_6_15),
];

pub const S390X: &[Function] = &[
    call("__kernel_clock_gettime", V2_6_29, Call::ClockGettime),
    call("__kernel_gettimeofday", V2_6_29, Call::Gettimeofday),
    call("__kernel_clock_getres", V2_6_29, Call::ClockGetres),
    call("__kernel_getcpu", V2_6_29, Call::Getcpu),
    call("__kernel_getrandom", V2_6_29, Call::Getrandom),
    other("__kernel_restart_syscall", V2_6_29),
    other("__kernel_rt_sigreturn", V2_6_29),
    other("__kernel_sigreturn", V2_6_29),
];

pub const MIPS64: &[Function] = &[
    call("__vdso_clock_gettime", V2_6, Call::ClockGettime),
    call("__vdso_gettimeofday", V2_6, Call::Gettimeofday),
    call("__vdso_clock_getres", V2_6, Call::ClockGetres),
];

/// O32 and n32.
pub const MIPS: &[Function] = &[
    time64("__vdso_clock_gettime64", V2_6, Call::ClockGettime),
    time64("__vdso_clock_getres_time64", V2_6, Call::ClockGetres),
    call("__vdso_clock_gettime", V2_6, Call::ClockGettime),
    call("__vdso_gettimeofday", V2_6, Call::Gettimeofday),
    call("__vdso_clock_getres", V2_6, Call::ClockGetres),
];

pub const SH: &[Function] = &[
    other("__kernel_vsyscall", V2_6),
    other("__kernel_sigreturn", V2_6),
    other("__kernel_rt_sigreturn", V2_6),
];

pub const IA64: &[Function] = &[
    other("__kernel_syscall_via_break", V2_5),
    other("__kernel_syscall_via_epc", V2_5),
    other("__kernel_sigtramp", V2_5),
];

pub const CSKY: &[Function] = &[
    time64("__vdso_clock_gettime64", V5_10, Call::ClockGettime),
    call("__vdso_clock_gettime", V5_10, Call::ClockGettime),
    call("__vdso_gettimeofday", V5_10, Call::Gettimeofday),
    call("__vdso_clock_getres", V5_10, Call::ClockGetres),
    other("__vdso_rt_sigreturn", V5_10),
];

pub const PARISC64: &[Function] = &[
    call("__vdso_clock_gettime", V6_11, Call::ClockGettime),
    call("__vdso_gettimeofday", V6_11, Call::Gettimeofday),
    other("__kernel_sigtramp_rt64", V6_11),
];

pub const PARISC: &[Function] = &[
    time64("__vdso_clock_gettime64", V6_11, Call::ClockGettime),
    call("__vdso_clock_gettime", V6_11, Call::ClockGettime),
    call("__vdso_gettimeofday", V6_11, Call::Gettimeofday),
    other("__kernel_sigtramp_rt32", V6_11),
    other("__kernel_sigtramp_rt64", V6_11),
];

pub const SPARC64: &[Function] = &[
    call("__vdso_clock_gettime", V2_6, Call::ClockGettime),
    call("__vdso_gettimeofday", V2_6, Call::Gettimeofday),
];
