//! Small images of many machines, with code that each of them could run.

use made_images::{
    ByteOrder, Class, HashTables, Made, Note, Place, Recipe, Says, Symbol, Versions, make,
};

/// What is in an image.
#[derive(Clone, Copy)]
pub struct Image {
    class: Class,
    byte_order: ByteOrder,
    /// `e_machine`.
    machine: u16,
    hash_tables: HashTables,
    /// The version of all functions.
    version: Option<&'static str>,
    pub functions: &'static [Function],
}

/// A function that an image exports.
#[derive(Clone, Copy)]
pub struct Function {
    pub name: &'static str,
    code: &'static [u8],
    /// Added to its address: code of 32-bit ARM's Thumb has 1, and a broken symbol anything.
    pub displacement: u64,
}

/// A function at its place.
const fn function(name: &'static str, code: &'static [u8]) -> Function {
    Function { name, code, displacement: 0 }
}

/// Length of every image.
const BYTES: usize = 2048;

/// What every image says: that it is Linux 6.12.5's, and a build-id.
const NOTES: [Note; 2] = [
    Note { owner: "Linux", kind: 0, says: Says::Number(0x0006_0c05), segment: 0 },
    Note { owner: "GNU", kind: 3, says: Says::Bytes(b"\x01\x02\x03\x04"), segment: 0 },
];

impl Image {
    pub fn make(&self) -> Made {
        let symbol = |(number, function): (usize, &Function)| {
            let place = Place::Code { number, displacement: function.displacement };
            Symbol { version: self.version, ..Symbol::function(function.name, place) }
        };
        make(&Recipe {
            machine: self.machine,
            hash_tables: self.hash_tables,
            versions: self.version.map_or(Versions::None, |_| Versions::Both),
            symbols: self.functions.iter().enumerate().map(symbol).collect(),
            code: self.functions.iter().map(|function| function.code).collect(),
            notes: NOTES.to_vec(),
            least_bytes: BYTES,
            ..Recipe::new(self.class, self.byte_order)
        })
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        self.make().bytes
    }
}

/// 64 bits, little endian, both hash tables; machine, version and functions are to be given.
const PLAIN: Image = Image {
    class: Class::Elf64,
    byte_order: ByteOrder::Little,
    machine: 0,
    hash_tables: HashTables::Both,
    version: None,
    functions: &[],
};

/// endbr64; test rdi, rdi; jz over the store; mov [rdi], rax; ret. Then a jump to the first.
pub const X86_64: Image = Image {
    machine: 62,
    version: Some("LINUX_2.6"),
    functions: &[
        function(
            "__vdso_time",
            b"\xf3\x0f\x1e\xfa\x48\x85\xff\x74\x03\x48\x89\x07\x48\x8b\x05\x00\xf0\xff\xff\xc3",
        ),
        function("__vdso_clock_gettime", b"\xe9\xbb\xff\xff\xff\x06"),
        function("__vdso_futex_robust_list64_try_unlock", b"\x31\xc0\xc3"),
    ],
    ..PLAIN
};

/// int $0x80; ret. Then a call of the first.
pub const I386: Image = Image {
    class: Class::Elf32,
    machine: 3,
    version: Some("LINUX_2.5"),
    functions: &[
        function("__kernel_vsyscall", b"\xcd\x80\xc3"),
        function("__kernel_sigreturn", b"\x58\xe8\xba\xff\xff\xff"),
    ],
    ..PLAIN
};

/// isb; mrs x0, cntvct_el0; cbz x0 to the start; ret. Only DT_GNU_HASH, as of Linux 6.12.
pub const ARM64: Image = Image {
    machine: 183,
    hash_tables: HashTables::Gnu,
    version: Some("LINUX_2.6.39"),
    functions: &[function(
        "__kernel_clock_gettime",
        b"\xdf\x3f\x03\xd5\x40\xe0\x3b\xd5\xc0\xff\xff\xb4\xc0\x03\x5f\xd6",
    )],
    ..PLAIN
};

/// dmb ish; isb sy; mrrc p15, 1, r2, r3, c14; bne to the start; bx lr; a word that is nothing. Then
/// Thumb code. Only DT_HASH.
pub const ARM: Image = Image {
    class: Class::Elf32,
    machine: 40,
    hash_tables: HashTables::SystemV,
    version: Some("LINUX_2.6"),
    functions: &[
        function(
            "__vdso_clock_gettime64",
            b"\x5b\xf0\x7f\xf5\x6f\xf0\x7f\xf5\x1e\x2f\x53\xec\xfb\xff\xff\x1a\x1e\xff\x2f\xe1\
              \xff\xff\xff\xff",
        ),
        Function { name: "__vdso_gettimeofday", code: b"\x70\x47", displacement: 1 },
    ],
    ..PLAIN
};

/// rdtime a0; beqz a0 to the start; c.ret.
pub const RISCV64: Image = Image {
    machine: 243,
    version: Some("LINUX_4.15"),
    functions: &[function("__vdso_clock_gettime", b"\x73\x25\x10\xc0\xe3\x0e\x05\xfe\x82\x80")],
    ..PLAIN
};

/// mftb r3; beq to the start; sc; blr.
pub const POWERPC: Image = Image {
    class: Class::Elf32,
    byte_order: ByteOrder::Big,
    machine: 20,
    version: Some("LINUX_2.6.15"),
    functions: &[function(
        "__kernel_get_tbfreq",
        b"\x7c\x6c\x42\xa6\x41\x82\xff\xfc\x44\x00\x00\x02\x4e\x80\x00\x20",
    )],
    ..PLAIN
};

/// Words of 64 bits in DT_HASH; svc 0; br %r14.
pub const S390X: Image = Image {
    byte_order: ByteOrder::Big,
    machine: 22,
    hash_tables: HashTables::SystemV,
    version: Some("LINUX_2.6.29"),
    functions: &[
        function("__kernel_getcpu", b"\x0a\x00\x07\xfe"),
        function("__kernel_rt_sigreturn", b"\x0a\xad"),
    ],
    ..PLAIN
};

/// No version, no DT_HASH, and a function outside the image.
pub const BROKEN: Image = Image {
    class: Class::Elf32,
    machine: 8,
    hash_tables: HashTables::Gnu,
    functions: &[
        function("__vdso_clock_gettime", b"\x08\x00\xe0\x03\x00\x00\x00\x00"),
        Function { name: "__vdso_gettimeofday", code: b"\0\0\0\0", displacement: 0x10_0000 },
    ],
    ..PLAIN
};

/// All of them.
pub const ALL: [(&str, Image); 8] = [
    ("x86-64", X86_64),
    ("i386", I386),
    ("arm64", ARM64),
    ("arm", ARM),
    ("riscv64", RISCV64),
    ("ppc", POWERPC),
    ("s390x", S390X),
    ("broken", BROKEN),
];
