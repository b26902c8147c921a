//! What a check looks at: an image and its debug file.

use anyhow::{Context, Result};
use object::LittleEndian;
use object::elf::{DT_NULL, DynamicTag, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use vdso_elf::{Binding, Image, Symbol};

use super::file::{self, Section};

/// An image, and the same with debug information.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub bytes: &'a [u8],
    pub debug: Option<&'a [u8]>,
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
        let header = FileHeader64::<LittleEndian>::parse(self.bytes)?;
        let mut entries = Vec::new();
        for segment in header.program_headers(LittleEndian, self.bytes)? {
            for entry in segment.dynamic(LittleEndian, self.bytes)?.unwrap_or_default() {
                if entry.d_tag(LittleEndian) == DT_NULL {
                    break;
                }
                entries.push((entry.d_tag(LittleEndian), entry.d_val(LittleEndian)));
            }
        }
        Ok(entries)
    }
}
