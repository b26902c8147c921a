//! Symbol versions: `DT_VERSYM` gives each symbol an index, `DT_VERDEF` gives the index a name.
//!
//! A program asks for a name together with a version, so that a later kernel could export another
//! function under the same name. An image imports nothing, so `DT_VERNEED` is not read.
//!
//! Source: Linux Standard Base, chapter "Symbol Versioning".

use crate::dynamic::Strings;
use crate::error::{Error, Table};
use crate::reader::{Reader, element};

/// The index without the bit that hides a symbol from references without a version.
const VERSYM_INDEX: u16 = 0x7fff;
/// Indices up to this one are "local" and "global": no version.
const VER_NDX_GLOBAL: u16 = 1;
/// The definition that names the file itself.
const VER_FLG_BASE: u16 = 1;

/// A version that the image defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionDefinition<'a> {
    /// Its name, such as `LINUX_2.6`.
    pub name: &'a str,
    /// The number by which symbols refer to it.
    pub index: u16,
    /// Whether it only names the file itself.
    pub is_base: bool,
}

/// The version definitions in their order; from [`Image::versions`](crate::Image::versions).
///
/// Ends after the first error.
#[derive(Clone, Copy, Debug)]
pub struct VersionDefinitions<'a> {
    reader: Reader<'a>,
    strings: Strings<'a>,
    next: Option<usize>,
}

impl<'a> VersionDefinitions<'a> {
    pub(crate) fn new(reader: Reader<'a>, strings: Strings<'a>, at: Option<usize>) -> Self {
        Self { reader, strings, next: at }
    }
}

impl<'a> Iterator for VersionDefinitions<'a> {
    type Item = Result<VersionDefinition<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.next.take()?;
        let Some(raw) = RawDefinition::read(self.reader, at) else {
            return Some(Err(Error::TableTruncated(Table::VersionDefinitions)));
        };
        let name = match self.strings.get(u64::from(raw.name)) {
            Ok(name) => name,
            Err(error) => return Some(Err(error)),
        };
        // The chain only goes forward, so it ends at the latest where the bytes do.
        self.next = at.checked_add(raw.next as usize).filter(|&next| next != at);
        let is_base = raw.flags & VER_FLG_BASE != 0;
        Some(Ok(VersionDefinition { name, index: raw.index & VERSYM_INDEX, is_base }))
    }
}

/// `Elf32_Verdef` and `Elf64_Verdef`, which are the same, and the name of the first of its
/// `Verdaux`, which is the version's own; the others would be its parents.
struct RawDefinition {
    flags: u16,
    index: u16,
    name: u32,
    next: u32,
}

impl RawDefinition {
    fn read(reader: Reader<'_>, at: usize) -> Option<Self> {
        let mut fields = reader.fields(at);
        let _revision = fields.u16()?;
        let flags = fields.u16()?;
        let index = fields.u16()?;
        let _name_count = fields.u16()?;
        let _hash = fields.u32()?;
        let names = fields.u32()?;
        let next = fields.u32()?;
        let name = reader.u32(at.checked_add(usize::try_from(names).ok()?)?)?;
        Some(Self { flags, index, name, next })
    }
}

/// The version of symbol `index`, if it has one. `table` is where `DT_VERSYM` is.
pub(crate) fn of_symbol<'a>(
    reader: Reader<'_>,
    table: Option<usize>,
    definitions: VersionDefinitions<'a>,
    index: u32,
) -> Result<Option<&'a str>, Error> {
    let Some(table) = table else { return Ok(None) };
    let version = element(table, index, 2)
        .and_then(|at| reader.u16(at))
        .ok_or(Error::TableTruncated(Table::SymbolVersions))?
        & VERSYM_INDEX;
    if version <= VER_NDX_GLOBAL {
        return Ok(None);
    }
    for definition in definitions {
        let definition = definition?;
        if definition.index == version && !definition.is_base {
            return Ok(Some(definition.name));
        }
    }
    Err(Error::UndefinedVersion { index: version })
}
