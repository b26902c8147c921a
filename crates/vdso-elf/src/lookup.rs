//! The symbol that a program means by a name and a version.
//!
//! A lookup is linear in the length of the image, whatever the tables say: the version is looked for
//! first and only once, and a symbol is then held against its number.

use crate::abi::{SHN_ABS, SHN_UNDEF};
use crate::hash::HashKind;
use crate::image::Image;
use crate::reader::{Format, Reader};
use crate::symbol::{Binding, RawSymbol, Symbol};

/// What is asked for.
struct Question<'a, 'name, F> {
    reader: Reader<'a, F>,
    name: &'name str,
    version: Wanted<'a>,
}

/// Which version is asked for.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    /// No one in particular, or the image has none.
    Any,
    /// The one of this number and name.
    This(u16, &'a str),
}

/// [`Image::lookup`] by one table, or by none: by a look at all symbols.
#[inline(always)]
pub(crate) fn by<'a>(
    image: &Image<'a>,
    kind: Option<HashKind>,
    name: &str,
    version: Option<&str>,
) -> Option<Symbol<'a>> {
    let reader = image.reader();
    match reader.native() {
        Some(native) => by_reader(native, image, kind, name, version),
        None => by_reader(reader, image, kind, name, version),
    }
}

#[inline]
fn by_reader<'a>(
    reader: Reader<'a, impl Format>,
    image: &Image<'a>,
    kind: Option<HashKind>,
    name: &str,
    version: Option<&str>,
) -> Option<Symbol<'a>> {
    let tables = image.tables();
    let version = match version.zip(tables.versions) {
        None => Wanted::Any,
        Some((name, versions)) => {
            let (index, name) = versions.find(reader, tables.strings, name)?;
            Wanted::This(index, name)
        }
    };
    let question = Question { reader, name, version };
    let accept = |index| question.answer(image, index);
    match kind {
        Some(HashKind::Gnu) => tables.gnu_hash?.find(reader, name, accept),
        Some(HashKind::SystemV) => tables.system_v_hash?.find(reader, name, accept),
        None => (1..image.symbol_count().ok()?).find_map(accept),
    }
}

impl<'a, F: Format> Question<'a, '_, F> {
    /// Symbol `index`, if it answers the question.
    #[inline(always)]
    fn answer(&self, image: &Image<'a>, index: u32) -> Option<Symbol<'a>> {
        let tables = image.tables();
        let at = RawSymbol::place(self.reader, tables.symbols, index)?;
        // Most symbols that are looked at have another name.
        let name = tables.strings.matching(RawSymbol::name(self.reader, at)?, self.name)?;
        let raw = RawSymbol::read(self.reader, at)?;
        if raw.section_index == SHN_UNDEF || raw.binding() == Binding::Local {
            return None;
        }
        let file_offset = image.load().offset_of(raw.value, raw.size);
        if file_offset.is_none() && raw.section_index != SHN_ABS {
            return None;
        }
        Some(raw.named(name, self.version(image, index)?, file_offset))
    }

    /// The version of symbol `index`, if it is the wanted one.
    #[inline(always)]
    fn version(&self, image: &Image<'a>, index: u32) -> Option<Option<&'a str>> {
        let tables = image.tables();
        let Some(versions) = tables.versions else { return Some(None) };
        let entry = versions.entry(self.reader, index);
        match self.version {
            Wanted::This(wanted, name) => (entry?.index == wanted).then_some(Some(name)),
            Wanted::Any if entry.is_some_and(|entry| entry.is_hidden) => None,
            // Who asks for no version is not refused for one that cannot be read.
            Wanted::Any => {
                Some(versions.name_of(self.reader, tables.strings, index).ok().flatten())
            }
        }
    }
}
