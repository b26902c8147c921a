//! What an image's architecture is called: as in `uname -m`, where that says it.

use vdso_elf::abi::Machine;
use vdso_elf::{ByteOrder, Class, Image};

/// The name of the interface between programs and the kernel that an image is for.
pub fn name(image: &Image<'_>) -> String {
    let is_64 = image.class() == Class::Elf64;
    let is_little = image.byte_order() == ByteOrder::Little;
    let pick = |if_true, if_false, condition| if condition { if_true } else { if_false };
    match image.machine() {
        Machine::X86_64 => pick("x86-64", "x32", is_64),
        Machine::I386 => "i386",
        Machine::AARCH64 => pick("arm64", "arm64 (big endian)", is_little),
        Machine::ARM => pick("arm", "arm (big endian)", is_little),
        Machine::RISCV => pick("riscv64", "riscv32", is_64),
        Machine::POWERPC64 => pick("ppc64le", "ppc64", is_little),
        Machine::POWERPC => "ppc",
        Machine::S390 => pick("s390x", "s390", is_64),
        Machine::MIPS if is_64 => pick("mips64el", "mips64", is_little),
        Machine::MIPS => pick("mipsel", "mips", is_little),
        Machine::LOONGARCH => pick("loongarch64", "loongarch32", is_64),
        Machine::CSKY => "csky",
        Machine::SH => "sh",
        Machine::IA64 => "ia64",
        Machine::PARISC => "parisc",
        Machine::SPARC64 => "sparc64",
        Machine::ALPHA => "alpha",
        Machine(number) => return format!("ELF machine {number}"),
    }
    .to_owned()
}
