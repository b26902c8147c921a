//! The numbers by which an ELF file says which machine it is for.

/// `EI_CLASS`: how wide addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 32 bits.
    Elf32,
    /// 64 bits.
    Elf64,
}

impl Class {
    /// That of this program.
    pub const CURRENT: Self =
        if cfg!(target_pointer_width = "64") { Self::Elf64 } else { Self::Elf32 };

    /// Bits of an address.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Elf32 => 32,
            Self::Elf64 => 64,
        }
    }

    /// Bytes of an address.
    pub const fn address_bytes(self) -> usize {
        match self {
            Self::Elf32 => 4,
            Self::Elf64 => 8,
        }
    }
}

/// `EI_DATA`: the order of an integer's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// The least significant byte first.
    Little,
    /// The most significant byte first.
    Big,
}

impl ByteOrder {
    /// That of this program.
    pub const CURRENT: Self = if cfg!(target_endian = "big") { Self::Big } else { Self::Little };
}

/// `e_machine`: which architecture an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Machine(pub u16);

impl Machine {
    /// `EM_386`.
    pub const I386: Self = Self(3);
    /// `EM_MIPS`, both classes.
    pub const MIPS: Self = Self(8);
    /// `EM_PARISC`.
    pub const PARISC: Self = Self(15);
    /// `EM_PPC`.
    pub const POWERPC: Self = Self(20);
    /// `EM_PPC64`, both byte orders.
    pub const POWERPC64: Self = Self(21);
    /// `EM_S390`, both classes.
    pub const S390: Self = Self(22);
    /// `EM_ARM`.
    pub const ARM: Self = Self(40);
    /// `EM_SH`.
    pub const SH: Self = Self(42);
    /// `EM_SPARCV9`.
    pub const SPARC64: Self = Self(43);
    /// `EM_IA_64`.
    pub const IA64: Self = Self(50);
    /// `EM_X86_64`; with [`Class::Elf32`] the image is for x32.
    pub const X86_64: Self = Self(62);
    /// `EM_AARCH64`.
    pub const AARCH64: Self = Self(183);
    /// `EM_RISCV`, both classes.
    pub const RISCV: Self = Self(243);
    /// `EM_CSKY`.
    pub const CSKY: Self = Self(252);
    /// `EM_LOONGARCH`, both classes.
    pub const LOONGARCH: Self = Self(258);
    /// `EM_ALPHA`, the number that is in use. Source: `include/uapi/linux/elf-em.h`.
    pub const ALPHA: Self = Self(0x9026);
}

impl Machine {
    /// That of this program; `None` on a machine that no number here is of.
    pub const CURRENT: Option<Self> = current();
}

const fn current() -> Option<Machine> {
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
