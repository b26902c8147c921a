//! Finds the fields of an image that a test spoils, and sets them.
//!
//! Offsets are those of the 64-bit records in the gABI. Panics where something is missing, as the
//! tests begin with good images.

use object::LittleEndian;
use object::elf::{DynamicTag, FileHeader64, SHT_DYNSYM, SHT_SYMTAB, SectionType};
use object::read::elf::FileHeader;
use vdso_elf::Image;

use crate::check_image::file;

/// Fields of the ELF header.
pub const E_MACHINE: usize = 18;
pub const E_ENTRY: usize = 24;
pub const E_SHOFF: usize = 40;
pub const E_SHNUM: usize = 60;

/// Fields of a program header.
pub const P_TYPE: usize = 0;
pub const P_FLAGS: usize = 4;
pub const P_VADDR: usize = 16;
pub const P_MEMSZ: usize = 40;
pub const P_ALIGN: usize = 48;

/// Fields of a section header.
pub const SH_NAME: usize = 0;
pub const SH_TYPE: usize = 4;
pub const SH_FLAGS: usize = 8;

/// Fields of an entry of the dynamic table.
pub const D_TAG: usize = 0;
pub const D_VAL: usize = 8;

/// Fields of a symbol.
pub const ST_INFO: usize = 4;
pub const ST_SHNDX: usize = 6;
pub const ST_VALUE: usize = 8;
pub const ST_SIZE: usize = 16;

/// Sizes of the records.
const ELF_HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const SECTION_HEADER: usize = 64;
const DYNAMIC_ENTRY: usize = 16;
const SYMBOL: usize = 24;

pub fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

pub fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

pub fn put64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

pub fn get32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

pub fn get64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Where the first program header of this type is.
pub fn segment(bytes: &[u8], kind: u32) -> usize {
    let headers = (0..).map(|index| ELF_HEADER + index * PROGRAM_HEADER);
    headers.take(16).find(|at| get32(bytes, *at) == kind).expect("the segment is there")
}

/// Where the header of this section is.
pub fn section(bytes: &[u8], name: &str) -> usize {
    let sections = file::sections(bytes).expect("the sections can be read");
    let section = sections.iter().find(|section| section.name == name);
    let index = section.expect("the section is there").index;
    get64(bytes, E_SHOFF) as usize + index * SECTION_HEADER
}

/// Where the content of this section is.
pub fn content(bytes: &[u8], name: &str) -> usize {
    const SH_OFFSET: usize = 24;
    get64(bytes, section(bytes, name) + SH_OFFSET) as usize
}

/// Where the entry of the dynamic table with this tag is.
pub fn dynamic(bytes: &[u8], tag: DynamicTag) -> usize {
    let entries = (0..).map(|index| content(bytes, ".dynamic") + index * DYNAMIC_ENTRY);
    let is_it = |at: &usize| get64(bytes, *at) == tag.0 as u64;
    entries.take(32).find(is_it).expect("the entry is there")
}

/// Where the dynamic symbol of this name is.
pub fn symbol(bytes: &[u8], name: &str) -> usize {
    let index = symbol_index(bytes, name, SHT_DYNSYM);
    content(bytes, ".dynsym") + index * SYMBOL
}

/// The same in the table for debuggers.
pub fn debug_symbol(bytes: &[u8], name: &str) -> usize {
    content(bytes, ".symtab") + symbol_index(bytes, name, SHT_SYMTAB) * SYMBOL
}

pub fn symbol_index(bytes: &[u8], name: &str, kind: SectionType) -> usize {
    // The first symbol, which is empty, is left out there.
    let symbols = file::symbols(bytes, kind).expect("the symbols can be read");
    1 + symbols.iter().position(|symbol| symbol.name == name).expect("the symbol is there")
}

/// Where the description of the build-id is.
pub fn build_id(bytes: &[u8]) -> usize {
    let image = Image::parse(bytes).expect("it is an image");
    let note = image.notes().flatten().find(|note| note.owner == "GNU");
    note.expect("the build-id is there").description_offset
}

/// Where the address range of the entry of `.eh_frame` that is about the function at `vaddr` is.
/// Its fields: length, distance to the CIE, begin relative to itself, length of the function.
pub fn unwind_range(bytes: &[u8], vaddr: u64) -> usize {
    let mut at = content(bytes, ".eh_frame");
    loop {
        let length = get32(bytes, at) as usize;
        assert_ne!(length, 0, "no unwind information for {vaddr:#x}");
        let is_function = get32(bytes, at + 4) != 0;
        let begin = (at as i64 + 8) + i64::from(get32(bytes, at + 8) as i32);
        if is_function && begin == vaddr as i64 {
            return at + 12;
        }
        at += 4 + length;
    }
}

/// Overwrites every occurrence of `old` with `new`, which is as long.
pub fn replace(bytes: &mut [u8], old: &str, new: &str) {
    assert_eq!(old.len(), new.len());
    let places: Vec<usize> =
        (0..bytes.len()).filter(|&at| bytes[at..].starts_with(old.as_bytes())).collect();
    assert!(!places.is_empty(), "{old} is there");
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
    }
}

/// Whether the image is one whose header fields are where this module expects them.
pub fn is_expected(bytes: &[u8]) -> bool {
    let header = FileHeader64::<LittleEndian>::parse(bytes).expect("it is an ELF file");
    header.e_phoff.get(LittleEndian) == ELF_HEADER as u64
}
