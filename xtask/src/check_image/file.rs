//! The sections and symbols of an ELF file, as `object` sees them, in plain structures.

use anyhow::{Context, Result};
use object::LittleEndian;
use object::elf::{FileHeader64, SectionFlags, SectionType};
use object::read::elf::{FileHeader, SectionHeader, Sym};

/// The class and byte order that all checks but the one of the header assume.
pub type Header = FileHeader64<LittleEndian>;

/// A section.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    pub index: usize,
    pub name: &'a str,
    pub kind: SectionType,
    pub flags: SectionFlags,
    pub vaddr: u64,
    pub size_bytes: u64,
    /// Empty for sections without bytes in the file.
    pub content: &'a [u8],
}

impl Section<'_> {
    /// The address behind it.
    pub fn end(&self) -> u64 {
        self.vaddr.saturating_add(self.size_bytes)
    }
}

/// A symbol of the table that debuggers read, or of the dynamic one.
#[derive(Clone, Debug)]
pub struct NamedSymbol<'a> {
    pub name: &'a str,
    pub is_undefined: bool,
}

/// All sections but the empty first one; none if the file has no section headers.
pub fn sections(bytes: &[u8]) -> Result<Vec<Section<'_>>> {
    let table = Header::parse(bytes)?.sections(LittleEndian, bytes)?;
    let mut sections = Vec::new();
    for (index, header) in table.enumerate().skip(1) {
        let name = table.section_name(LittleEndian, header)?;
        sections.push(Section {
            index: index.0,
            name: str::from_utf8(name).context("a section's name is not text")?,
            kind: header.sh_type(LittleEndian),
            flags: header.sh_flags(LittleEndian),
            vaddr: header.sh_addr(LittleEndian),
            size_bytes: header.sh_size(LittleEndian),
            content: header.data(LittleEndian, bytes)?,
        });
    }
    Ok(sections)
}

/// The symbols of the table of this type (`SHT_SYMTAB`, `SHT_DYNSYM`); none if there is no table.
pub fn symbols(bytes: &[u8], kind: SectionType) -> Result<Vec<NamedSymbol<'_>>> {
    let sections = Header::parse(bytes)?.sections(LittleEndian, bytes)?;
    let table = sections.symbols(LittleEndian, bytes, kind)?;
    let mut symbols = Vec::new();
    for symbol in table.iter().skip(1) {
        let name = symbol.name(LittleEndian, table.strings())?;
        symbols.push(NamedSymbol {
            name: str::from_utf8(name).context("a symbol's name is not text")?,
            is_undefined: symbol.is_undefined(LittleEndian),
        });
    }
    Ok(symbols)
}
