//! The dynamic table, which says where all other tables are.
//!
//! Source: gABI, chapter "Dynamic Section"; Linux Standard Base for the `DT_GNU_…` and `DT_VER…`
//! tags.

use crate::abi::Machine;
use crate::error::{Error, Table};
use crate::hash::{GnuHash, SystemVHash};
use crate::header::Segment;
use crate::load::Load;
use crate::reader::{Format, Reader};
use crate::symbol;
use crate::version::Versions;

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
pub(crate) struct Tables<'a> {
    pub strings: Strings<'a>,
    pub symbols: usize,
    pub soname: Option<u64>,
    pub system_v_hash: Option<SystemVHash>,
    pub gnu_hash: Option<GnuHash>,
    pub version_definitions: Option<usize>,
    /// None if either of the two tables that they need is not there.
    pub versions: Option<Versions>,
    /// The one of the two that is not there, if the other is.
    pub missing_version_table: Option<Table>,
}

impl<'a> Tables<'a> {
    /// `dynamic` is the first `PT_DYNAMIC`; addresses are those of `load`.
    #[inline(always)]
    pub fn parse(
        reader: Reader<'a, impl Format>,
        machine: Machine,
        load: &Load,
        dynamic: &Segment,
    ) -> Result<Self, Error> {
        let raw = RawDynamic::read(reader, dynamic)?;
        let read_bytes = symbol::entry_bytes(reader.class()) as u64;
        if let Some(bytes) = raw.symbol_bytes.filter(|&bytes| bytes != read_bytes) {
            return Err(Error::SymbolSize { bytes });
        }
        let place = |table, vaddr: Option<u64>| match vaddr {
            None => Ok(None),
            Some(vaddr) => match load.offset(vaddr) {
                Some(offset) => Ok(Some(offset)),
                None => Err(Error::TableOutside { table, vaddr }),
            },
        };
        let required = |table, vaddr| place(table, vaddr)?.ok_or(Error::NoTable(table));
        let strings_at = required(Table::Strings, raw.strings)?;
        let symbols = required(Table::Symbols, raw.symbols)?;
        let system_v_hash = place(Table::SystemVHash, raw.system_v_hash)?;
        let gnu_hash = place(Table::GnuHash, raw.gnu_hash)?;
        let symbol_versions = place(Table::SymbolVersions, raw.symbol_versions)?;
        let definitions = place(Table::VersionDefinitions, raw.version_definitions)?;
        let versions = symbol_versions
            .zip(definitions)
            .map(|(symbols, definitions)| Versions { symbols, definitions });
        let missing_version_table = match (symbol_versions, definitions) {
            (Some(_), None) => Some(Table::VersionDefinitions),
            (None, Some(_)) => Some(Table::SymbolVersions),
            _ => None,
        };
        Ok(Self {
            strings: Strings::read(reader, strings_at, raw.strings_bytes)?,
            symbols,
            soname: raw.soname,
            system_v_hash: system_v_hash
                .map(|at| SystemVHash::read(reader, machine, at))
                .transpose()?,
            gnu_hash: gnu_hash.map(|at| GnuHash::read(reader, at)).transpose()?,
            version_definitions: definitions,
            versions,
            missing_version_table,
        })
    }
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
    #[inline(always)]
    fn read(reader: Reader<'_, impl Format>, segment: &Segment) -> Result<Self, Error> {
        let truncated = Error::TableTruncated(Table::Dynamic);
        let (_, content) = segment.content(reader).ok_or(truncated)?;
        let entry_bytes = 2 * reader.class().address_bytes();
        let mut raw = Self::default();
        for entry in content.chunks(entry_bytes) {
            let entry = Reader { bytes: entry, format: reader.format };
            let mut fields = entry.record(0, entry_bytes).ok_or(truncated)?;
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

/// The longest name that is read, bytes. Names may overlap, so without a limit a table of symbols whose
/// names all end at one place takes time by the square of its length.
const LONGEST_NAME: usize = 4096;

/// The string table: names, each ended by a zero byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strings<'a> {
    bytes: &'a [u8],
    /// The whole of it, if it is text: a part of it is then known to be text, too.
    text: Option<&'a str>,
}

impl<'a> Strings<'a> {
    /// The table at `at`, whose length `DT_STRSZ` tells.
    #[inline(always)]
    fn read(reader: Reader<'a, impl Format>, at: usize, bytes: Option<u64>) -> Result<Self, Error> {
        let bytes = bytes.ok_or(Error::UnknownStringsSize)?;
        let bytes = usize::try_from(bytes).ok().and_then(|bytes| reader.slice(at, bytes));
        let bytes = bytes.ok_or(Error::TableTruncated(Table::Strings))?;
        Ok(Self { bytes, text: core::str::from_utf8(bytes).ok() })
    }

    /// The name at `offset`.
    pub fn get(&self, offset: u64) -> Result<&'a str, Error> {
        let outside = Error::NameOutside { offset };
        let start = usize::try_from(offset).map_err(|_| outside)?;
        let rest = self.bytes.get(start..).ok_or(outside)?;
        let near = rest.get(..=LONGEST_NAME).unwrap_or(rest);
        let Some(length) = near.iter().position(|&byte| byte == 0) else {
            let is_all = near.len() == rest.len();
            return Err(if is_all { outside } else { Error::NameTooLong { offset } });
        };
        self.part(start, start + length).ok_or(Error::NameNotText)
    }

    /// The name at `offset`, if it is `name`; quicker than to find its end first.
    #[inline(always)]
    pub fn matching(&self, offset: u32, name: &str) -> Option<&'a str> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(name.len())?;
        // The byte behind the name first, as most names differ in length.
        if *self.bytes.get(end)? != 0 || self.bytes.get(start..end)? != name.as_bytes() {
            return None;
        }
        self.part(start, end)
    }

    #[inline(always)]
    fn part(&self, start: usize, end: usize) -> Option<&'a str> {
        match self.text {
            Some(text) => text.get(start..end),
            None => core::str::from_utf8(self.bytes.get(start..end)?).ok(),
        }
    }
}
