//! The sections and symbols of an ELF file, as `object` sees them, in plain structures.

use anyhow::{Context, Result, bail};
use object::elf::{SectionFlags, SectionType};
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::{Endianness, FileKind};

/// Runs `$function::<Header>($bytes, …)` with the header of the file's class. Both orders of bytes are
/// read by each.
macro_rules! by_class {
    ($bytes:expr, $function:ident($($argument:expr),*)) => {
        match $crate::check_image::file::class($bytes)? {
            $crate::check_image::file::Class::Bits32 => {
                $function::<object::elf::FileHeader32<object::Endianness>>($($argument),*)
            }
            $crate::check_image::file::Class::Bits64 => {
                $function::<object::elf::FileHeader64<object::Endianness>>($($argument),*)
            }
        }
    };
}

pub(crate) use by_class;

/// What `by_class` tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 32 bits.
    Bits32,
    /// 64 bits.
    Bits64,
}

/// The file's class.
pub fn class(bytes: &[u8]) -> Result<Class> {
    match FileKind::parse(bytes)? {
        FileKind::Elf32 => Ok(Class::Bits32),
        FileKind::Elf64 => Ok(Class::Bits64),
        kind => bail!("the file is {kind:?}, not ELF"),
    }
}

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
    by_class!(bytes, sections_of(bytes))
}

fn sections_of<Elf: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Result<Vec<Section<'_>>> {
    let header = Elf::parse(bytes)?;
    let endian = header.endian()?;
    let table = header.sections(endian, bytes)?;
    let mut sections = Vec::new();
    for (index, header) in table.enumerate().skip(1) {
        let name = table.section_name(endian, header)?;
        sections.push(Section {
            index: index.0,
            name: str::from_utf8(name).context("a section's name is not text")?,
            kind: header.sh_type(endian),
            flags: header.sh_flags(endian),
            vaddr: header.sh_addr(endian).into(),
            size_bytes: header.sh_size(endian).into(),
            content: header.data(endian, bytes)?,
        });
    }
    Ok(sections)
}

/// The symbols of the table of this type (`SHT_SYMTAB`, `SHT_DYNSYM`); none if there is no table.
pub fn symbols(bytes: &[u8], kind: SectionType) -> Result<Vec<NamedSymbol<'_>>> {
    by_class!(bytes, symbols_of(bytes, kind))
}

fn symbols_of<Elf: FileHeader<Endian = Endianness>>(
    bytes: &[u8],
    kind: SectionType,
) -> Result<Vec<NamedSymbol<'_>>> {
    let header = Elf::parse(bytes)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, bytes)?;
    let table = sections.symbols(endian, bytes, kind)?;
    let mut symbols = Vec::new();
    for symbol in table.iter().skip(1) {
        let name = symbol.name(endian, table.strings())?;
        symbols.push(NamedSymbol {
            name: str::from_utf8(name).context("a symbol's name is not text")?,
            is_undefined: symbol.is_undefined(endian),
        });
    }
    Ok(symbols)
}
