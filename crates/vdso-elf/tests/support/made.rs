//! Makes an image of any class and byte order, with or without each optional part.
//!
//! Kernels that are at hand have no big-endian 32-bit image, none that is linked at another address
//! than zero, and none without a hash table; the crate reads them all the same.

use vdso_elf::{ByteOrder, Class};

/// What to make.
#[derive(Clone, Copy)]
pub struct Recipe {
    pub class: Class,
    pub byte_order: ByteOrder,
    pub machine: u16,
    /// `p_vaddr` of the segment.
    pub link_base: u64,
    pub gnu_hash: bool,
    pub system_v_hash: bool,
    pub section_headers: bool,
}

/// The plainest: 64 bits, little endian, both hash tables.
pub const PLAIN: Recipe = Recipe {
    class: Class::Elf64,
    byte_order: ByteOrder::Little,
    machine: 62,
    link_base: 0,
    gnu_hash: true,
    system_v_hash: true,
    section_headers: false,
};

/// What every made image exports, with the version of each.
pub const EXPORTS: [(&str, &str); 3] = [
    ("__vdso_clock_gettime", "LINUX_2.6"),
    ("__vdso_time", "LINUX_2.6"),
    ("__kernel_sigreturn", "LINUX_2.5"),
];

/// A name in the symbol table that the image does not define.
pub const UNDEFINED: &str = "somebody_elses";

/// Size of each function.
pub const FUNCTION_BYTES: u64 = 16;

/// The image's SONAME, build-id, and kernel version.
pub const SONAME: &str = "linux-made.so.1";
pub const BUILD_ID: &[u8; 4] = b"\x01\x02\x03\x04";
pub const VERSION_CODE: u32 = 0x0006_0c01;

/// Where things begin in the file; fixed, as everything is small.
pub const TEXT: u64 = 0x600;
const PROGRAM_HEADERS: usize = 0x40;
const STRINGS: usize = 0x100;
const SYMBOLS: usize = 0x200;
const SYSTEM_V_HASH: usize = 0x300;
const GNU_HASH: usize = 0x380;
const VERSION_SYMBOLS: usize = 0x400;
const VERSION_DEFINITIONS: usize = 0x420;
const DYNAMIC: usize = 0x480;
const NOTES: usize = 0x580;
const NOTES_BYTES: usize = 12 + 8 + 4 + 12 + 4 + 4;
const SECTION_HEADERS: usize = 0x700;
const END: usize = 0x800;

/// Where the one function of index `index` is in the file.
pub fn function_offset(index: usize) -> u64 {
    TEXT + index as u64 * FUNCTION_BYTES
}

/// Makes it.
pub fn make(recipe: Recipe) -> Vec<u8> {
    let mut image = Writer { recipe, bytes: vec![0; END], at: 0 };
    image.header();
    image.program_headers();
    let strings = image.strings();
    image.symbols(&strings);
    image.hash_tables();
    image.versions(&strings);
    image.dynamic(&strings);
    image.notes();
    if recipe.section_headers {
        image.section_headers();
    }
    image.bytes
}

struct Writer {
    recipe: Recipe,
    bytes: Vec<u8>,
    at: usize,
}

/// Offsets into the string table.
struct Offsets {
    table: Vec<u8>,
}

impl Offsets {
    fn of(&self, name: &str) -> u32 {
        let mut name = name.as_bytes().to_vec();
        name.push(0);
        let at = self.table.windows(name.len()).position(|window| window == name);
        at.expect("every name is in the table") as u32
    }
}

impl Writer {
    fn raw(&mut self, bytes: &[u8]) {
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn u16(&mut self, value: u16) {
        match self.recipe.byte_order {
            ByteOrder::Little => self.raw(&value.to_le_bytes()),
            ByteOrder::Big => self.raw(&value.to_be_bytes()),
        }
    }

    fn u32(&mut self, value: u32) {
        match self.recipe.byte_order {
            ByteOrder::Little => self.raw(&value.to_le_bytes()),
            ByteOrder::Big => self.raw(&value.to_be_bytes()),
        }
    }

    fn u64(&mut self, value: u64) {
        match self.recipe.byte_order {
            ByteOrder::Little => self.raw(&value.to_le_bytes()),
            ByteOrder::Big => self.raw(&value.to_be_bytes()),
        }
    }

    fn address(&mut self, value: u64) {
        match self.recipe.class {
            Class::Elf32 => self.u32(value.try_into().expect("it fits 32 bits")),
            Class::Elf64 => self.u64(value),
        }
    }

    /// The words of DT_HASH.
    fn hash_word(&mut self, value: u32) {
        match (self.recipe.class, self.recipe.machine) {
            (Class::Elf64, 22 | 0x9026) => self.u64(value.into()),
            _ => self.u32(value),
        }
    }

    fn pick<T>(&self, if_32: T, if_64: T) -> T {
        match self.recipe.class {
            Class::Elf32 => if_32,
            Class::Elf64 => if_64,
        }
    }

    fn header(&mut self) {
        self.raw(b"\x7fELF");
        let class = self.pick(1, 2);
        let byte_order = match self.recipe.byte_order {
            ByteOrder::Little => 1,
            ByteOrder::Big => 2,
        };
        self.raw(&[class, byte_order, 1]);
        self.at = 16;
        self.u16(3);
        self.u16(self.recipe.machine);
        self.u32(1);
        self.address(self.recipe.link_base + TEXT);
        self.address(PROGRAM_HEADERS as u64);
        self.address(if self.recipe.section_headers { SECTION_HEADERS as u64 } else { 0 });
        self.u32(0);
        self.u16(self.pick(52, 64));
        self.u16(self.pick(32, 56));
        self.u16(3);
        self.u16(self.pick(40, 64));
        self.u16(if self.recipe.section_headers { 2 } else { 0 });
        self.u16(0);
    }

    fn program_headers(&mut self) {
        self.at = PROGRAM_HEADERS;
        for (kind, at, length, flags) in
            [(1, 0, END, 5), (2, DYNAMIC, NOTES - DYNAMIC, 4), (4, NOTES, NOTES_BYTES, 4)]
        {
            self.u32(kind);
            if self.recipe.class == Class::Elf64 {
                self.u32(flags);
            }
            self.address(at as u64);
            self.address(at as u64 + self.recipe.link_base);
            self.address(0);
            self.address(length as u64);
            self.address(length as u64);
            if self.recipe.class == Class::Elf32 {
                self.u32(flags);
            }
            self.address(4);
        }
    }

    fn strings(&mut self) -> Offsets {
        let names = [SONAME, "LINUX_2.6", "LINUX_2.5", UNDEFINED];
        let mut table = vec![0];
        for name in names.into_iter().chain(EXPORTS.map(|(name, _)| name)) {
            table.extend_from_slice(name.as_bytes());
            table.push(0);
        }
        self.at = STRINGS;
        self.raw(&table);
        Offsets { table }
    }

    fn symbol(&mut self, name: u32, value: u64, info: u8, section: u16) {
        let size = if section == 0 { 0 } else { FUNCTION_BYTES };
        self.u32(name);
        if self.recipe.class == Class::Elf32 {
            self.address(value);
            self.address(size);
        }
        self.raw(&[info, 0]);
        self.u16(section);
        if self.recipe.class == Class::Elf64 {
            self.address(value);
            self.address(size);
        }
    }

    /// Symbol 0 is empty, 1 is undefined, the exports follow.
    fn symbols(&mut self, strings: &Offsets) {
        self.at = SYMBOLS + self.pick(16, 24);
        self.symbol(strings.of(UNDEFINED), 0, 0x12, 0);
        for (index, (name, _)) in EXPORTS.into_iter().enumerate() {
            let value = self.recipe.link_base + function_offset(index);
            self.symbol(strings.of(name), value, 0x12, 1);
        }
    }

    /// One bucket each, so that every lookup follows the whole chain.
    fn hash_tables(&mut self) {
        let count = 2 + EXPORTS.len() as u32;
        self.at = SYSTEM_V_HASH;
        for word in [1, count, 1].into_iter().chain([0]).chain(2..count).chain([0]) {
            self.hash_word(word);
        }
        self.at = GNU_HASH;
        for word in [1, 2, 1, 6] {
            self.u32(word);
        }
        // A Bloom filter that lets everything pass.
        self.address(self.pick(u64::from(u32::MAX), u64::MAX));
        self.u32(2);
        for (index, (name, _)) in EXPORTS.into_iter().enumerate() {
            let hash = name
                .bytes()
                .fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(byte.into()));
            let is_last = index == EXPORTS.len() - 1;
            self.u32(hash & !1 | u32::from(is_last));
        }
    }

    fn versions(&mut self, strings: &Offsets) {
        self.at = VERSION_SYMBOLS;
        for index in [0, 0].into_iter().chain(EXPORTS.map(|(_, version)| version_index(version))) {
            self.u16(index);
        }
        self.at = VERSION_DEFINITIONS;
        for (index, name) in [(1, SONAME), (2, "LINUX_2.6"), (3, "LINUX_2.5")] {
            self.u16(1);
            self.u16(u16::from(index == 1));
            self.u16(index);
            self.u16(1);
            self.u32(0);
            self.u32(20);
            self.u32(if index == 3 { 0 } else { 28 });
            self.u32(strings.of(name));
            self.u32(0);
        }
    }

    fn dynamic(&mut self, strings: &Offsets) {
        let mut entries = vec![
            (14, u64::from(strings.of(SONAME))),
            (5, STRINGS as u64 + self.recipe.link_base),
            (10, strings.table.len() as u64),
            (6, SYMBOLS as u64 + self.recipe.link_base),
            (11, self.pick(16, 24)),
            (0x6fff_fff0, VERSION_SYMBOLS as u64 + self.recipe.link_base),
            (0x6fff_fffc, VERSION_DEFINITIONS as u64 + self.recipe.link_base),
            (0x6fff_fffd, 3),
        ];
        if self.recipe.system_v_hash {
            entries.push((4, SYSTEM_V_HASH as u64 + self.recipe.link_base));
        }
        if self.recipe.gnu_hash {
            entries.push((0x6fff_fef5, GNU_HASH as u64 + self.recipe.link_base));
        }
        self.at = DYNAMIC;
        for (tag, value) in entries {
            self.address(tag);
            self.address(value);
        }
    }

    fn notes(&mut self) {
        self.at = NOTES;
        self.u32(6);
        self.u32(4);
        self.u32(0);
        self.raw(b"Linux\0\0\0");
        self.u32(VERSION_CODE);
        self.u32(4);
        self.u32(BUILD_ID.len() as u32);
        self.u32(3);
        self.raw(b"GNU\0");
        self.raw(BUILD_ID);
    }

    fn section_headers(&mut self) {
        self.at = SECTION_HEADERS + self.pick(40, 64);
        self.u32(0);
        self.u32(11);
        self.address(2);
        self.address(SYMBOLS as u64);
        self.address(SYMBOLS as u64);
        self.address(self.pick(16, 24) * (2 + EXPORTS.len() as u64));
    }
}

fn version_index(name: &str) -> u16 {
    if name == "LINUX_2.6" { 2 } else { 3 }
}
