//! The tables that the dynamic table points at.

use crate::content;
use crate::recipe::{Binding, Place, Recipe, Symbol};
use crate::writer::{Class, Writer};

/// Number of the version that names the file, and of symbols without a version.
const VER_NDX_GLOBAL: u16 = 1;
/// Bit of a symbol's version that hides it from those who ask for none.
const VERSYM_HIDDEN: u16 = 0x8000;
/// Section of a symbol that is defined, undefined, absolute.
const SHN_CONTENT: u16 = 1;
const SHN_UNDEF: u16 = 0;
const SHN_ABS: u16 = 0xfff1;
/// How far the second bit of the Bloom filter is from the first.
const BLOOM_SHIFT: u32 = 6;

/// The string table: names, each ended by a zero byte.
#[derive(Clone, Debug)]
pub(crate) struct Strings(pub Vec<u8>);

impl Strings {
    pub fn new(recipe: &Recipe) -> Self {
        let symbols = recipe.symbols.iter().map(|symbol| symbol.name);
        let mut names: Vec<_> = symbols.chain(recipe.version_names()).collect();
        names.push(recipe.soname);
        names.sort_unstable();
        names.dedup();
        let mut table = vec![0];
        for name in names {
            table.extend_from_slice(name.as_bytes());
            table.push(0);
        }
        Self(table)
    }

    /// Where the name is in the table.
    pub fn of(&self, name: &str) -> u32 {
        let mut ended = vec![0];
        ended.extend_from_slice(name.as_bytes());
        ended.push(0);
        let at = self.0.windows(ended.len()).position(|window| window == ended);
        at.expect("every name is in the table") as u32 + 1
    }
}

/// How many buckets each hash table has: few, so that there are chains to follow.
pub(crate) fn bucket_count(symbols: &[Symbol]) -> u32 {
    (symbols.len() as u32 / 3).max(1)
}

/// The symbols in the order that `DT_GNU_HASH` asks for: first those that it leaves out, then by
/// bucket; and how many it leaves out.
pub(crate) fn ordered(symbols: &[Symbol]) -> (Vec<Symbol>, usize) {
    let is_left_out =
        |symbol: &Symbol| symbol.binding == Binding::Local || symbol.place == Place::Undefined;
    let (mut ordered, mut hashed): (Vec<_>, Vec<_>) =
        symbols.iter().copied().partition(is_left_out);
    let left_out = ordered.len();
    hashed.sort_by_key(|symbol| gnu_hash(symbol.name) % bucket_count(symbols));
    ordered.extend(hashed);
    (ordered, left_out)
}

/// `symbols` in the image's order; `base` is the address of the content that they name.
pub(crate) fn symbols(
    writer: &mut Writer,
    strings: &Strings,
    recipe: &Recipe,
    symbols: &[Symbol],
    base: u64,
) {
    let empty = writer.class.pick(16, 24);
    writer.bytes.resize(writer.bytes.len() + empty, 0);
    for symbol in symbols {
        let (value, size, section) = match (content::extent(recipe, symbol.place), symbol.place) {
            (Some((at, bytes)), _) => (base + at, bytes, SHN_CONTENT),
            (None, Place::Absolute(number)) => (number, 0, SHN_ABS),
            (None, _) => (0, 0, SHN_UNDEF),
        };
        let info = (symbol.binding as u8) << 4 | symbol.kind as u8;
        writer.u32(strings.of(symbol.name));
        match writer.class {
            Class::Elf32 => symbol_32(writer, value, size, info, section),
            Class::Elf64 => symbol_64(writer, value, size, info, section),
        }
    }
}

fn symbol_32(writer: &mut Writer, value: u64, size: u64, info: u8, section: u16) {
    writer.address(value);
    writer.address(size);
    writer.u8(info);
    writer.u8(0);
    writer.u16(section);
}

fn symbol_64(writer: &mut Writer, value: u64, size: u64, info: u8, section: u16) {
    writer.u8(info);
    writer.u8(0);
    writer.u16(section);
    writer.address(value);
    writer.address(size);
}

pub(crate) fn system_v_hash(writer: &mut Writer, recipe: &Recipe, symbols: &[Symbol]) {
    let buckets = bucket_count(symbols) as usize;
    let mut heads = vec![0; buckets];
    let mut chains = vec![0; symbols.len() + 1];
    for (index, symbol) in (1..).zip(symbols) {
        let head = &mut heads[hash_of_system_v(symbol.name) as usize % buckets];
        chains[index] = *head;
        *head = index as u64;
    }
    let counts = [buckets as u64, chains.len() as u64];
    for word in counts.into_iter().chain(heads).chain(chains) {
        writer.integer(word, recipe.hash_word_bytes());
    }
}

/// `left_out` symbols come before those of the table.
pub(crate) fn gnu_hash_table(writer: &mut Writer, symbols: &[Symbol], left_out: usize) {
    let buckets = bucket_count(symbols);
    let hashes: Vec<u32> = symbols[left_out..].iter().map(|symbol| gnu_hash(symbol.name)).collect();
    let first = left_out as u32 + 1;
    for word in [buckets, first, 1, BLOOM_SHIFT] {
        writer.u32(word);
    }
    let bits = writer.class.pick(32, 64);
    let bloom = hashes.iter().fold(0_u64, |bloom, hash| {
        bloom | 1 << (hash % bits) | 1 << ((hash >> BLOOM_SHIFT) % bits)
    });
    writer.address(bloom);
    for bucket in 0..buckets {
        let position = hashes.iter().position(|hash| hash % buckets == bucket);
        writer.u32(position.map_or(0, |position| first + position as u32));
    }
    for (index, hash) in hashes.iter().enumerate() {
        let is_last = hashes.get(index + 1).is_none_or(|next| next % buckets != hash % buckets);
        writer.u32(hash & !1 | u32::from(is_last));
    }
}

pub(crate) fn symbol_versions(writer: &mut Writer, recipe: &Recipe, symbols: &[Symbol]) {
    let names = recipe.version_names();
    writer.u16(0);
    for symbol in symbols {
        let version = symbol.version.and_then(|name| names.iter().position(|it| *it == name));
        let number = match (symbol.place, version) {
            (Place::Undefined, _) => 0,
            (_, None) => VER_NDX_GLOBAL,
            (_, Some(position)) => VER_NDX_GLOBAL + 1 + position as u16,
        };
        let hidden = matches!(symbol.place, Place::HiddenPiece(_));
        writer.u16(if hidden { number | VERSYM_HIDDEN } else { number });
    }
}

/// The definition that names the file, then the others.
pub(crate) fn version_definitions(writer: &mut Writer, strings: &Strings, recipe: &Recipe) {
    let mut names = vec![recipe.soname];
    names.extend(recipe.version_names());
    for (position, name) in names.iter().enumerate() {
        let is_last = position == names.len() - 1;
        writer.u16(1);
        writer.u16(u16::from(position == 0));
        writer.u16(VER_NDX_GLOBAL + position as u16);
        writer.u16(1);
        writer.u32(hash_of_system_v(name));
        writer.u32(VERDEF_BYTES);
        writer.u32(if is_last { 0 } else { VERDEF_BYTES + VERDAUX_BYTES });
        writer.u32(strings.of(name));
        writer.u32(0);
    }
}

/// Size of `Verdef` and `Verdaux`, which are the same in both classes.
const VERDEF_BYTES: u32 = 20;
const VERDAUX_BYTES: u32 = 8;

fn gnu_hash(name: &str) -> u32 {
    name.bytes().fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(byte.into()))
}

fn hash_of_system_v(name: &str) -> u32 {
    let mut hash = 0_u32;
    for byte in name.bytes() {
        hash = (hash << 4).wrapping_add(byte.into());
        hash ^= (hash & 0xf000_0000) >> 24;
        hash &= 0x0fff_ffff;
    }
    hash
}
