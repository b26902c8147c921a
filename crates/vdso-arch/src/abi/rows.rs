//! The rows of the table, one for each architecture whose Linux has a vDSO.

use super::functions::{self, V2_5, V2_6, V2_6_15, V2_6_29, V2_6_39, V4_15, V5_10, V6_11};
use super::{Abi, ErrorConvention};
use crate::elf::{Class, Machine};
use crate::system_call::numbers;

/// Every architecture whose Linux has a vDSO.
pub static ABIS: &[&Abi] = &[
    &X86_64,
    &X32,
    &I386,
    &ARM64,
    &ARM,
    &RISCV64,
    &RISCV32,
    &LOONGARCH64,
    &LOONGARCH32,
    &PPC64,
    &PPC32,
    &S390X,
    &MIPS64,
    &MIPS,
    &SH,
    &IA64,
    &CSKY,
    &PARISC64,
    &PARISC,
    &SPARC64,
];

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
    numbers: None,
};

/// The row of x86-64.
pub static X86_64: Abi = Abi {
    name: "x86-64",
    has_plain_aliases: true,
    functions: functions::X86_64,
    numbers: Some(&numbers::X86_64),
    ..USUAL
};

/// The row of x32.
pub static X32: Abi = Abi {
    name: "x32",
    class: Class::Elf32,
    functions: functions::X32,
    numbers: Some(&numbers::X32),
    ..USUAL
};

/// The row of i386.
pub static I386: Abi = Abi {
    name: "i386",
    machine: Machine::I386,
    class: Class::Elf32,
    sonames: GATE,
    functions: functions::I386,
    numbers: Some(&numbers::I386),
    ..USUAL
};

/// The row of arm64.
pub static ARM64: Abi = Abi {
    name: "arm64",
    machine: Machine::AARCH64,
    version: V2_6_39,
    prefix: "__kernel_",
    functions: functions::ARM64,
    numbers: Some(&numbers::GENERIC_64),
    ..USUAL
};

/// The row of arm.
pub static ARM: Abi = Abi {
    name: "arm",
    machine: Machine::ARM,
    class: Class::Elf32,
    functions: functions::ARM,
    numbers: Some(&numbers::ARM),
    ..USUAL
};

/// The row of riscv64.
pub static RISCV64: Abi = Abi {
    name: "riscv64",
    machine: Machine::RISCV,
    version: V4_15,
    functions: functions::RISCV,
    numbers: Some(&numbers::GENERIC_64),
    ..USUAL
};

/// The row of riscv32.
pub static RISCV32: Abi = Abi {
    name: "riscv32",
    machine: Machine::RISCV,
    class: Class::Elf32,
    version: V4_15,
    functions: functions::RISCV32,
    numbers: Some(&numbers::GENERIC_32),
    ..USUAL
};

/// The row of loongarch64.
pub static LOONGARCH64: Abi = Abi {
    name: "loongarch64",
    machine: Machine::LOONGARCH,
    version: V5_10,
    functions: functions::LOONGARCH,
    numbers: Some(&numbers::GENERIC_64),
    ..USUAL
};

/// The row of loongarch32.
pub static LOONGARCH32: Abi = Abi {
    name: "loongarch32",
    machine: Machine::LOONGARCH,
    class: Class::Elf32,
    version: V5_10,
    functions: functions::LOONGARCH32,
    ..USUAL
};

/// The row of ppc64.
pub static PPC64: Abi = Abi {
    name: "ppc64",
    machine: Machine::POWERPC64,
    sonames: &["linux-vdso64.so.1"],
    version: V2_6_15,
    prefix: "__kernel_",
    errors: ErrorConvention::SummaryOverflow,
    functions: functions::PPC64,
    numbers: Some(&numbers::POWERPC64),
    ..USUAL
};

/// The row of ppc32.
pub static PPC32: Abi = Abi {
    name: "ppc32",
    machine: Machine::POWERPC,
    class: Class::Elf32,
    sonames: &["linux-vdso32.so.1"],
    version: V2_6_15,
    prefix: "__kernel_",
    errors: ErrorConvention::SummaryOverflow,
    functions: functions::PPC32,
    numbers: Some(&numbers::POWERPC),
    ..USUAL
};

/// The row of s390x.
pub static S390X: Abi = Abi {
    name: "s390x",
    machine: Machine::S390,
    sonames: &["linux-vdso.so.1", "linux-vdso64.so.1"],
    version: V2_6_29,
    prefix: "__kernel_",
    functions: functions::S390X,
    numbers: Some(&numbers::S390X),
    ..USUAL
};

/// The row of mips64.
pub static MIPS64: Abi = Abi {
    name: "mips64",
    machine: Machine::MIPS,
    functions: functions::MIPS64,
    numbers: Some(&numbers::MIPS64),
    ..USUAL
};

/// The row of mips.
pub static MIPS: Abi = Abi {
    name: "mips",
    machine: Machine::MIPS,
    class: Class::Elf32,
    functions: functions::MIPS,
    numbers: Some(&numbers::MIPS),
    ..USUAL
};

/// The row of sh.
pub static SH: Abi = Abi {
    name: "sh",
    machine: Machine::SH,
    class: Class::Elf32,
    sonames: GATE,
    prefix: "__kernel_",
    functions: functions::SH,
    ..USUAL
};

/// The row of ia64.
pub static IA64: Abi = Abi {
    name: "ia64",
    machine: Machine::IA64,
    sonames: GATE,
    version: V2_5,
    prefix: "__kernel_",
    functions: functions::IA64,
    ..USUAL
};

/// The row of csky.
pub static CSKY: Abi = Abi {
    name: "csky",
    machine: Machine::CSKY,
    class: Class::Elf32,
    version: V5_10,
    functions: functions::CSKY,
    ..USUAL
};

/// The row of parisc64.
pub static PARISC64: Abi = Abi {
    name: "parisc64",
    machine: Machine::PARISC,
    version: V6_11,
    functions: functions::PARISC64,
    ..USUAL
};

/// The row of parisc.
pub static PARISC: Abi = Abi {
    name: "parisc",
    machine: Machine::PARISC,
    class: Class::Elf32,
    version: V6_11,
    functions: functions::PARISC,
    ..USUAL
};

/// The row of sparc64.
pub static SPARC64: Abi =
    Abi { name: "sparc64", machine: Machine::SPARC64, functions: functions::SPARC64, ..USUAL };
