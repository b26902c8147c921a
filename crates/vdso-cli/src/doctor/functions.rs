//! Which functions the kernel's vDSO has on each architecture, and since when.
//!
//! Source: vdso(7), and for what is newer the kernel's `arch/*/kernel/vdso*/` up to Linux 7.3.

use vdso_elf::Class;
use vdso_elf::abi::Machine;

/// A function that a kernel may have in its vDSO.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its symbol.
    pub symbol: &'static str,
    /// The call that it answers, as a program knows it.
    pub call: &'static str,
    /// The first Linux that has it, for what came later than the vDSO itself.
    pub since: Option<(u32, u32)>,
}

const fn old(symbol: &'static str, call: &'static str) -> Function {
    Function { symbol, call, since: None }
}

const fn new(symbol: &'static str, call: &'static str, since: (u32, u32)) -> Function {
    Function { symbol, call, since: Some(since) }
}

const X86_64: &[Function] = &[
    old("__vdso_clock_gettime", "clock_gettime"),
    old("__vdso_gettimeofday", "gettimeofday"),
    old("__vdso_time", "time"),
    old("__vdso_getcpu", "getcpu"),
    new("__vdso_clock_getres", "clock_getres", (5, 3)),
    new("__vdso_getrandom", "getrandom", (6, 11)),
];

const I386: &[Function] = &[
    old("__vdso_clock_gettime", "clock_gettime"),
    old("__vdso_gettimeofday", "gettimeofday"),
    old("__vdso_time", "time"),
    new("__vdso_clock_gettime64", "clock_gettime with 64-bit time", (5, 3)),
    new("__vdso_clock_getres", "clock_getres", (5, 3)),
];

const AARCH64: &[Function] = &[
    old("__kernel_clock_gettime", "clock_gettime"),
    old("__kernel_gettimeofday", "gettimeofday"),
    old("__kernel_clock_getres", "clock_getres"),
    new("__kernel_getrandom", "getrandom", (6, 12)),
];

const ARM: &[Function] = &[
    old("__vdso_clock_gettime", "clock_gettime"),
    old("__vdso_gettimeofday", "gettimeofday"),
    new("__vdso_clock_gettime64", "clock_gettime with 64-bit time", (5, 5)),
];

const RISCV: &[Function] = &[
    old("__vdso_clock_gettime", "clock_gettime"),
    old("__vdso_gettimeofday", "gettimeofday"),
    old("__vdso_clock_getres", "clock_getres"),
    old("__vdso_getcpu", "getcpu"),
    new("__vdso_getrandom", "getrandom", (6, 16)),
];

const LOONGARCH: &[Function] = &[
    old("__vdso_clock_gettime", "clock_gettime"),
    old("__vdso_gettimeofday", "gettimeofday"),
    old("__vdso_clock_getres", "clock_getres"),
    old("__vdso_getcpu", "getcpu"),
    new("__vdso_getrandom", "getrandom", (6, 12)),
];

const POWERPC: &[Function] = &[
    old("__kernel_clock_gettime", "clock_gettime"),
    old("__kernel_gettimeofday", "gettimeofday"),
    old("__kernel_time", "time"),
    old("__kernel_clock_getres", "clock_getres"),
    old("__kernel_getcpu", "getcpu"),
    new("__kernel_getrandom", "getrandom", (6, 12)),
];

const S390X: &[Function] = &[
    old("__kernel_clock_gettime", "clock_gettime"),
    old("__kernel_gettimeofday", "gettimeofday"),
    old("__kernel_clock_getres", "clock_getres"),
    old("__kernel_getcpu", "getcpu"),
    new("__kernel_getrandom", "getrandom", (6, 12)),
];

const MIPS: &[Function] =
    &[old("__vdso_clock_gettime", "clock_gettime"), old("__vdso_gettimeofday", "gettimeofday")];

/// What a current kernel has for programs of this kind; nothing for an architecture that is not
/// known here.
pub fn expected(machine: Machine, class: Class) -> &'static [Function] {
    match (machine, class) {
        (Machine::X86_64, Class::Elf64) => X86_64,
        // x32 has all of them but getrandom.
        (Machine::X86_64, Class::Elf32) => &X86_64[..5],
        (Machine::I386, _) => I386,
        (Machine::AARCH64, _) => AARCH64,
        (Machine::ARM, _) => ARM,
        (Machine::RISCV, _) => RISCV,
        (Machine::LOONGARCH, _) => LOONGARCH,
        (Machine::POWERPC | Machine::POWERPC64, _) => POWERPC,
        (Machine::S390, _) => S390X,
        (Machine::MIPS, _) => MIPS,
        _ => &[],
    }
}
