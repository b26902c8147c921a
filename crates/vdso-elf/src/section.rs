//! The number of dynamic symbols by the section headers, for images without any hash table.
//!
//! Sections are for linkers and debuggers; nothing else here relies on them, as what maps an image
//! may leave them out.
//!
//! Source: gABI, chapter "Section Header".

use vdso_arch::Class;

use crate::header::Header;
use crate::reader::{Reader, element};
use crate::symbol;

/// `sh_type` of the dynamic symbol table.
const SHT_DYNSYM: u32 = 11;

/// How many dynamic symbols there are, if a section header tells.
pub(crate) fn symbol_count(reader: Reader<'_>, header: &Header<'_>) -> Option<u32> {
    if usize::from(header.section_header_bytes) != section_header_bytes(reader.class()) {
        return None;
    }
    let table = usize::try_from(header.section_headers_offset).ok()?;
    for index in 0..header.section_count {
        let at = element(table, u32::from(index), usize::from(header.section_header_bytes))?;
        let (kind, bytes) = kind_and_bytes(reader, at)?;
        if kind == SHT_DYNSYM {
            return u32::try_from(bytes / symbol::entry_bytes(reader.class()) as u64).ok();
        }
    }
    None
}

/// `sh_type` and `sh_size` of the section header at `at`.
fn kind_and_bytes(reader: Reader<'_>, at: usize) -> Option<(u32, u64)> {
    let mut fields = reader.record(at, section_header_bytes(reader.class()))?;
    let _name = fields.u32()?;
    let kind = fields.u32()?;
    let _flags = fields.address()?;
    let _vaddr = fields.address()?;
    let _file_offset = fields.address()?;
    let bytes = fields.address()?;
    Some((kind, bytes))
}

/// Size of `Elf32_Shdr` and `Elf64_Shdr`.
const fn section_header_bytes(class: Class) -> usize {
    match class {
        Class::Elf32 => 40,
        Class::Elf64 => 64,
    }
}
