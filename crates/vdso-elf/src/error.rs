//! What can be wrong with an image, in words that a person understands.

use core::fmt;

/// Why some bytes are not a vDSO image, or a part of one cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The first four bytes are not those of an ELF file.
    NotElf,
    /// `EI_CLASS` is neither `ELFCLASS32` nor `ELFCLASS64`.
    UnknownClass(u8),
    /// `EI_DATA` is neither `ELFDATA2LSB` nor `ELFDATA2MSB`.
    UnknownByteOrder(u8),
    /// `EI_VERSION` is not `EV_CURRENT`.
    UnknownElfVersion(u8),
    /// The bytes end before the ELF header does.
    HeaderTruncated,
    /// `e_type` is not `ET_DYN`.
    NotSharedObject {
        /// The value of `e_type`.
        kind: u16,
    },
    /// `e_phentsize` is not that of the class.
    ProgramHeaderSize {
        /// The value of `e_phentsize`, bytes.
        bytes: u16,
    },
    /// The bytes end before the program headers do.
    ProgramHeadersTruncated,
    /// There is no `PT_LOAD`, so addresses mean nothing.
    NoLoadSegment,
    /// The bytes end before the first `PT_LOAD` does.
    LoadSegmentTruncated {
        /// How many bytes the segment should have.
        expected_bytes: u64,
        /// How many bytes of the segment there are.
        bytes: u64,
    },
    /// The first `PT_LOAD` ends beyond what can be addressed.
    ImageTooLong,
    /// There is no `PT_DYNAMIC`, so nothing can be looked up.
    NoDynamicSegment,
    /// The dynamic table does not say where this table is.
    NoTable(Table),
    /// The dynamic table gives this table an address outside the image's first `PT_LOAD`.
    TableOutside {
        /// The table that would be outside.
        table: Table,
        /// The address that the dynamic table gives.
        vaddr: u64,
    },
    /// The bytes end before this table does.
    TableTruncated(Table),
    /// `DT_STRTAB` comes without a `DT_STRSZ`.
    UnknownStringsSize,
    /// `DT_SYMENT` is not the size of a symbol of the class.
    SymbolSize {
        /// The value of `DT_SYMENT`, bytes.
        bytes: u64,
    },
    /// The Bloom filter of `DT_GNU_HASH` has a number of words that is not a power of two.
    BloomFilterSize {
        /// How many words it has.
        words: u32,
    },
    /// Neither a hash table nor a section header tells how many symbols there are.
    UnknownSymbolCount,
    /// A symbol that the image defines is not inside the image.
    SymbolOutside {
        /// The value of `st_value`: where the symbol would begin.
        vaddr: u64,
        /// The value of `st_size`: how long it would be.
        bytes: u64,
    },
    /// A name begins or ends outside the string table.
    NameOutside {
        /// Where in the string table the name should begin.
        offset: u64,
    },
    /// A name is not UTF-8.
    NameNotText,
    /// A name is longer than any that is read.
    NameTooLong {
        /// Where in the string table the name begins.
        offset: u64,
    },
    /// There are more version definitions than are read.
    TooManyVersions,
    /// A symbol's version is none of those that the image defines.
    UndefinedVersion {
        /// The index of the version that is not defined.
        index: u16,
    },
    /// A note goes on past the end of its segment.
    NoteTruncated,
}

/// The tables that the dynamic table points at, and that table itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Table {
    /// The content of `PT_DYNAMIC`.
    Dynamic,
    /// `DT_STRTAB`.
    Strings,
    /// `DT_SYMTAB`.
    Symbols,
    /// `DT_HASH`.
    SystemVHash,
    /// `DT_GNU_HASH`.
    GnuHash,
    /// `DT_VERSYM`.
    SymbolVersions,
    /// `DT_VERDEF`.
    VersionDefinitions,
    /// The content of a `PT_NOTE`.
    Notes,
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Dynamic => "dynamic table",
            Self::Strings => "string table",
            Self::Symbols => "symbol table",
            Self::SystemVHash => "hash table (DT_HASH)",
            Self::GnuHash => "GNU hash table (DT_GNU_HASH)",
            Self::SymbolVersions => "table of symbol versions",
            Self::VersionDefinitions => "table of version definitions",
            Self::Notes => "notes",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotElf => write!(formatter, "this is not an ELF file"),
            Self::UnknownClass(class) => {
                write!(formatter, "ELF class {class} is neither 1 (32 bits) nor 2 (64 bits)")
            }
            Self::UnknownByteOrder(order) => {
                write!(formatter, "byte order {order} is neither 1 (little) nor 2 (big endian)")
            }
            Self::UnknownElfVersion(version) => {
                write!(formatter, "ELF version {version} is not 1, the only one there is")
            }
            Self::HeaderTruncated => write!(formatter, "the file ends inside the ELF header"),
            Self::NotSharedObject { kind } => {
                write!(formatter, "ELF type {kind} is not 3, a shared object")
            }
            Self::ProgramHeaderSize { bytes } => {
                write!(formatter, "program headers of {bytes} bytes do not fit the ELF class")
            }
            Self::ProgramHeadersTruncated => {
                write!(formatter, "the file ends inside the program headers")
            }
            Self::NoLoadSegment => write!(formatter, "no segment is to be mapped (no PT_LOAD)"),
            Self::LoadSegmentTruncated { expected_bytes, bytes } => {
                write!(
                    formatter,
                    "{bytes} of the {expected_bytes} bytes that are to be mapped are there"
                )
            }
            Self::ImageTooLong => write!(formatter, "the first segment ends beyond all memory"),
            Self::NoDynamicSegment => {
                write!(formatter, "there is no dynamic table (no PT_DYNAMIC)")
            }
            Self::NoTable(table) => write!(formatter, "the dynamic table names no {table}"),
            Self::TableOutside { table, vaddr } => {
                write!(formatter, "the {table} should be at {vaddr:#x}, outside the image")
            }
            Self::TableTruncated(table) => write!(formatter, "the file ends inside the {table}"),
            Self::UnknownStringsSize => {
                write!(formatter, "the dynamic table does not tell how long the string table is")
            }
            Self::SymbolSize { bytes } => {
                write!(formatter, "symbols of {bytes} bytes do not fit the ELF class")
            }
            Self::BloomFilterSize { words } => {
                write!(
                    formatter,
                    "the Bloom filter of the {} has {words} words, not a power of two",
                    Table::GnuHash
                )
            }
            Self::UnknownSymbolCount => {
                write!(
                    formatter,
                    "neither a hash table nor a section tells how many symbols there are"
                )
            }
            Self::SymbolOutside { vaddr, bytes } => {
                write!(formatter, "a symbol of {bytes} bytes at {vaddr:#x} is not inside the image")
            }
            Self::NameOutside { offset } => {
                write!(formatter, "a name at {offset:#x} is not inside the string table")
            }
            Self::NameNotText => write!(formatter, "a name is not UTF-8 text"),
            Self::NameTooLong { offset } => {
                write!(
                    formatter,
                    "a name at {offset:#x} of the string table is longer than 4096 bytes"
                )
            }
            Self::TooManyVersions => write!(formatter, "the image defines more than 1024 versions"),
            Self::UndefinedVersion { index } => {
                write!(formatter, "a symbol has version {index}, which the image does not define")
            }
            Self::NoteTruncated => write!(formatter, "a note goes on past the end of its segment"),
        }
    }
}

impl core::error::Error for Error {}
