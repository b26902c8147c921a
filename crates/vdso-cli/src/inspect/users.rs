//! Which calls of C libraries and language runtimes use which function of a vDSO.
//!
//! Sources: glibc's `sysdeps/unix/sysv/linux/dl-vdso-setup.h` and each architecture's `sysdep.h`
//! (2.41), `riscv/flush-icache.c`; musl's `arch/*/syscall_arch.h`, `src/time/clock_gettime.c`,
//! `src/sched/sched_getcpu.c` (1.2.5); Go's `src/runtime/vdso_linux_*.go` (1.24); the kernel's own
//! signal code for the functions that a program returns to. A runtime that is not named here is not
//! known to use a function.

use serde::Serialize;
use vdso_elf::abi::Machine;
use vdso_elf::{Class, Image};

/// A user of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// A C library, or a language's runtime.
    pub runtime: &'static str,
    /// Those of its calls that the function answers.
    pub calls: &'static [&'static str],
}

/// A function, by its name without the prefix, and its users.
type Row = (&'static str, &'static [User]);

const fn glibc(calls: &'static [&'static str]) -> User {
    User { runtime: "glibc", calls }
}

const fn musl(calls: &'static [&'static str]) -> User {
    User { runtime: "musl", calls }
}

const fn go(calls: &'static [&'static str]) -> User {
    User { runtime: "Go", calls }
}

const CLOCK_GETTIME: User = glibc(&["clock_gettime", "timespec_get"]);
/// glibc and musl on 32 bits ask for the 64-bit function first.
const CLOCK_GETTIME_32: User = glibc(&["clock_gettime (fallback)"]);
const MUSL_CLOCKS: User = musl(&["clock_gettime", "gettimeofday", "time"]);
const MUSL_CLOCKS_32: User = musl(&["clock_gettime (fallback)"]);
const GO_CLOCKS: User = go(&["time.Now", "runtime timers"]);
const GO_RANDOM: User = go(&["crypto/rand"]);
const GETTIMEOFDAY: Row = ("gettimeofday", &[glibc(&["gettimeofday"])]);
const CLOCK_GETRES: Row = ("clock_getres", &[glibc(&["clock_getres"])]);
const TIME: Row = ("time", &[glibc(&["time"])]);
const GETCPU: Row = ("getcpu", &[glibc(&["getcpu", "sched_getcpu"])]);
const RANDOM: Row = ("getrandom", &[glibc(&["getrandom", "arc4random"]), GO_RANDOM]);
const ALL_CLOCKS: Row = ("clock_gettime", &[CLOCK_GETTIME, MUSL_CLOCKS, GO_CLOCKS]);
const CLOCKS_32: Row = ("clock_gettime", &[CLOCK_GETTIME_32, MUSL_CLOCKS_32, GO_CLOCKS]);
const CLOCKS_64: Row = ("clock_gettime64", &[CLOCK_GETTIME, MUSL_CLOCKS]);

/// What a signal handler returns to.
const SIGNAL: &[User] = &[User { runtime: "kernel", calls: &["return from signal handlers"] }];

const X86_64: &[Row] = &[
    ALL_CLOCKS,
    ("gettimeofday", &[glibc(&["gettimeofday"]), go(&["syscall.Gettimeofday"])]),
    TIME,
    ("getcpu", &[glibc(&["getcpu", "sched_getcpu"]), musl(&["sched_getcpu"])]),
    CLOCK_GETRES,
    RANDOM,
];
const X32: &[Row] =
    &[("clock_gettime", &[CLOCK_GETTIME]), GETTIMEOFDAY, TIME, GETCPU, CLOCK_GETRES];
const I386: &[Row] = &[
    CLOCKS_32,
    CLOCKS_64,
    GETTIMEOFDAY,
    TIME,
    CLOCK_GETRES,
    ("vsyscall", &[glibc(&["every system call"]), musl(&["every system call"])]),
];
const ARM64: &[Row] = &[ALL_CLOCKS, GETTIMEOFDAY, CLOCK_GETRES, RANDOM];
const ARM: &[Row] = &[CLOCKS_32, CLOCKS_64, GETTIMEOFDAY];
const RISCV: &[Row] = &[
    ALL_CLOCKS,
    GETTIMEOFDAY,
    CLOCK_GETRES,
    GETCPU,
    ("flush_icache", &[glibc(&["__riscv_flush_icache"])]),
    ("riscv_hwprobe", &[glibc(&["__riscv_hwprobe"])]),
];
const LOONGARCH: &[Row] = &[ALL_CLOCKS, GETTIMEOFDAY, CLOCK_GETRES, GETCPU, RANDOM];
const POWERPC64: &[Row] = &[
    ALL_CLOCKS,
    GETTIMEOFDAY,
    CLOCK_GETRES,
    TIME,
    GETCPU,
    ("get_tbfreq", &[glibc(&["__ppc_get_timebase_freq"])]),
    RANDOM,
];
const POWERPC: &[Row] = &[
    ("clock_gettime", &[CLOCK_GETTIME]),
    GETTIMEOFDAY,
    CLOCK_GETRES,
    TIME,
    GETCPU,
    ("get_tbfreq", &[glibc(&["__ppc_get_timebase_freq"])]),
];
const S390X: &[Row] =
    &[("clock_gettime", &[CLOCK_GETTIME, GO_CLOCKS]), GETTIMEOFDAY, CLOCK_GETRES, GETCPU, RANDOM];
const MIPS64: &[Row] = &[ALL_CLOCKS, GETTIMEOFDAY, CLOCK_GETRES];
const MIPS: &[Row] = &[
    ("clock_gettime", &[CLOCK_GETTIME_32, MUSL_CLOCKS_32]),
    CLOCKS_64,
    GETTIMEOFDAY,
    CLOCK_GETRES,
];

fn table(image: &Image<'_>) -> &'static [Row] {
    match (image.machine(), image.class()) {
        (Machine::X86_64, Class::Elf64) => X86_64,
        (Machine::X86_64, Class::Elf32) => X32,
        (Machine::I386, _) => I386,
        (Machine::AARCH64, _) => ARM64,
        (Machine::ARM, _) => ARM,
        (Machine::RISCV, _) => RISCV,
        (Machine::LOONGARCH, _) => LOONGARCH,
        (Machine::POWERPC64, _) => POWERPC64,
        (Machine::POWERPC, _) => POWERPC,
        (Machine::S390, Class::Elf64) => S390X,
        (Machine::MIPS, Class::Elf64) => MIPS64,
        (Machine::MIPS, Class::Elf32) => MIPS,
        _ => &[],
    }
}

/// Who uses the function of this name. Names without a prefix are for people who call the image
/// themselves: no library looks them up.
pub fn of(image: &Image<'_>, symbol: &str) -> &'static [User] {
    let Some(name) = symbol.strip_prefix("__vdso_").or(symbol.strip_prefix("__kernel_")) else {
        return &[];
    };
    if name.contains("sigreturn") || name.starts_with("sigtramp") {
        return SIGNAL;
    }
    table(image).iter().find(|(row, _)| *row == name).map_or(&[], |(_, users)| users)
}
