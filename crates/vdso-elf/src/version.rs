//! Symbol versions: `DT_VERSYM` gives each symbol an index, `DT_VERDEF` gives the index a name.
//!
//! A program asks for a name together with a version, so that a later kernel could export another
//! function under the same name. An image imports nothing, so `DT_VERNEED` is not read.
//!
//! Source: Linux Standard Base, chapter "Symbol Versioning".

use crate::dynamic::Strings;
use crate::error::{Error, Table};
use crate::reader::{Format, Reader, Stated, element};

/// The index without [`VERSYM_HIDDEN`].
const VERSYM_INDEX: u16 = 0x7fff;
/// Hides a symbol from references without a version.
const VERSYM_HIDDEN: u16 = 0x8000;
/// Indices up to this one are "local" and "global": no version.
const VER_NDX_GLOBAL: u16 = 1;
/// The definition that names the file itself.
const VER_FLG_BASE: u16 = 1;

/// A version that the image defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
/// Ends after the first that the bytes do not have, or that is one too many.
#[derive(Clone, Copy, Debug)]
pub struct VersionDefinitions<'a> {
    raw: RawDefinitions<'a>,
    strings: Strings<'a>,
}

impl<'a> VersionDefinitions<'a> {
    pub(crate) fn new(reader: Reader<'a>, strings: Strings<'a>, at: Option<usize>) -> Self {
        Self { raw: RawDefinitions::new(reader, at), strings }
    }
}

impl<'a> Iterator for VersionDefinitions<'a> {
    type Item = Result<VersionDefinition<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.raw.next()?.and_then(|raw| {
            let name = self.strings.get(u64::from(raw.name))?;
            Ok(VersionDefinition { name, index: raw.index, is_base: raw.is_base })
        }))
    }
}

/// Both tables; one without the other says nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Versions {
    /// Where `DT_VERSYM` is.
    pub symbols: usize,
    /// Where `DT_VERDEF` is.
    pub definitions: usize,
}

impl Versions {
    /// The index of the version called `name`, and that name in the string table.
    #[inline(always)]
    pub fn find<'a>(
        self,
        reader: Reader<'a, impl Format>,
        strings: Strings<'a>,
        name: &str,
    ) -> Option<(u16, &'a str)> {
        for definition in self.definitions(reader) {
            let definition = definition.ok()?;
            if definition.is_base {
                continue;
            }
            if let Some(name) = strings.matching(definition.name, name) {
                return Some((definition.index, name));
            }
        }
        None
    }

    /// The name of the version of symbol `symbol`, if it has one.
    pub fn name_of<'a>(
        self,
        reader: Reader<'a, impl Format>,
        strings: Strings<'a>,
        symbol: u32,
    ) -> Result<Option<&'a str>, Error> {
        let entry =
            self.entry(reader, symbol).ok_or(Error::TableTruncated(Table::SymbolVersions))?;
        if entry.index <= VER_NDX_GLOBAL {
            return Ok(None);
        }
        for definition in self.definitions(reader) {
            let definition = definition?;
            if definition.index == entry.index && !definition.is_base {
                return strings.get(u64::from(definition.name)).map(Some);
            }
        }
        Err(Error::UndefinedVersion { index: entry.index })
    }

    /// What `DT_VERSYM` says about symbol `symbol`.
    #[inline(always)]
    pub fn entry(self, reader: Reader<'_, impl Format>, symbol: u32) -> Option<Entry> {
        let raw = reader.u16(element(self.symbols, symbol, 2)?)?;
        Some(Entry { index: raw & VERSYM_INDEX, is_hidden: raw & VERSYM_HIDDEN != 0 })
    }

    #[inline(always)]
    fn definitions<F: Format>(self, reader: Reader<'_, F>) -> RawDefinitions<'_, F> {
        RawDefinitions::new(reader, Some(self.definitions))
    }
}

/// An entry of `DT_VERSYM`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub index: u16,
    /// Not found by those who ask for no version.
    pub is_hidden: bool,
}

/// Size of `Elf32_Verdef` and `Elf64_Verdef`.
const DEFINITION_BYTES: usize = 20;

/// `Elf32_Verdef` and `Elf64_Verdef`, which are the same, and the name of the first of its
/// `Verdaux`, which is the version's own; the others would be its parents.
struct RawDefinition {
    is_base: bool,
    index: u16,
    name: u32,
    next: u32,
}

impl RawDefinition {
    #[inline(always)]
    fn read(reader: Reader<'_, impl Format>, at: usize) -> Option<Self> {
        let mut fields = reader.record(at, DEFINITION_BYTES)?;
        let _revision = fields.u16()?;
        let flags = fields.u16()?;
        let index = fields.u16()? & VERSYM_INDEX;
        let _name_count = fields.u16()?;
        let _hash = fields.u32()?;
        let names = fields.u32()?;
        let next = fields.u32()?;
        let name = reader.u32(element(at, names, 1)?)?;
        Some(Self { is_base: flags & VER_FLG_BASE != 0, index, name, next })
    }
}

/// The most definitions that are read; images have three at most, libraries some hundred. They may
/// overlap, and each symbol's version is looked for among them, which without a limit takes time by the
/// square of the image's length.
const MOST_DEFINITIONS: u32 = 1024;

/// The definitions without their names. They only go forward, so they end at the latest where the
/// bytes do.
#[derive(Clone, Copy, Debug)]
struct RawDefinitions<'a, F = Stated> {
    reader: Reader<'a, F>,
    next: Option<usize>,
    left: u32,
}

impl<'a, F> RawDefinitions<'a, F> {
    #[inline(always)]
    fn new(reader: Reader<'a, F>, next: Option<usize>) -> Self {
        Self { reader, next, left: MOST_DEFINITIONS }
    }
}

impl<F: Format> Iterator for RawDefinitions<'_, F> {
    type Item = Result<RawDefinition, Error>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let at = self.next.take()?;
        let Some(left) = self.left.checked_sub(1) else {
            return Some(Err(Error::TooManyVersions));
        };
        self.left = left;
        let Some(raw) = RawDefinition::read(self.reader, at) else {
            return Some(Err(Error::TableTruncated(Table::VersionDefinitions)));
        };
        self.next = element(at, raw.next, 1).filter(|&next| next != at);
        Some(Ok(raw))
    }
}
