//! Section headers, as a linker writes them.

use crate::made::Parts;
use crate::recipe::{Binding, Recipe, Symbol};
use crate::writer::{Extent, Writer};

/// How many section headers there are, with the empty one and that of their names.
pub(crate) const COUNT: usize = 11;

/// The names, and which `sh_type` each has.
const SECTIONS: [(&str, u32); COUNT] = [
    ("", 0),
    (".text", 1),
    (".dynsym", 11),
    (".dynstr", 3),
    (".hash", 5),
    (".gnu.hash", 0x6fff_fff6),
    (".gnu.version", 0x6fff_ffff),
    (".gnu.version_d", 0x6fff_fffd),
    (".dynamic", 6),
    (".note", 7),
    (".shstrtab", 3),
];
/// Numbers of the sections that others refer to.
const DYNSYM: u32 = 2;
const DYNSTR: u32 = 3;

/// `sh_flags` of what is mapped.
const SHF_ALLOC: u64 = 2;

/// The names begin the part; the headers follow, aligned.
pub(crate) fn headers_at(parts: &Parts) -> usize {
    (parts.sections.at + names().len()).next_multiple_of(8)
}

fn names() -> Vec<u8> {
    SECTIONS.iter().flat_map(|(name, _)| name.bytes().chain([0])).collect()
}

/// The names of the sections, then the section headers.
pub(crate) fn write(writer: &mut Writer, parts: &Parts, recipe: &Recipe) {
    let names_at = writer.bytes.len();
    let names = names();
    writer.bytes.extend(&names);
    writer.align(8);
    let mut name_offset = 0;
    for (name, kind) in SECTIONS {
        let extent = match name {
            ".shstrtab" => Extent { at: names_at, bytes: names.len() },
            name => extent(parts, name),
        };
        let is_missing = extent.bytes == 0;
        writer.u32(name_offset);
        // A section that is not there is left as an empty one.
        writer.u32(if is_missing { 0 } else { kind });
        writer.address(if name == ".shstrtab" { 0 } else { SHF_ALLOC });
        writer.address(recipe.link_base + extent.at as u64);
        writer.address(extent.at as u64);
        writer.address(extent.bytes as u64);
        let (link, info, entry_bytes) = details(writer, recipe, name);
        writer.u32(link);
        writer.u32(info);
        writer.address(4);
        writer.address(entry_bytes);
        name_offset += name.len() as u32 + 1;
    }
}

fn extent(parts: &Parts, name: &str) -> Extent {
    match name {
        ".text" => parts.content,
        ".dynsym" => parts.symbols,
        ".dynstr" => parts.strings,
        ".hash" => parts.system_v_hash,
        ".gnu.hash" => parts.gnu_hash,
        ".gnu.version" => parts.symbol_versions,
        ".gnu.version_d" => parts.version_definitions,
        ".dynamic" => parts.dynamic,
        ".note" => parts.notes.first().copied().unwrap_or(Extent { at: 0, bytes: 0 }),
        _ => Extent { at: 0, bytes: 0 },
    }
}

/// `sh_link`, `sh_info`, `sh_entsize`.
fn details(writer: &Writer, recipe: &Recipe, name: &str) -> (u32, u32, u64) {
    match name {
        ".dynsym" => {
            let is_local = |symbol: &&Symbol| symbol.binding == Binding::Local;
            let first_global = recipe.symbols.iter().filter(is_local).count() as u32 + 1;
            (DYNSTR, first_global, writer.class.pick(16, 24))
        }
        ".hash" => (DYNSYM, 0, recipe.hash_word_bytes() as u64),
        ".gnu.hash" => (DYNSYM, 0, 0),
        ".gnu.version" => (DYNSYM, 0, 2),
        ".gnu.version_d" => (DYNSTR, recipe.version_names().len() as u32 + 1, 0),
        ".dynamic" => (DYNSTR, 0, writer.class.pick(8, 16)),
        _ => (0, 0, 0),
    }
}
