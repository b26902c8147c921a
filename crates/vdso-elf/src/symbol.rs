//! Dynamic symbols.
//!
//! Source: gABI, chapter "Symbol Table".

use vdso_arch::Class;

use crate::abi::{SHN_ABS, SHN_UNDEF};
use crate::error::Error;
use crate::image::Image;
use crate::reader::{Format, Reader, element};

/// A dynamic symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Symbol<'a> {
    /// The name that programs look the symbol up by.
    pub name: &'a str,
    /// `st_value`: its address in the image's own address space, or a number if it is
    /// [absolute](Self::is_absolute).
    pub value: u64,
    /// Where in the file that is, with all [`size`](Self::size) bytes inside the image; none for
    /// what is no address of the image: undefined and absolute symbols.
    pub file_offset: Option<usize>,
    /// `st_size`: how many bytes it has.
    pub size: u64,
    /// Who may refer to it.
    pub binding: Binding,
    /// Whether it names a function, data or something else.
    pub kind: Kind,
    /// `st_shndx`: the section that it is in, or one of the `SHN_…` of [`abi`](crate::abi).
    pub section_index: u16,
    /// The version under which it is exported; none for what the image only refers to.
    pub version: Option<&'a str>,
    /// Where its entry in the symbol table begins in the file.
    pub entry_offset: usize,
    /// Where in the file `section_index` is, two bytes in the image's byte order: whoever writes
    /// zero there, in a copy, hides the symbol from every reader.
    pub section_index_offset: usize,
}

impl Symbol<'_> {
    /// Whether the image itself has what the symbol names.
    pub fn is_defined(&self) -> bool {
        self.section_index != SHN_UNDEF
    }

    /// Whether `value` is a number, not an address.
    pub fn is_absolute(&self) -> bool {
        self.section_index == SHN_ABS
    }
}

/// The upper half of `st_info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// `STB_LOCAL`: visible only inside the image.
    Local,
    /// `STB_GLOBAL`.
    Global,
    /// `STB_WEAK`: gives way to a global symbol of the same name.
    Weak,
    /// Any other.
    Other(u8),
}

/// The lower half of `st_info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `STT_NOTYPE`. Some architectures' signal trampolines are of this kind.
    Untyped,
    /// `STT_OBJECT`: data, or the name of a version.
    Object,
    /// `STT_FUNC`.
    Function,
    /// `STT_SECTION`.
    Section,
    /// `STT_FILE`.
    File,
    /// `STT_TLS`.
    ThreadLocal,
    /// `STT_GNU_IFUNC`: a function that gives the address of the function.
    IndirectFunction,
    /// Any other.
    Other(u8),
}

impl Binding {
    fn from_info(info: u8) -> Self {
        match info >> 4 {
            0 => Self::Local,
            1 => Self::Global,
            2 => Self::Weak,
            other => Self::Other(other),
        }
    }
}

impl Kind {
    fn from_info(info: u8) -> Self {
        match info & 0xf {
            0 => Self::Untyped,
            1 => Self::Object,
            2 => Self::Function,
            3 => Self::Section,
            4 => Self::File,
            6 => Self::ThreadLocal,
            10 => Self::IndirectFunction,
            other => Self::Other(other),
        }
    }
}

/// Size of `Elf32_Sym` and `Elf64_Sym`.
pub(crate) const fn entry_bytes(class: Class) -> usize {
    match class {
        Class::Elf32 => 16,
        Class::Elf64 => 24,
    }
}

/// `Elf32_Sym` and `Elf64_Sym`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawSymbol {
    pub name: u32,
    pub value: u64,
    pub size: u64,
    pub section_index: u16,
    info: u8,
    entry_offset: usize,
    section_index_offset: usize,
}

impl RawSymbol {
    /// Where entry `index` of the table at `table` is.
    #[inline(always)]
    pub fn place(reader: Reader<'_, impl Format>, table: usize, index: u32) -> Option<usize> {
        element(table, index, entry_bytes(reader.class()))
    }

    /// The name of the entry at `at`, which is its first field.
    #[inline(always)]
    pub fn name(reader: Reader<'_, impl Format>, at: usize) -> Option<u32> {
        reader.u32(at)
    }

    /// The entry at `at`.
    #[inline(always)]
    pub fn read(reader: Reader<'_, impl Format>, at: usize) -> Option<Self> {
        let mut fields = reader.record(at, entry_bytes(reader.class()))?;
        let name = fields.u32()?;
        let early = match reader.class() {
            Class::Elf32 => Some((fields.address()?, fields.address()?)),
            Class::Elf64 => None,
        };
        let info = fields.u8()?;
        let _visibility = fields.u8()?;
        let section_index_offset = at.checked_add(fields.position())?;
        let section_index = fields.u16()?;
        let (value, size) = match early {
            Some(both) => both,
            // The 64-bit record has them here, so that they are aligned.
            None => (fields.address()?, fields.address()?),
        };
        Some(Self {
            name,
            value,
            size,
            section_index,
            info,
            entry_offset: at,
            section_index_offset,
        })
    }

    pub fn binding(&self) -> Binding {
        Binding::from_info(self.info)
    }

    /// `file_offset` is where the value is, if it is an address.
    #[inline(always)]
    pub fn named<'a>(
        &self,
        name: &'a str,
        version: Option<&'a str>,
        file_offset: Option<usize>,
    ) -> Symbol<'a> {
        let is_address = self.section_index != SHN_UNDEF && self.section_index != SHN_ABS;
        Symbol {
            name,
            value: self.value,
            file_offset: file_offset.filter(|_| is_address),
            size: self.size,
            binding: self.binding(),
            kind: Kind::from_info(self.info),
            section_index: self.section_index,
            version,
            entry_offset: self.entry_offset,
            section_index_offset: self.section_index_offset,
        }
    }
}

/// The dynamic symbols in their order; from [`Image::symbols`].
#[derive(Clone, Copy, Debug)]
pub struct Symbols<'a> {
    image: Image<'a>,
    next: u32,
    end: Result<u32, Error>,
}

impl<'a> Symbols<'a> {
    pub(crate) fn new(image: Image<'a>, count: Result<u32, Error>) -> Self {
        // Entry 0 of every symbol table is empty.
        Self { image, next: 1, end: count }
    }
}

impl<'a> Iterator for Symbols<'a> {
    type Item = Result<Symbol<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.end {
            Err(error) => {
                self.end = Ok(0);
                Some(Err(error))
            }
            Ok(end) if self.next >= end => None,
            Ok(_) => {
                let index = self.next;
                self.next += 1;
                Some(self.image.symbol(index))
            }
        }
    }
}
