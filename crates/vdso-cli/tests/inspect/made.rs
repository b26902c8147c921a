//! Small images and core files of any class and byte order, made for these tests.

use vdso_elf::{ByteOrder, Class};

/// What to make.
#[derive(Clone, Copy)]
pub struct Made {
    pub class: Class,
    pub byte_order: ByteOrder,
    /// `e_machine`.
    pub machine: u16,
    /// DT_HASH, DT_GNU_HASH.
    pub hash_tables: (bool, bool),
    /// The version of all functions.
    pub version: Option<&'static str>,
    pub functions: &'static [Function],
}

/// A function that an image exports.
#[derive(Clone, Copy)]
pub struct Function {
    pub name: &'static str,
    pub code: &'static [u8],
    /// Added to its address: code of 32-bit ARM's Thumb has 1, and a broken symbol anything.
    pub displacement: u64,
}

/// A function at its place.
pub const fn function(name: &'static str, code: &'static [u8]) -> Function {
    Function { name, code, displacement: 0 }
}

const PROGRAM_HEADERS: usize = 0x40;
const STRINGS: usize = 0x100;
const SYMBOLS: usize = 0x200;
const SYSTEM_V_HASH: usize = 0x300;
const GNU_HASH: usize = 0x380;
const VERSION_SYMBOLS: usize = 0x400;
const VERSION_DEFINITIONS: usize = 0x420;
const DYNAMIC: usize = 0x480;
const DYNAMIC_BYTES: usize = 0x100;
const NOTES: usize = 0x580;
const NOTES_BYTES: usize = 44;
const TEXT: usize = 0x600;
const IMAGE_BYTES: usize = 0x800;
const SONAME: &str = "linux-made.so.1";

/// Where functions begin, each this far behind the one before.
pub const FUNCTION_STEP: usize = 0x40;

impl Made {
    pub fn image(self) -> Vec<u8> {
        let mut out = Writer { made: self, bytes: vec![0; IMAGE_BYTES], at: 0 };
        out.header(3, 3);
        out.at = PROGRAM_HEADERS;
        out.segment(1, 5, 0, 0, IMAGE_BYTES);
        out.segment(2, 4, DYNAMIC, DYNAMIC as u64, DYNAMIC_BYTES);
        out.segment(4, 4, NOTES, NOTES as u64, NOTES_BYTES);
        let strings = self.strings();
        out.bytes[STRINGS..STRINGS + strings.len()].copy_from_slice(&strings);
        out.symbols(&strings);
        out.hash_tables();
        out.versions(&strings);
        out.dynamic(&strings);
        out.notes();
        for (index, function) in self.functions.iter().enumerate() {
            out.at = TEXT + index * FUNCTION_STEP;
            out.raw(function.code);
        }
        out.bytes
    }

    /// The core file of a process that had `image` at `addr`.
    pub fn core(self, image: &[u8], addr: u64) -> Vec<u8> {
        const AUXV: usize = 0x200;
        const MEMORY: usize = 0x1000;
        let mut out = Writer { made: self, bytes: vec![0; MEMORY], at: 0 };
        out.header(4, 2);
        let word = self.pick(4, 8);
        let auxv_bytes = 6 * word;
        out.at = PROGRAM_HEADERS;
        out.segment(4, 0, AUXV, 0, 20 + auxv_bytes);
        out.segment(1, 5, MEMORY, addr - 0x1000, 0x1000 + image.len());
        out.at = AUXV;
        for value in [5, auxv_bytes as u32, 6] {
            out.u32(value);
        }
        out.raw(b"CORE\0\0\0\0");
        for value in [6, 4096, 33, addr, 0, 0] {
            out.address(value);
        }
        // The mapping has a page before the image.
        out.bytes.extend([0; 0x1000]);
        out.bytes.extend(image);
        out.bytes
    }

    /// Names, each behind a zero byte and before one.
    fn strings(&self) -> Vec<u8> {
        let names = self.functions.iter().map(|function| function.name);
        let mut strings = vec![0];
        for name in [SONAME].into_iter().chain(self.version).chain(names) {
            strings.extend(name.as_bytes());
            strings.push(0);
        }
        assert!(strings.len() <= SYMBOLS - STRINGS);
        strings
    }

    fn pick<T>(&self, if_32: T, if_64: T) -> T {
        match self.class {
            Class::Elf32 => if_32,
            Class::Elf64 => if_64,
        }
    }
}

/// Where a name is in the string table.
fn offset_of(strings: &[u8], name: &str) -> u32 {
    let wanted: Vec<u8> = [b"\0", name.as_bytes(), b"\0"].concat();
    let at = strings.windows(wanted.len()).position(|window| window == wanted);
    at.expect("every name is in the table") as u32 + 1
}

struct Writer {
    made: Made,
    bytes: Vec<u8>,
    at: usize,
}

impl Writer {
    fn raw(&mut self, bytes: &[u8]) {
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    /// The lowest bytes of `value`.
    fn integer(&mut self, value: u64, bytes: usize) {
        match self.made.byte_order {
            ByteOrder::Little => self.raw(&value.to_le_bytes()[..bytes]),
            ByteOrder::Big => self.raw(&value.to_be_bytes()[8 - bytes..]),
        }
    }

    fn u16(&mut self, value: u16) {
        self.integer(value.into(), 2);
    }

    fn u32(&mut self, value: u32) {
        self.integer(value.into(), 4);
    }

    fn address(&mut self, value: u64) {
        self.integer(value, self.made.pick(4, 8));
    }

    fn header(&mut self, kind: u16, segments: u16) {
        let class = self.made.pick(1, 2);
        let byte_order = if self.made.byte_order == ByteOrder::Little { 1 } else { 2 };
        self.raw(&[0x7f, b'E', b'L', b'F', class, byte_order, 1]);
        self.at = 16;
        self.u16(kind);
        self.u16(self.made.machine);
        self.u32(1);
        self.address(0);
        self.address(PROGRAM_HEADERS as u64);
        self.address(0);
        self.u32(0);
        for value in [self.made.pick(52, 64), self.made.pick(32, 56), segments, 0, 0, 0] {
            self.u16(value);
        }
    }

    fn segment(&mut self, kind: u32, flags: u32, at: usize, vaddr: u64, length: usize) {
        self.u32(kind);
        if self.made.class == Class::Elf64 {
            self.u32(flags);
        }
        self.address(at as u64);
        self.address(vaddr);
        self.address(0);
        self.address(length as u64);
        self.address(length as u64);
        if self.made.class == Class::Elf32 {
            self.u32(flags);
        }
        self.address(4);
    }

    fn symbols(&mut self, strings: &[u8]) {
        self.at = SYMBOLS + self.made.pick(16, 24);
        for (index, function) in self.made.functions.iter().enumerate() {
            let value = (TEXT + index * FUNCTION_STEP) as u64 + function.displacement;
            let size = function.code.len() as u64;
            self.u32(offset_of(strings, function.name));
            if self.made.class == Class::Elf32 {
                self.address(value);
                self.address(size);
            }
            self.raw(&[0x12, 0]);
            self.u16(1);
            if self.made.class == Class::Elf64 {
                self.address(value);
                self.address(size);
            }
        }
    }

    /// One bucket each, with all functions in it.
    fn hash_tables(&mut self) {
        let count = 1 + self.made.functions.len() as u32;
        // s390x has words of 64 bits.
        let word = if self.made.machine == 22 { self.made.pick(4, 8) } else { 4 };
        self.at = SYSTEM_V_HASH;
        for value in [1, count, 1, 0].into_iter().chain(2..count).chain([0]) {
            self.integer(value.into(), word);
        }
        self.at = GNU_HASH;
        for value in [1, 1, 1, 6] {
            self.u32(value);
        }
        // A Bloom filter that lets everything pass.
        self.address(u64::MAX);
        self.u32(1);
        for (index, function) in self.made.functions.iter().enumerate() {
            let add = |hash: u32, byte: u8| hash.wrapping_mul(33).wrapping_add(byte.into());
            let hash = function.name.bytes().fold(5381, add);
            self.u32(hash & !1 | u32::from(index + 2 == count as usize));
        }
    }

    fn versions(&mut self, strings: &[u8]) {
        let Some(version) = self.made.version else { return };
        self.at = VERSION_SYMBOLS + 2;
        for _ in self.made.functions {
            self.u16(2);
        }
        self.at = VERSION_DEFINITIONS;
        for (index, name, next) in [(1, SONAME, 28), (2, version, 0)] {
            for value in [1, u16::from(index == 1), index, 1] {
                self.u16(value);
            }
            for value in [0, 20, next, offset_of(strings, name), 0] {
                self.u32(value);
            }
        }
    }

    fn dynamic(&mut self, strings: &[u8]) {
        let mut entries = vec![
            (14, u64::from(offset_of(strings, SONAME))),
            (5, STRINGS as u64),
            (10, strings.len() as u64),
            (6, SYMBOLS as u64),
            (11, self.made.pick(16, 24)),
        ];
        let (system_v, gnu) = self.made.hash_tables;
        entries.extend(system_v.then_some((4, SYSTEM_V_HASH as u64)));
        entries.extend(gnu.then_some((0x6fff_fef5, GNU_HASH as u64)));
        if self.made.version.is_some() {
            entries.push((0x6fff_fff0, VERSION_SYMBOLS as u64));
            entries.push((0x6fff_fffc, VERSION_DEFINITIONS as u64));
        }
        self.at = DYNAMIC;
        for (tag, value) in entries {
            self.address(tag);
            self.address(value);
        }
    }

    fn notes(&mut self) {
        self.at = NOTES;
        for value in [6, 4, 0] {
            self.u32(value);
        }
        self.raw(b"Linux\0\0\0");
        self.u32(0x0006_0c05);
        for value in [4, 4, 3] {
            self.u32(value);
        }
        self.raw(b"GNU\0\x01\x02\x03\x04");
    }
}

/// 64 bits, little endian, both hash tables; machine, version and functions are to be given.
const PLAIN: Made = Made {
    class: Class::Elf64,
    byte_order: ByteOrder::Little,
    machine: 0,
    hash_tables: (true, true),
    version: None,
    functions: &[],
};

/// endbr64; test rdi, rdi; jz over the store; mov [rdi], rax; ret. Then a jump to the first.
pub const X86_64: Made = Made {
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
pub const I386: Made = Made {
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
pub const ARM64: Made = Made {
    machine: 183,
    hash_tables: (false, true),
    version: Some("LINUX_2.6.39"),
    functions: &[function(
        "__kernel_clock_gettime",
        b"\xdf\x3f\x03\xd5\x40\xe0\x3b\xd5\xc0\xff\xff\xb4\xc0\x03\x5f\xd6",
    )],
    ..PLAIN
};

/// dmb ish; isb sy; mrrc p15, 1, r2, r3, c14; bne to the start; bx lr; a word that is nothing. Then
/// Thumb code. Only DT_HASH.
pub const ARM: Made = Made {
    class: Class::Elf32,
    machine: 40,
    hash_tables: (true, false),
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
pub const RISCV64: Made = Made {
    machine: 243,
    version: Some("LINUX_4.15"),
    functions: &[function("__vdso_clock_gettime", b"\x73\x25\x10\xc0\xe3\x0e\x05\xfe\x82\x80")],
    ..PLAIN
};

/// mftb r3; beq to the start; sc; blr.
pub const POWERPC: Made = Made {
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
pub const S390X: Made = Made {
    byte_order: ByteOrder::Big,
    machine: 22,
    hash_tables: (true, false),
    version: Some("LINUX_2.6.29"),
    functions: &[
        function("__kernel_getcpu", b"\x0a\x00\x07\xfe"),
        function("__kernel_rt_sigreturn", b"\x0a\xad"),
    ],
    ..PLAIN
};

/// No version, no DT_HASH, and a function outside the image.
pub const BROKEN: Made = Made {
    class: Class::Elf32,
    machine: 8,
    hash_tables: (false, true),
    functions: &[
        function("__vdso_clock_gettime", b"\x08\x00\xe0\x03\x00\x00\x00\x00"),
        Function { name: "__vdso_gettimeofday", code: b"\0\0\0\0", displacement: 0x10_0000 },
    ],
    ..PLAIN
};

/// All of them.
pub const ALL: [(&str, Made); 8] = [
    ("x86-64", X86_64),
    ("i386", I386),
    ("arm64", ARM64),
    ("arm", ARM),
    ("riscv64", RISCV64),
    ("ppc", POWERPC),
    ("s390x", S390X),
    ("broken", BROKEN),
];
