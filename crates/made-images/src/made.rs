//! Puts an image together, and knows afterwards where everything is in it.

use crate::header::{self, Header};
use crate::recipe::{Note, Recipe, Says, Sections, Symbol, Versions};
use crate::tables::{self, Strings};
use crate::writer::{Extent, Writer};
use crate::{content, notes, sections};

/// `e_type`.
const ET_DYN: u16 = 3;
/// `p_type`.
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_NOTE: u32 = 4;
/// `p_flags`.
const READ: u32 = 4;
const READ_AND_EXECUTE: u32 = 5;

/// Where the content begins that symbols name, behind all headers of any recipe.
const CONTENT: usize = 0x200;

/// Where everything is in a made image. What it does not have is empty.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The program headers.
    pub program_headers: Extent,
    /// The content that symbols name.
    pub content: Extent,
    /// `DT_STRTAB`.
    pub strings: Extent,
    /// `DT_SYMTAB`.
    pub symbols: Extent,
    /// `DT_HASH`.
    pub system_v_hash: Extent,
    /// `DT_GNU_HASH`.
    pub gnu_hash: Extent,
    /// `DT_VERSYM`.
    pub symbol_versions: Extent,
    /// `DT_VERDEF`.
    pub version_definitions: Extent,
    /// The dynamic table.
    pub dynamic: Extent,
    /// The content of each `PT_NOTE`.
    pub notes: Vec<Extent>,
    /// The section headers.
    pub sections: Extent,
}

/// A made image.
#[derive(Clone, Debug)]
pub struct Made {
    /// The file.
    pub bytes: Vec<u8>,
    /// What was made.
    pub recipe: Recipe,
    /// Where what is.
    pub parts: Parts,
    /// The dynamic symbols in the image's order, from number 1 on.
    pub symbols: Vec<Symbol>,
    pub(crate) strings: Strings,
}

/// Makes an image.
///
/// # Panics
///
/// If the recipe does not fit its class: a link base of more than 32 bits, for example.
pub fn make(recipe: &Recipe) -> Made {
    let strings = Strings::new(recipe);
    let (symbols, left_out) = tables::ordered(&recipe.symbols);
    let mut maker = Maker {
        recipe,
        strings: &strings,
        symbols: &symbols,
        left_out,
        writer: Writer::new(recipe.class, recipe.byte_order),
    };
    maker.writer.bytes.resize(CONTENT, 0);
    let parts = maker.parts();
    let bytes = maker.writer.bytes;
    Made { bytes, recipe: recipe.clone(), parts, symbols, strings }
}

struct Maker<'a> {
    recipe: &'a Recipe,
    strings: &'a Strings,
    symbols: &'a [Symbol],
    left_out: usize,
    writer: Writer,
}

impl Maker<'_> {
    fn parts(&mut self) -> Parts {
        let (recipe, strings, symbols) = (self.recipe, self.strings, self.symbols);
        let base = recipe.link_base + CONTENT as u64;
        let has_versions = recipe.versions != Versions::None;
        let has_definitions = recipe.versions == Versions::Both;
        let mut parts = Parts {
            program_headers: Extent { at: 0, bytes: 0 },
            content: self.part(true, |writer| writer.bytes.extend(content::bytes(recipe))),
            strings: self.part(true, |writer| writer.bytes.extend(&strings.0)),
            symbols: self.part(true, |writer| {
                tables::symbols(writer, strings, recipe, symbols, base);
            }),
            system_v_hash: self.part(recipe.hash_tables.has_system_v(), |writer| {
                tables::system_v_hash(writer, recipe, symbols);
            }),
            gnu_hash: self.gnu_hash(),
            symbol_versions: self.part(has_versions, |writer| {
                tables::symbol_versions(writer, recipe, symbols);
            }),
            version_definitions: self.part(has_definitions, |writer| {
                tables::version_definitions(writer, strings, recipe);
            }),
            dynamic: Extent { at: 0, bytes: 0 },
            notes: self.notes(),
            sections: Extent { at: 0, bytes: 0 },
        };
        let dynamic = self.dynamic_entries(&parts);
        parts.dynamic = self.part(true, |writer| {
            for value in dynamic.into_iter().flat_map(|(tag, value)| [tag, value]) {
                writer.address(value);
            }
        });
        let has_sections = recipe.sections == Sections::All;
        parts.sections = self.part(has_sections, |writer| {
            sections::write(writer, &parts, recipe);
        });
        let bytes = self.writer.bytes.len().max(recipe.least_bytes);
        self.writer.bytes.resize(bytes, 0);
        self.headers(&mut parts);
        parts
    }

    /// Appends a part, aligned, if it is wanted.
    fn part(&mut self, wanted: bool, write: impl FnOnce(&mut Writer)) -> Extent {
        let at = self.writer.align(8);
        if wanted {
            write(&mut self.writer);
        }
        Extent { at, bytes: self.writer.bytes.len() - at }
    }

    fn gnu_hash(&mut self) -> Extent {
        let (symbols, left_out) = (self.symbols, self.left_out);
        self.part(self.recipe.hash_tables.has_gnu(), |writer| {
            tables::gnu_hash_table(writer, symbols, left_out);
        })
    }

    fn notes(&mut self) -> Vec<Extent> {
        let notes = &self.recipe.notes;
        let count = notes.iter().map(|note| note.segment + 1).max().unwrap_or(0);
        let in_segment = |segment| notes.iter().filter(move |note: &&Note| note.segment == segment);
        (0..count)
            .map(|segment| {
                self.part(true, |writer| in_segment(segment).for_each(|it| note(writer, it)))
            })
            .collect()
    }

    fn dynamic_entries(&self, parts: &Parts) -> Vec<(u64, u64)> {
        let vaddr = |extent: Extent| self.recipe.link_base + extent.at as u64;
        let soname = u64::from(self.strings.of(self.recipe.soname));
        let mut entries = vec![(tag::SONAME, soname)];
        let definitions = self.recipe.version_names().len() as u64 + 1;
        for (tag, extent) in [
            (tag::STRINGS, parts.strings),
            (tag::SYMBOLS, parts.symbols),
            (tag::SYSTEM_V_HASH, parts.system_v_hash),
            (tag::GNU_HASH, parts.gnu_hash),
            (tag::SYMBOL_VERSIONS, parts.symbol_versions),
            (tag::VERSION_DEFINITIONS, parts.version_definitions),
        ] {
            if extent.bytes > 0 {
                entries.push((tag, vaddr(extent)));
            }
        }
        if parts.version_definitions.bytes > 0 {
            entries.push((tag::VERSION_DEFINITION_COUNT, definitions));
        }
        entries.push((tag::STRINGS_BYTES, parts.strings.bytes as u64));
        entries.push((tag::SYMBOL_BYTES, self.recipe.class.pick(16, 24)));
        entries.push((tag::NULL, 0));
        entries
    }

    /// Over the room that was left for them.
    fn headers(&mut self, parts: &mut Parts) {
        let whole = std::mem::take(&mut self.writer.bytes);
        let everything = Extent { at: 0, bytes: whole.len() };
        let mut segments =
            vec![(PT_LOAD, READ_AND_EXECUTE, everything), (PT_DYNAMIC, READ, parts.dynamic)];
        segments.extend(parts.notes.iter().map(|notes| (PT_NOTE, READ, *notes)));
        let has_sections = parts.sections.bytes > 0;
        let described = Header {
            kind: ET_DYN,
            machine: self.recipe.machine,
            entry_vaddr: self.recipe.link_base + CONTENT as u64,
            segment_count: segments.len(),
            sections_at: if has_sections { sections::headers_at(parts) } else { 0 },
            section_count: if has_sections { sections::COUNT } else { 0 },
        };
        header::header(&mut self.writer, &described);
        let at = self.writer.bytes.len();
        for (kind, flags, extent) in segments {
            let vaddr = self.recipe.link_base + extent.at as u64;
            header::program_header(&mut self.writer, kind, flags, extent, vaddr);
        }
        let end = self.writer.bytes.len();
        assert!(end <= CONTENT, "too many segments");
        parts.program_headers = Extent { at, bytes: end - at };
        self.writer.bytes.extend_from_slice(&whole[end..]);
    }
}

fn note(writer: &mut Writer, note: &Note) {
    let description = match note.says {
        Says::Bytes(bytes) => bytes.to_vec(),
        Says::Number(number) => writer.byte_order.encode(number.into(), 4),
    };
    notes::write(writer, note.owner, note.kind, &description);
}

/// `DT_…`.
pub(crate) mod tag {
    pub const NULL: u64 = 0;
    pub const SYSTEM_V_HASH: u64 = 4;
    pub const STRINGS: u64 = 5;
    pub const SYMBOLS: u64 = 6;
    pub const STRINGS_BYTES: u64 = 10;
    pub const SYMBOL_BYTES: u64 = 11;
    pub const SONAME: u64 = 14;
    pub const GNU_HASH: u64 = 0x6fff_fef5;
    pub const SYMBOL_VERSIONS: u64 = 0x6fff_fff0;
    pub const VERSION_DEFINITIONS: u64 = 0x6fff_fffc;
    pub const VERSION_DEFINITION_COUNT: u64 = 0x6fff_fffd;
}
