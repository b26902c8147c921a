//! The dynamic table, which says where all other tables are.
//!
//! Source: gABI, chapter "Dynamic Section"; Linux Standard Base for the `DT_GNU_…` and `DT_VER…`
//! tags.

use crate::error::{Error, Table};
use crate::header::Segment;
use crate::reader::Reader;
use crate::symbol;

const DT_NULL: u64 = 0;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_STRSZ: u64 = 10;
const DT_SYMENT: u64 = 11;
const DT_SONAME: u64 = 14;
const DT_GNU_HASH: u64 = 0x6fff_fef5;
const DT_VERSYM: u64 = 0x6fff_fff0;
const DT_VERDEF: u64 = 0x6fff_fffc;

/// Where the tables are, as offsets into the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dynamic<'a> {
    pub strings: Strings<'a>,
    pub symbols: usize,
    pub soname: Option<u64>,
    pub system_v_hash: Option<usize>,
    pub gnu_hash: Option<usize>,
    pub symbol_versions: Option<usize>,
    pub version_definitions: Option<usize>,
}

impl<'a> Dynamic<'a> {
    /// `load` is the first `PT_LOAD`, whose addresses the table uses.
    pub fn parse(reader: Reader<'a>, load: &Segment, dynamic: &Segment) -> Result<Self, Error> {
        let raw = RawDynamic::read(reader, dynamic)?;
        if let Some(bytes) = raw.symbol_bytes
            && bytes != symbol::entry_bytes(reader.class) as u64
        {
            return Err(Error::SymbolSize { bytes });
        }
        let place = |table, vaddr: Option<u64>| match vaddr {
            None => Ok(None),
            Some(vaddr) => match file_offset(reader, load, vaddr) {
                Some(offset) => Ok(Some(offset)),
                None => Err(Error::TableOutside { table, vaddr }),
            },
        };
        let required = |table, vaddr| place(table, vaddr)?.ok_or(Error::NoTable(table));
        let strings_at = required(Table::Strings, raw.strings)?;
        let strings = raw
            .strings_bytes
            .and_then(|bytes| usize::try_from(bytes).ok())
            .and_then(|bytes| reader.slice(strings_at, bytes))
            .ok_or(Error::TableTruncated(Table::Strings))?;
        Ok(Self {
            strings: Strings(strings),
            symbols: required(Table::Symbols, raw.symbols)?,
            soname: raw.soname,
            system_v_hash: place(Table::SystemVHash, raw.system_v_hash)?,
            gnu_hash: place(Table::GnuHash, raw.gnu_hash)?,
            symbol_versions: place(Table::SymbolVersions, raw.symbol_versions)?,
            version_definitions: place(Table::VersionDefinitions, raw.version_definitions)?,
        })
    }
}

/// The offset into the bytes of an address of the image's, if it has one.
pub(crate) fn file_offset(reader: Reader<'_>, load: &Segment, vaddr: u64) -> Option<usize> {
    let in_segment = vaddr.checked_sub(load.vaddr)?;
    if in_segment >= load.file_bytes {
        return None;
    }
    let offset = usize::try_from(in_segment.checked_add(load.file_offset)?).ok()?;
    (offset < reader.bytes.len()).then_some(offset)
}

/// The values of the tags that are asked for, as they stand.
#[derive(Default)]
struct RawDynamic {
    strings: Option<u64>,
    strings_bytes: Option<u64>,
    symbols: Option<u64>,
    symbol_bytes: Option<u64>,
    soname: Option<u64>,
    system_v_hash: Option<u64>,
    gnu_hash: Option<u64>,
    symbol_versions: Option<u64>,
    version_definitions: Option<u64>,
}

impl RawDynamic {
    fn read(reader: Reader<'_>, segment: &Segment) -> Result<Self, Error> {
        let truncated = Error::TableTruncated(Table::Dynamic);
        let (at, content) = segment.content(reader).ok_or(truncated)?;
        let mut fields = reader.fields(at);
        let end = at + content.len();
        let mut raw = Self::default();
        while fields.position() < end {
            let tag = fields.address().ok_or(truncated)?;
            let value = fields.address().ok_or(truncated)?;
            if tag == DT_NULL {
                break;
            }
            // Where a tag is given twice, the last one counts, as in every dynamic linker.
            if let Some(slot) = raw.slot(tag) {
                *slot = Some(value);
            }
        }
        Ok(raw)
    }

    fn slot(&mut self, tag: u64) -> Option<&mut Option<u64>> {
        Some(match tag {
            DT_STRTAB => &mut self.strings,
            DT_STRSZ => &mut self.strings_bytes,
            DT_SYMTAB => &mut self.symbols,
            DT_SYMENT => &mut self.symbol_bytes,
            DT_SONAME => &mut self.soname,
            DT_HASH => &mut self.system_v_hash,
            DT_GNU_HASH => &mut self.gnu_hash,
            DT_VERSYM => &mut self.symbol_versions,
            DT_VERDEF => &mut self.version_definitions,
            _ => return None,
        })
    }
}

/// The string table: names, each ended by a zero byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strings<'a>(&'a [u8]);

impl<'a> Strings<'a> {
    pub fn get(&self, offset: u64) -> Result<&'a str, Error> {
        let outside = Error::NameOutside { offset };
        let start = usize::try_from(offset).map_err(|_| outside)?;
        let rest = self.0.get(start..).ok_or(outside)?;
        let end = rest.iter().position(|&byte| byte == 0).ok_or(outside)?;
        let name = rest.get(..end).ok_or(outside)?;
        core::str::from_utf8(name).map_err(|_| Error::NameNotText)
    }

    /// Whether the name at `offset` is `name`; quicker than to find its end first.
    pub fn is(&self, offset: u32, name: &str) -> bool {
        usize::try_from(offset)
            .ok()
            .and_then(|start| self.0.get(start..))
            .and_then(|rest| rest.strip_prefix(name.as_bytes()))
            .is_some_and(|rest| rest.first() == Some(&0))
    }
}
