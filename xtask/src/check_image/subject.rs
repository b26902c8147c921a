//! What a check looks at: an image and its debug file.

use anyhow::{Context, Result};
use gimli::RunTimeEndian;
use object::Endianness;
use object::elf::{DT_NULL, DynamicTag};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use vdso_data::architecture::{Architecture, ByteOrder};
use vdso_elf::{Binding, Image, Symbol};

use super::file::{self, Section, by_class};

/// An image, and the same with debug information.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// What the image should be for.
    pub architecture: &'static Architecture,
    pub bytes: &'a [u8],
    pub debug: Option<&'a [u8]>,
    /// Whether it counts its calls, which takes more room.
    pub counts: bool,
}

impl<'a> Subject<'a> {
    pub fn image(&self) -> Result<Image<'a>> {
        Ok(Image::parse(self.bytes)?)
    }

    pub fn sections(&self) -> Result<Vec<Section<'a>>> {
        file::sections(self.bytes).context("the section headers cannot be read")
    }

    pub fn section(&self, name: &str) -> Result<Section<'a>> {
        let sections = self.sections()?;
        sections
            .into_iter()
            .find(|it| it.name == name)
            .with_context(|| format!("there is no {name}"))
    }

    /// The debug file; checks that need it are not run without.
    pub fn debug(&self) -> Result<&'a [u8]> {
        self.debug.context("there is no debug file")
    }

    /// The symbols that other objects can refer to.
    pub fn exports(&self) -> Result<Vec<Symbol<'a>>> {
        let mut exports = Vec::new();
        for symbol in self.image()?.symbols() {
            let symbol = symbol?;
            if symbol.is_defined() && symbol.binding != Binding::Local {
                exports.push(symbol);
            }
        }
        Ok(exports)
    }

    /// The entries of `PT_DYNAMIC`, which is what a dynamic linker reads.
    pub fn dynamic(&self) -> Result<Vec<(DynamicTag, u64)>> {
        by_class!(self.bytes, dynamic_of(self.bytes))
    }

    /// The order of bytes, for the reader of DWARF.
    pub fn endian(&self) -> RunTimeEndian {
        match self.architecture.byte_order {
            ByteOrder::Little => RunTimeEndian::Little,
            ByteOrder::Big => RunTimeEndian::Big,
        }
    }
}

fn dynamic_of<Elf: FileHeader<Endian = Endianness>>(
    bytes: &[u8],
) -> Result<Vec<(DynamicTag, u64)>> {
    let header = Elf::parse(bytes)?;
    let endian = header.endian()?;
    let mut entries = Vec::new();
    for segment in header.program_headers(endian, bytes)? {
        for entry in segment.dynamic(endian, bytes)?.unwrap_or_default() {
            if entry.d_tag(endian) == DT_NULL {
                break;
            }
            entries.push((entry.d_tag(endian), entry.d_val(endian).into()));
        }
    }
    Ok(entries)
}
