//! Broken images, each broken in one way, with the reason that a reader should give.

use crate::fields::SymbolField;
use crate::made::{Made, make, tag};
use crate::recipe::{HashTables, Recipe, Sections, Versions};
use crate::writer::Extent;

/// A broken image.
#[derive(Clone, Debug)]
pub struct Broken {
    /// What is wrong with it, for a test's own message.
    pub what: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
    /// When a reader should notice.
    pub found_by: FoundBy,
    /// What it should say then.
    pub reason: String,
}

/// When a reader should notice that an image is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// At once: the image is no image.
    Parsing,
    /// When it is asked for all that is wrong: what is broken is one part that many do without.
    Looking,
}

/// All ways to break an image of the recipe; which tables it has depends on what is to be broken.
pub fn broken(recipe: &Recipe) -> Vec<Broken> {
    let whole =
        Recipe { hash_tables: HashTables::Both, versions: Versions::Both, ..recipe.clone() };
    let cases = [headers, segments, tables, hash_tables, versions, symbols, names, notes];
    cases.into_iter().flat_map(|cases| cases(&whole)).collect()
}

/// An address that no made image has.
const OUTSIDE: u64 = 0x7f00_0000;
/// A symbol that every recipe has.
const FUNCTION: &str = "__vdso_clock_gettime";

/// Makes an image and spoils it.
fn spoil(
    recipe: &Recipe,
    what: &'static str,
    found_by: FoundBy,
    reason: impl Into<String>,
    how: impl FnOnce(&mut Made),
) -> Broken {
    let mut made = make(recipe);
    how(&mut made);
    Broken { what, bytes: made.bytes, found_by, reason: reason.into() }
}

fn headers(recipe: &Recipe) -> Vec<Broken> {
    let at =
        |what, reason: &str, how: fn(&mut Made)| spoil(recipe, what, FoundBy::Parsing, reason, how);
    vec![
        at("nothing", "this is not an ELF file", |made| made.bytes.clear()),
        at("another magic number", "this is not an ELF file", |made| made.bytes[0] = 0),
        at("another class", "ELF class 3 is neither 1 (32 bits) nor 2 (64 bits)", |made| {
            made.bytes[4] = 3;
        }),
        at("another byte order", "byte order 0 is neither 1 (little) nor 2 (big endian)", |made| {
            made.bytes[5] = 0;
        }),
        at("another ELF version", "ELF version 2 is not 1, the only one there is", |made| {
            made.bytes[6] = 2;
        }),
        at("a cut header", "the file ends inside the ELF header", |made| made.bytes.truncate(20)),
        at("an executable", "ELF type 2 is not 3, a shared object", |made| {
            made.put(Extent { at: 16, bytes: 2 }, 2);
        }),
        at("odd program headers", "program headers of 33 bytes do not fit the ELF class", |made| {
            let at = made.recipe.class.pick(42, 54);
            made.put(Extent { at, bytes: 2 }, 33);
        }),
        at("cut program headers", "the file ends inside the program headers", |made| {
            made.bytes.truncate(made.parts.program_headers.at + 1);
        }),
        at("program headers outside", "the file ends inside the program headers", |made| {
            let field =
                made.recipe.class.pick(Extent { at: 28, bytes: 4 }, Extent { at: 32, bytes: 8 });
            made.put(field, OUTSIDE);
        }),
    ]
}

fn segments(recipe: &Recipe) -> Vec<Broken> {
    let whole = make(recipe);
    let (bytes, dynamic) = (whole.bytes.len(), whole.parts.dynamic);
    let parsing =
        |what, reason: &str, how: fn(&mut Made)| spoil(recipe, what, FoundBy::Parsing, reason, how);
    let missing = format!("{bytes} of the {} bytes that are to be mapped are there", bytes + 1);
    vec![
        parsing("nothing to map", "no segment is to be mapped (no PT_LOAD)", |made| {
            made.put(made.segment_kind(0), 9);
        }),
        parsing("no dynamic table", "there is no dynamic table (no PT_DYNAMIC)", |made| {
            made.put(made.segment_kind(1), 9);
        }),
        parsing("a cut dynamic table", "the file ends inside the dynamic table", |made| {
            made.bytes.truncate(made.parts.dynamic.at + 1);
        }),
        parsing("a dynamic table outside", "the file ends inside the dynamic table", |made| {
            made.put(made.segment_offset(1), OUTSIDE);
        }),
        parsing("a torn dynamic table", "the file ends inside the dynamic table", |made| {
            // The last entry, which would end it, has no room for its value.
            let (at, bytes) = (made.parts.dynamic.at, made.parts.dynamic.bytes - made.word_bytes());
            made.put(made.dynamic_tag(tag::NULL), tag::SONAME);
            made.put(made.segment_bytes(1), bytes as u64);
            made.bytes.truncate(at + bytes);
        }),
        spoil(recipe, "a segment longer than the file", FoundBy::Looking, missing, |made| {
            made.put(made.segment_bytes(0), bytes as u64 + 1);
        }),
        parsing("an empty segment", "the dynamic table names no string table", |made| {
            made.put(made.segment_bytes(1), 0);
        }),
        spoil(
            recipe,
            "a mapped segment that ends before the tables",
            FoundBy::Parsing,
            outside("string table", whole.vaddr(whole.parts.strings.at)),
            |made| made.put(made.segment_bytes(0), (dynamic.at / 16) as u64),
        ),
    ]
}

fn outside(table: &str, vaddr: u64) -> String {
    format!("the {table} should be at {vaddr:#x}, outside the image")
}

/// The tables that a dynamic entry points at, by tag and name.
const TABLES: [(u64, &str); 6] = [
    (tag::STRINGS, "string table"),
    (tag::SYMBOLS, "symbol table"),
    (tag::SYSTEM_V_HASH, "hash table (DT_HASH)"),
    (tag::GNU_HASH, "GNU hash table (DT_GNU_HASH)"),
    (tag::SYMBOL_VERSIONS, "table of symbol versions"),
    (tag::VERSION_DEFINITIONS, "table of version definitions"),
];
/// A tag that nobody reads: `DT_DEBUG`.
const UNREAD_TAG: u64 = 21;

fn tables(recipe: &Recipe) -> Vec<Broken> {
    let mut all = Vec::new();
    let mut add = |what, reason: String, how: &dyn Fn(&mut Made)| {
        all.push(spoil(recipe, what, FoundBy::Parsing, reason, how));
    };
    for (tag, table) in TABLES {
        add("a table outside", outside(table, OUTSIDE), &|made| {
            made.put(made.dynamic_value(tag), OUTSIDE);
        });
        if let Some(below) = recipe.link_base.checked_sub(1) {
            add("a table below the segment", outside(table, below), &|made| {
                made.put(made.dynamic_value(tag), below);
            });
        }
    }
    for (tag, table) in &TABLES[..2] {
        add("a missing table", format!("the dynamic table names no {table}"), &|made| {
            made.put(made.dynamic_tag(*tag), UNREAD_TAG);
        });
    }
    let unknown = "the dynamic table does not tell how long the string table is";
    add("a string table of unknown length", unknown.to_owned(), &|made| {
        made.put(made.dynamic_tag(tag::STRINGS_BYTES), UNREAD_TAG);
    });
    add("a cut string table", "the file ends inside the string table".to_owned(), &|made| {
        made.put(made.dynamic_value(tag::STRINGS_BYTES), OUTSIDE);
    });
    let odd = "symbols of 17 bytes do not fit the ELF class";
    add("symbols of another size", odd.to_owned(), &|made| {
        made.put(made.dynamic_value(tag::SYMBOL_BYTES), 17);
    });
    all
}

fn hash_tables(recipe: &Recipe) -> Vec<Broken> {
    let gnu_only = Recipe { hash_tables: HashTables::Gnu, ..recipe.clone() };
    let (hash_tables, sections) = (HashTables::None, Sections::None);
    let none = Recipe { hash_tables, sections, ..recipe.clone() };
    let cut = "the file ends inside the hash table (DT_HASH)";
    let cut_gnu = "the file ends inside the GNU hash table (DT_GNU_HASH)";
    let bloom =
        "the Bloom filter of the GNU hash table (DT_GNU_HASH) has 3 words, not a power of two";
    let unknown = "neither a hash table nor a section tells how many symbols there are";
    let gnu_word = |made: &Made, index| Extent { at: made.parts.gnu_hash.at + 4 * index, bytes: 4 };
    let parsing = FoundBy::Parsing;
    let looking = FoundBy::Looking;
    vec![
        spoil(recipe, "too many buckets", parsing, cut, |made| {
            made.put(made.system_v_hash_word(0), OUTSIDE);
        }),
        spoil(recipe, "too many chains", parsing, cut, |made| {
            made.put(made.system_v_hash_word(1), OUTSIDE);
        }),
        spoil(recipe, "too many GNU buckets", parsing, cut_gnu, |made| {
            made.put(gnu_word(made, 0), OUTSIDE);
        }),
        spoil(recipe, "too large a Bloom filter", parsing, cut_gnu, |made| {
            made.put(gnu_word(made, 2), 1 << 30);
        }),
        spoil(recipe, "an odd Bloom filter", parsing, bloom, |made| made.put(gnu_word(made, 2), 3)),
        spoil(&gnu_only, "a GNU bucket that leads outside", looking, cut_gnu, |made| {
            let first_bucket = 4 + made.word_bytes() / 4;
            made.put(gnu_word(made, first_bucket), OUTSIDE);
        }),
        spoil(&none, "no count of symbols", looking, unknown, |_| {}),
    ]
}

fn versions(recipe: &Recipe) -> Vec<Broken> {
    let without = Recipe { versions: Versions::WithoutDefinitions, ..recipe.clone() };
    let looking = |recipe, what, reason, how: fn(&mut Made)| {
        spoil(recipe, what, FoundBy::Looking, reason, how)
    };
    let no_definitions = "the dynamic table names no table of version definitions";
    let no_symbols = "the dynamic table names no table of symbol versions";
    let undefined = "a symbol has version 99, which the image does not define";
    let cut_definitions = "the file ends inside the table of version definitions";
    vec![
        looking(&without, "symbol versions without definitions", no_definitions, |_| {}),
        looking(recipe, "version definitions without symbols", no_symbols, |made| {
            made.put(made.dynamic_tag(tag::SYMBOL_VERSIONS), UNREAD_TAG);
        }),
        looking(recipe, "a version that nothing defines", undefined, |made| {
            let number = made.symbol_number(FUNCTION);
            made.put(Extent { at: made.parts.symbol_versions.at + 2 * number, bytes: 2 }, 99);
        }),
        looking(recipe, "a definition that leads outside", cut_definitions, |made| {
            let next = Extent { at: made.parts.version_definitions.at + 16, bytes: 4 };
            made.put(next, OUTSIDE);
        }),
        looking(recipe, "a definition with its name outside", cut_definitions, |made| {
            let names = Extent { at: made.parts.version_definitions.at + 12, bytes: 4 };
            made.put(names, OUTSIDE);
        }),
        looking(
            recipe,
            "cut symbol versions",
            "the file ends inside the table of symbol versions",
            |made| {
                let last = made.vaddr(made.bytes.len() - 1);
                made.put(made.dynamic_value(tag::SYMBOL_VERSIONS), last);
            },
        ),
    ]
}

fn symbols(recipe: &Recipe) -> Vec<Broken> {
    let whole = make(recipe);
    let end = whole.vaddr(whole.bytes.len());
    let highest = recipe.class.pick(u64::from(u32::MAX), u64::MAX);
    let mut all = Vec::new();
    let mut add = |what, vaddr: u64, bytes: u64| {
        let reason = format!("a symbol of {bytes} bytes at {vaddr:#x} is not inside the image");
        all.push(spoil(recipe, what, FoundBy::Looking, reason, |made| {
            made.put(made.symbol_field(FUNCTION, SymbolField::Value), vaddr);
            made.put(made.symbol_field(FUNCTION, SymbolField::Size), bytes);
        }));
    };
    add("a symbol far outside", OUTSIDE, 16);
    add("a symbol at the end", end, 0);
    add("a symbol that ends outside", end - 15, 16);
    add("a symbol at the highest address", highest, 1);
    add("a symbol that wraps around", end - 1, highest);
    if let Some(below) = recipe.link_base.checked_sub(1) {
        add("a symbol below the segment", below, 2);
    }
    let cut = "the file ends inside the symbol table";
    all.push(spoil(recipe, "a cut symbol table", FoundBy::Looking, cut, |made| {
        let last = made.vaddr(made.bytes.len() - 1);
        made.put(made.dynamic_value(tag::SYMBOLS), last);
    }));
    all
}

fn names(recipe: &Recipe) -> Vec<Broken> {
    let name_outside = format!("a name at {OUTSIDE:#x} is not inside the string table");
    let strings = make(recipe).strings;
    let last = strings.0.len() - 1;
    let unended = strings.0[..last].iter().rposition(|&byte| byte == 0).map_or(0, |at| at + 1);
    let unended = format!("a name at {unended:#x} is not inside the string table");
    vec![
        spoil(recipe, "a SONAME outside", FoundBy::Looking, name_outside.clone(), |made| {
            made.put(made.dynamic_value(tag::SONAME), OUTSIDE);
        }),
        spoil(recipe, "a symbol's name outside", FoundBy::Looking, name_outside, |made| {
            made.put(made.symbol_field(FUNCTION, SymbolField::Name), OUTSIDE);
        }),
        spoil(recipe, "a name without an end", FoundBy::Looking, unended, |made| {
            made.put(made.dynamic_value(tag::STRINGS_BYTES), last as u64);
        }),
        spoil(
            recipe,
            "a name that is not text",
            FoundBy::Looking,
            "a name is not UTF-8 text",
            |made| {
                let at = made.parts.strings.at + strings.of(FUNCTION) as usize;
                made.bytes[at] = 0xff;
            },
        ),
    ]
}

fn notes(recipe: &Recipe) -> Vec<Broken> {
    let past = "a note goes on past the end of its segment";
    let looking =
        |what, reason, how: fn(&mut Made)| spoil(recipe, what, FoundBy::Looking, reason, how);
    vec![
        looking("a note with a long owner", past, |made| {
            made.put(Extent { at: made.parts.notes[0].at, bytes: 4 }, OUTSIDE);
        }),
        looking("a note with a long description", past, |made| {
            made.put(Extent { at: made.parts.notes[0].at + 4, bytes: 4 }, OUTSIDE);
        }),
        looking("a note that ends behind its segment", past, |made| {
            let bytes = made.parts.notes[0].bytes as u64;
            made.put(made.segment_bytes(2), bytes - 4);
        }),
        looking("notes outside the file", "the file ends inside the notes", |made| {
            made.put(made.segment_offset(2), OUTSIDE);
        }),
        looking("an owner that is not text", "a name is not UTF-8 text", |made| {
            made.bytes[made.parts.notes[0].at + 12] = 0xff;
        }),
    ]
}
