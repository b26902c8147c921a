//! Where single fields are in a made image, for whoever wants to spoil one.

use crate::header;
use crate::made::Made;
use crate::recipe::Symbol;
use crate::writer::{Class, Extent};

/// The fields of a dynamic symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolField {
    /// `st_name`.
    Name,
    /// `st_value`.
    Value,
    /// `st_size`.
    Size,
    /// `st_info`.
    Info,
    /// `st_shndx`.
    SectionIndex,
}

impl Made {
    /// Writes a number over a field, in the image's byte order.
    pub fn put(&mut self, field: Extent, value: u64) {
        self.recipe.byte_order.put(&mut self.bytes, field, value);
    }

    /// The number of a symbol.
    ///
    /// # Panics
    ///
    /// If there is none of this name.
    pub fn symbol_number(&self, name: &str) -> usize {
        let is_it = |symbol: &Symbol| symbol.name == name;
        self.symbols.iter().position(is_it).expect("the image has the symbol") + 1
    }

    /// A field of the first symbol of this name.
    pub fn symbol_field(&self, name: &str, field: SymbolField) -> Extent {
        let entry_bytes = self.recipe.class.pick(16, 24);
        let (at, bytes) = match (field, self.recipe.class) {
            (SymbolField::Name, _) => (0, 4),
            (SymbolField::Value, Class::Elf32) => (4, 4),
            (SymbolField::Size, Class::Elf32) => (8, 4),
            (SymbolField::Info, Class::Elf32) => (12, 1),
            (SymbolField::SectionIndex, Class::Elf32) => (14, 2),
            (SymbolField::Info, Class::Elf64) => (4, 1),
            (SymbolField::SectionIndex, Class::Elf64) => (6, 2),
            (SymbolField::Value, Class::Elf64) => (8, 8),
            (SymbolField::Size, Class::Elf64) => (16, 8),
        };
        Extent { at: self.parts.symbols.at + self.symbol_number(name) * entry_bytes + at, bytes }
    }

    /// The tag of a dynamic entry (`DT_…`).
    ///
    /// # Panics
    ///
    /// If there is none of this tag.
    pub fn dynamic_tag(&self, tag: u64) -> Extent {
        let bytes = self.word_bytes();
        let encoded = self.recipe.byte_order.encode(tag, bytes);
        let table = &self.bytes[self.parts.dynamic.at..][..self.parts.dynamic.bytes];
        let entry = table.chunks(2 * bytes).position(|entry| entry.starts_with(&encoded));
        let entry = entry.expect("the image has the dynamic entry");
        Extent { at: self.parts.dynamic.at + entry * 2 * bytes, bytes }
    }

    /// The value of a dynamic entry.
    pub fn dynamic_value(&self, tag: u64) -> Extent {
        let tag = self.dynamic_tag(tag);
        Extent { at: tag.at + tag.bytes, ..tag }
    }

    /// `p_type` of program header `number`: the segment that is mapped is 0, the dynamic table 1, the
    /// notes follow.
    pub fn segment_kind(&self, number: usize) -> Extent {
        let at = self.parts.program_headers.at + number * self.recipe.class.pick(32, 56);
        Extent { at, bytes: 4 }
    }

    /// `p_offset` of program header `number`.
    pub fn segment_offset(&self, number: usize) -> Extent {
        let at = self.segment_kind(number).at + self.recipe.class.pick(4, 8);
        Extent { at, bytes: self.word_bytes() }
    }

    /// `p_filesz` of program header `number`.
    pub fn segment_bytes(&self, number: usize) -> Extent {
        header::file_bytes_of_segment(self.recipe.class, self.segment_kind(number).at)
    }

    /// Word `index` of `DT_HASH`: the numbers of buckets and of chains, the buckets, the chains.
    pub fn system_v_hash_word(&self, index: usize) -> Extent {
        let bytes = self.recipe.hash_word_bytes();
        Extent { at: self.parts.system_v_hash.at + index * bytes, bytes }
    }

    /// The address of an offset into the file.
    pub fn vaddr(&self, at: usize) -> u64 {
        self.recipe.link_base + at as u64
    }

    /// Size of an address.
    pub fn word_bytes(&self) -> usize {
        self.recipe.class.pick(4, 8)
    }
}
