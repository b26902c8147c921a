//! What a vDSO exports on each architecture: the one table that everything else looks things up in.
//!
//! Sources: the linker scripts `arch/*/…/vdso*.lds.S` of Linux 6.1 to 7.3, and vdso(7), which is
//! wrong about mips. A kernel may lack any of the functions: newer ones came with newer kernels, and
//! some depend on its configuration.

use core::fmt;

use vdso_elf::Class;
use vdso_elf::abi::Machine;

/// A call that the C library would make, and that a vDSO may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// `clock_gettime(2)`.
    ClockGettime,
    /// `clock_getres(2)`.
    ClockGetres,
    /// `gettimeofday(2)`.
    Gettimeofday,
    /// `time(2)`.
    Time,
    /// `getcpu(2)`.
    Getcpu,
    /// `getrandom(2)`, which needs a state of its own for each thread: see [`random`](crate::random).
    Getrandom,
}

impl Call {
    /// All that this crate makes.
    pub const ALL: [Self; 6] = [
        Self::ClockGettime,
        Self::ClockGetres,
        Self::Gettimeofday,
        Self::Time,
        Self::Getcpu,
        Self::Getrandom,
    ];

    /// The name of its manual page.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClockGettime => "clock_gettime",
            Self::ClockGetres => "clock_getres",
            Self::Gettimeofday => "gettimeofday",
            Self::Time => "time",
            Self::Getcpu => "getcpu",
            Self::Getrandom => "getrandom",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// What an exported function is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// Answers this call, with times in the architecture's own `long`: 64 bits on 64-bit ones and
    /// on x32, 32 bits on the others, which end in 2038.
    Call(Call),
    /// Answers this call with 64-bit times on a 32-bit architecture.
    Time64(Call),
    /// Something else.
    Other,
}

/// How a function reports an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorConvention {
    /// The result is the negative errno.
    NegativeErrno,
    /// The result is the errno, and the bit SO of the condition register's field 0 is set.
    /// Source: `arch/powerpc/kernel/vdso/gettimeofday.S`.
    SummaryOverflow,
}

/// A function that a vDSO exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Function {
    /// The symbol.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a vDSO is like on one architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Abi {
    /// The architecture's name.
    pub name: &'static str,
    /// `e_machine` of the image.
    pub machine: Machine,
    /// Its class.
    pub class: Class,
    /// `DT_SONAME`; where kernels differ, the newest first.
    pub sonames: &'static [&'static str],
    /// The version of (nearly) all functions; [`Function::version`] has that of each.
    pub version: &'static str,
    /// With what the names of (nearly) all functions begin.
    pub prefix: &'static str,
    /// Whether each function that answers a call has a weak twin without the prefix.
    pub has_plain_aliases: bool,
    /// How errors are reported.
    pub errors: ErrorConvention,
    /// The functions.
    pub functions: &'static [Function],
}

impl Abi {
    /// That of this program; `None` on an architecture that no row is about.
    pub const CURRENT: Option<&'static Self> = current();

    /// The row for an image.
    pub fn of(machine: Machine, class: Class) -> Option<&'static Self> {
        ABIS.iter().find(|abi| abi.machine == machine && abi.class == class)
    }

    /// The function that answers `call`: in a 32-bit ABI the one with 64-bit times, if there is one.
    pub fn function(&self, call: Call) -> Option<&'static Function> {
        self.with_purpose(Purpose::Time64(call)).or_else(|| self.with_purpose(Purpose::Call(call)))
    }

    /// The function with exactly this purpose.
    pub fn with_purpose(&self, purpose: Purpose) -> Option<&'static Function> {
        self.functions.iter().find(|function| function.purpose == purpose)
    }
}

const fn call(name: &'static str, version: &'static str, call: Call) -> Function {
    Function { name, version, purpose: Purpose::Call(call) }
}

const fn time64(name: &'static str, version: &'static str, call: Call) -> Function {
    Function { name, version, purpose: Purpose::Time64(call) }
}

const fn other(name: &'static str, version: &'static str) -> Function {
    Function { name, version, purpose: Purpose::Other }
}

const SO_1: &[&str] = &["linux-vdso.so.1"];
const GATE: &[&str] = &["linux-gate.so.1"];

/// What most rows have in common.
const USUAL: Abi = Abi {
    name: "",
    machine: Machine::X86_64,
    class: Class::Elf64,
    sonames: SO_1,
    version: V2_6,
    prefix: "__vdso_",
    has_plain_aliases: false,
    errors: ErrorConvention::NegativeErrno,
    functions: &[],
};

const V2_5: &str = "LINUX_2.5";
const V2_6: &str = "LINUX_2.6";
const V2_6_15: &str = "LINUX_2.6.15";
const V2_6_29: &str = "LINUX_2.6.29";
const V2_6_39: &str = "LINUX_2.6.39";
const V4_15: &str = "LINUX_4.15";
const V5_10: &str = "LINUX_5.10";
const V6_11: &str = "LINUX_6.11";

/// Every architecture whose Linux has a vDSO.
pub static ABIS: &[Abi] = &[
    Abi { name: "x86-64", has_plain_aliases: true, functions: X86_64, ..USUAL },
    Abi { name: "x32", class: Class::Elf32, functions: X32, ..USUAL },
    Abi {
        name: "i386",
        machine: Machine::I386,
        class: Class::Elf32,
        sonames: GATE,
        functions: I386,
        ..USUAL
    },
    Abi {
        name: "arm64",
        machine: Machine::AARCH64,
        version: V2_6_39,
        prefix: "__kernel_",
        functions: ARM64,
        ..USUAL
    },
    Abi { name: "arm", machine: Machine::ARM, class: Class::Elf32, functions: ARM, ..USUAL },
    Abi { name: "riscv64", machine: Machine::RISCV, version: V4_15, functions: RISCV, ..USUAL },
    Abi {
        name: "riscv32",
        machine: Machine::RISCV,
        class: Class::Elf32,
        version: V4_15,
        functions: RISCV32,
        ..USUAL
    },
    Abi {
        name: "loongarch64",
        machine: Machine::LOONGARCH,
        version: V5_10,
        functions: LOONGARCH,
        ..USUAL
    },
    Abi {
        name: "loongarch32",
        machine: Machine::LOONGARCH,
        class: Class::Elf32,
        version: V5_10,
        functions: LOONGARCH32,
        ..USUAL
    },
    Abi {
        name: "ppc64",
        machine: Machine::POWERPC64,
        sonames: &["linux-vdso64.so.1"],
        version: V2_6_15,
        prefix: "__kernel_",
        errors: ErrorConvention::SummaryOverflow,
        functions: PPC64,
        ..USUAL
    },
    Abi {
        name: "ppc32",
        machine: Machine::POWERPC,
        class: Class::Elf32,
        sonames: &["linux-vdso32.so.1"],
        version: V2_6_15,
        prefix: "__kernel_",
        errors: ErrorConvention::SummaryOverflow,
        functions: PPC32,
        ..USUAL
    },
    Abi {
        name: "s390x",
        machine: Machine::S390,
        sonames: &["linux-vdso.so.1", "linux-vdso64.so.1"],
        version: V2_6_29,
        prefix: "__kernel_",
        functions: S390X,
        ..USUAL
    },
    Abi { name: "mips64", machine: Machine::MIPS, functions: MIPS64, ..USUAL },
    Abi { name: "mips", machine: Machine::MIPS, class: Class::Elf32, functions: MIPS, ..USUAL },
    Abi {
        name: "sh",
        machine: Machine::SH,
        class: Class::Elf32,
        sonames: GATE,
        prefix: "__kernel_",
        functions: SH,
        ..USUAL
    },
    Abi {
        name: "ia64",
        machine: Machine::IA64,
        sonames: GATE,
        version: V2_5,
        prefix: "__kernel_",
        functions: IA64,
        ..USUAL
    },
    Abi {
        name: "csky",
        machine: Machine::CSKY,
        class: Class::Elf32,
        version: V5_10,
        functions: CSKY,
        ..USUAL
    },
    Abi {
        name: "parisc64",
        machine: Machine::PARISC,
        version: V6_11,
        functions: PARISC64,
        ..USUAL
    },
    Abi {
        name: "parisc",
        machine: Machine::PARISC,
        class: Class::Elf32,
        version: V6_11,
        functions: PARISC,
        ..USUAL
    },
    Abi { name: "sparc64", machine: Machine::SPARC64, functions: SPARC64, ..USUAL },
];

const X86_64: &[Function] = &[
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
const X32: &[Function] = &[
    call("__vdso_clock_gettime", V2_6, Call::ClockGettime),
    call("__vdso_gettimeofday", V2_6, Call::Gettimeofday),
    call("__vdso_time", V2_6, Call::Time),
    call("__vdso_clock_getres", V2_6, Call::ClockGetres),
    call("__vdso_getcpu", V2_6, Call::Getcpu),
    other("__vdso_futex_robust_list64_try_unlock", V2_6),
    other("__vdso_futex_robust_list32_try_unlock", V2_6),
];

const I386: &[Function] = &[
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

const ARM64: &[Function] = &[
    call("__kernel_clock_gettime", V2_6_39, Call::ClockGettime),
    call("__kernel_gettimeofday", V2_6_39, Call::Gettimeofday),
    call("__kernel_clock_getres", V2_6_39, Call::ClockGetres),
    call("__kernel_getrandom", V2_6_39, Call::Getrandom),
    other("__kernel_rt_sigreturn", V2_6_39),
];

/// Also of 32-bit programs on arm64.
const ARM: &[Function] = &[
    time64("__vdso_clock_gettime64", V2_6, Call::ClockGettime),
    time64("__vdso_clock_getres_time64", V2_6, Call::ClockGetres),
    call("__vdso_clock_gettime", V2_6, Call::ClockGettime),
    call("__vdso_gettimeofday", V2_6, Call::Gettimeofday),
    call("__vdso_clock_getres", V2_6, Call::ClockGetres),
];

const RISCV: &[Function] = &[
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
const RISCV32: &[Function] = &[
    call("__vdso_getcpu", V4_15, Call::Getcpu),
    other("__vdso_rt_sigreturn", V4_15),
    other("__vdso_flush_icache", V4_15),
    other("__vdso_riscv_hwprobe", V4_15),
];

const LOONGARCH: &[Function] = &[
    call("__vdso_clock_gettime", V5_10, Call::ClockGettime),
    call("__vdso_gettimeofday", V5_10, Call::Gettimeofday),
    call("__vdso_clock_getres", V5_10, Call::ClockGetres),
    call("__vdso_getcpu", V5_10, Call::Getcpu),
    call("__vdso_getrandom", V5_10, Call::Getrandom),
    other("__vdso_rt_sigreturn", V5_10),
];

const LOONGARCH32: &[Function] =
    &[call("__vdso_getcpu", V5_10, Call::Getcpu), other("__vdso_rt_sigreturn", V5_10)];

/// Both byte orders.
const PPC64: &[Function] = &[
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

const PPC32: &[Function] = &[
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

const S390X: &[Function] = &[
    call("__kernel_clock_gettime", V2_6_29, Call::ClockGettime),
    call("__kernel_gettimeofday", V2_6_29, Call::Gettimeofday),
    call("__kernel_clock_getres", V2_6_29, Call::ClockGetres),
    call("__kernel_getcpu", V2_6_29, Call::Getcpu),
    call("__kernel_getrandom", V2_6_29, Call::Getrandom),
    other("__kernel_restart_syscall", V2_6_29),
    other("__kernel_rt_sigreturn", V2_6_29),
    other("__kernel_sigreturn", V2_6_29),
];

const MIPS64: &[Function] = &[
    call("__vdso_clock_gettime", V2_6, Call::ClockGettime),
    call("__vdso_gettimeofday", V2_6, Call::Gettimeofday),
    call("__vdso_clock_getres", V2_6, Call::ClockGetres),
];

/// O32 and n32.
const MIPS: &[Function] = &[
    time64("__vdso_clock_gettime64", V2_6, Call::ClockGettime),
    time64("__vdso_clock_getres_time64", V2_6, Call::ClockGetres),
    call("__vdso_clock_gettime", V2_6, Call::ClockGettime),
    call("__vdso_gettimeofday", V2_6, Call::Gettimeofday),
    call("__vdso_clock_getres", V2_6, Call::ClockGetres),
];

const SH: &[Function] = &[
    other("__kernel_vsyscall", V2_6),
    other("__kernel_sigreturn", V2_6),
    other("__kernel_rt_sigreturn", V2_6),
];

const IA64: &[Function] = &[
    other("__kernel_syscall_via_break", V2_5),
    other("__kernel_syscall_via_epc", V2_5),
    other("__kernel_sigtramp", V2_5),
];

const CSKY: &[Function] = &[
    time64("__vdso_clock_gettime64", V5_10, Call::ClockGettime),
    call("__vdso_clock_gettime", V5_10, Call::ClockGettime),
    call("__vdso_gettimeofday", V5_10, Call::Gettimeofday),
    call("__vdso_clock_getres", V5_10, Call::ClockGetres),
    other("__vdso_rt_sigreturn", V5_10),
];

const PARISC64: &[Function] = &[
    call("__vdso_clock_gettime", V6_11, Call::ClockGettime),
    call("__vdso_gettimeofday", V6_11, Call::Gettimeofday),
    other("__kernel_sigtramp_rt64", V6_11),
];

const PARISC: &[Function] = &[
    time64("__vdso_clock_gettime64", V6_11, Call::ClockGettime),
    call("__vdso_clock_gettime", V6_11, Call::ClockGettime),
    call("__vdso_gettimeofday", V6_11, Call::Gettimeofday),
    other("__kernel_sigtramp_rt32", V6_11),
    other("__kernel_sigtramp_rt64", V6_11),
];

const SPARC64: &[Function] = &[
    call("__vdso_clock_gettime", V2_6, Call::ClockGettime),
    call("__vdso_gettimeofday", V2_6, Call::Gettimeofday),
];

/// The row that this program is compiled for.
const fn current() -> Option<&'static Abi> {
    let Some(machine) = machine() else { return None };
    let is_64_bit = cfg!(target_pointer_width = "64");
    let mut index = 0;
    while index < ABIS.len() {
        let abi = &ABIS[index];
        if abi.machine.0 == machine.0 && matches!(abi.class, Class::Elf64) == is_64_bit {
            return Some(abi);
        }
        index += 1;
    }
    None
}

const fn machine() -> Option<Machine> {
    Some(if cfg!(target_arch = "x86_64") {
        Machine::X86_64
    } else if cfg!(target_arch = "x86") {
        Machine::I386
    } else if cfg!(target_arch = "aarch64") {
        Machine::AARCH64
    } else if cfg!(target_arch = "arm") {
        Machine::ARM
    } else if cfg!(any(target_arch = "riscv64", target_arch = "riscv32")) {
        Machine::RISCV
    } else if cfg!(any(target_arch = "loongarch64", target_arch = "loongarch32")) {
        Machine::LOONGARCH
    } else if cfg!(target_arch = "powerpc64") {
        Machine::POWERPC64
    } else if cfg!(target_arch = "powerpc") {
        Machine::POWERPC
    } else if cfg!(target_arch = "s390x") {
        Machine::S390
    } else if cfg!(any(
        target_arch = "mips",
        target_arch = "mips64",
        target_arch = "mips32r6",
        target_arch = "mips64r6"
    )) {
        Machine::MIPS
    } else if cfg!(target_arch = "csky") {
        Machine::CSKY
    } else if cfg!(target_arch = "sparc64") {
        Machine::SPARC64
    } else {
        return None;
    })
}
