//! Offsets of a structure's members, from the kernel's own type information (BTF).
//!
//! Only what is needed to find one structure by name. Format:
//! <https://docs.kernel.org/bpf/btf.html>. Any bytes give an answer or `None`, never a panic.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io;

use content::Content;
use search::GROUP;

mod blocks;
mod content;
mod search;

/// Where the running kernel keeps its type information.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u32 = 0xeb9f;
const HEADER_BYTES: usize = 24;
const TYPE_BYTES: usize = 12;
const MEMBER_BYTES: usize = 12;
const ENUMERATOR_BYTES: usize = 8;

const KIND_INT: u32 = 1;
const KIND_ARRAY: u32 = 3;
pub(super) const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_DECL_TAG: u32 = 17;
const KIND_ENUM64: u32 = 19;

/// Type information.
///
/// It is megabytes, of which few are looked at: the kernel maps it (since Linux 6.16), or those are read, a piece at a
/// time. They are searched, as a walk from type to type takes longer.
pub struct Btf<'a> {
    content: Content<'a>,
    types: Section,
    strings: Section,
    /// What [`find`](Self::find) has been asked for: kind, name, and the first such type's place, if there is one.
    known: RefCell<Vec<(u32, String, Option<usize>)>>,
}

#[derive(Clone, Copy)]
struct Section {
    start: usize,
    bytes: usize,
}

/// How much is read at a time.
const PIECE_BYTES: usize = 1 << 17;

impl Btf<'static> {
    /// Opens [`VMLINUX`]; `None` if it is not BTF of this machine's byte order.
    pub fn open() -> io::Result<Option<Self>> {
        let (content, bytes) = Content::open(VMLINUX)?;
        Ok(Btf::new(content, bytes))
    }
}

impl<'a> Btf<'a> {
    /// Finds the two sections; `None` if this is not BTF of this machine's byte order.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        Self::new(Content::Memory(bytes), bytes.len())
    }

    fn new(content: Content<'a>, bytes: usize) -> Option<Self> {
        let header = content.get(0, HEADER_BYTES)?.into_owned();
        if word(&header, 0)? & 0xffff != MAGIC {
            return None;
        }
        let header_bytes = word(&header, 4)? as usize;
        if header_bytes < HEADER_BYTES {
            return None;
        }
        let section = |offset: usize, length: usize| {
            let start = header_bytes.checked_add(word(&header, offset)? as usize)?;
            let length = word(&header, length)? as usize;
            (start.checked_add(length)? <= bytes).then_some(Section { start, bytes: length })
        };
        let (types, strings) = (section(8, 12)?, section(16, 20)?);
        Some(Self { content, types, strings, known: RefCell::default() })
    }

    /// Looks for several structures and enumerations at once, which is faster than one after another.
    pub fn prepare(&self, structures: &[&str], enumerations: &[&str]) {
        let structures = structures.iter().map(|&name| (KIND_STRUCT, name));
        let enumerations = enumerations.iter().map(|&name| (KIND_ENUM, name));
        self.find(&structures.chain(enumerations).collect::<Vec<_>>());
    }

    /// The structure called `name`.
    pub fn structure(&self, name: &str) -> Option<Structure<'_>> {
        let at = self.place(KIND_STRUCT, name)?;
        self.members_at(at, &self.type_at(at)?)
    }

    /// The value of `enumerator` in the enumeration called `name`.
    pub fn enumerator(&self, name: &str, enumerator: &str) -> Option<u32> {
        let at = self.place(KIND_ENUM, name)?;
        let values = self.tail(at, self.type_at(at)?.count * ENUMERATOR_BYTES)?;
        let is_it =
            |value: &&[u8]| word(value, 0).is_some_and(|stored| self.is_called(stored, enumerator));
        word(values.chunks_exact(ENUMERATOR_BYTES).find(is_it)?, 4)
    }

    fn place(&self, kind: u32, name: &str) -> Option<usize> {
        self.find(&[(kind, name)]);
        let known = self.known.borrow();
        known.iter().find(|known| known.0 == kind && known.1 == name)?.2
    }

    /// Sees to it that the first type of each kind and name is known.
    ///
    /// What has a type's name in it and is no type is a member, a parameter or a value of that name: a kind in
    /// the word behind it would make that the number of a type far beyond the last, or a huge value.
    fn find(&self, wanted: &[(u32, &str)]) {
        let is_known = |&&(kind, name): &&(u32, &str)| {
            self.known.borrow().iter().any(|known| known.0 == kind && known.1 == name)
        };
        let wanted: Vec<_> = wanted.iter().filter(|it| !is_known(it)).copied().collect();
        if wanted.is_empty() {
            return;
        }
        let names = self.string_offsets(&wanted.iter().map(|it| it.1).collect::<Vec<_>>());
        let mut places = vec![None; wanted.len()];
        let groups = names.chunks(GROUP).zip(wanted.chunks(GROUP)).zip(places.chunks_mut(GROUP));
        for ((names, wanted), places) in groups {
            self.find_group(names, wanted, places);
        }
        let mut known = self.known.borrow_mut();
        for ((kind, name), place) in wanted.into_iter().zip(places) {
            known.push((kind, name.to_owned(), place));
        }
    }

    /// The same for a few whose names stand there.
    fn find_group(
        &self,
        names: &[Option<u32>],
        wanted: &[(u32, &str)],
        places: &mut [Option<usize>],
    ) {
        // As many as are looked for: one without a name is never found.
        let mut sought = [u32::MAX; GROUP];
        for (sought, name) in sought.iter_mut().zip(names) {
            *sought = name.unwrap_or(u32::MAX);
        }
        self.pieces(self.types, 8, &mut |start, piece| {
            search::words(piece, &sought, &mut |at, there| {
                let (Some(name), Some(info)) = (word(there, 0), word(there, 4)) else { return };
                for ((place, it), (kind, _)) in places.iter_mut().zip(names).zip(wanted) {
                    if place.is_none() && *it == Some(name) && kind_of(info) == *kind {
                        *place = Some(start + at);
                    }
                }
            });
            places.iter().zip(names).all(|(place, name)| place.is_some() || name.is_none())
        });
    }

    /// Where names stand as whole strings. Each is stored once.
    fn string_offsets(&self, names: &[&str]) -> Vec<Option<u32>> {
        let mut offsets = vec![None; names.len()];
        let names = search::Names::new(names);
        self.pieces(self.strings, names.longest(), &mut |start, piece| {
            names.find(piece, &mut |at, which| {
                if let Some(offset @ None) = offsets.get_mut(which) {
                    *offset = u32::try_from(start + at).ok();
                }
                offsets.iter().all(Option::is_some)
            })
        });
        offsets
    }

    /// Gives a section to `is_done` in pieces of which each begins with the last `overlap` bytes of the one before.
    fn pieces(
        &self,
        section: Section,
        overlap: usize,
        is_done: &mut dyn FnMut(usize, &[u8]) -> bool,
    ) {
        // Whole words.
        let overlap = overlap.next_multiple_of(4);
        let mut at = 0;
        while at < section.bytes {
            let length = PIECE_BYTES.min(section.bytes - at);
            let Some(piece) = self.content.get(section.start + at, length) else { return };
            if is_done(at, &piece) || at + length == section.bytes {
                return;
            }
            // A piece is longer than any overlap.
            at += length.saturating_sub(overlap).max(4);
        }
    }

    /// Bytes behind the three words of the type at a place.
    fn tail(&self, at: usize, bytes: usize) -> Option<Cow<'_, [u8]>> {
        let start = at.checked_add(TYPE_BYTES)?;
        if start.checked_add(bytes)? > self.types.bytes {
            return None;
        }
        self.content.get(self.types.start + start, bytes)
    }

    fn members_at(&self, at: usize, found: &Type) -> Option<Structure<'_>> {
        let members = self.tail(at, found.count * MEMBER_BYTES)?;
        Some(Structure { btf: self, members, bytes: found.size as usize })
    }

    fn type_at(&self, at: usize) -> Option<Type> {
        if at.checked_add(TYPE_BYTES)? > self.types.bytes {
            return None;
        }
        Type::of(&self.content.get(self.types.start + at, TYPE_BYTES)?)
    }

    /// The place of the type with a number; the first has 1. They stand one behind another.
    fn place_of(&self, type_id: u32) -> Option<usize> {
        let mut left = type_id.checked_sub(1)?;
        // Of the next type.
        let mut place = 0;
        let mut found = None;
        self.pieces(self.types, TYPE_BYTES, &mut |start, piece| {
            while let Some(entry) =
                place_in(place, start).and_then(|at| piece.get(at..at + TYPE_BYTES))
            {
                if left == 0 {
                    found = Some(place);
                    return true;
                }
                let Some(tail_bytes) = Type::of(entry).and_then(|found| found.tail_bytes()) else {
                    return true;
                };
                left -= 1;
                place += TYPE_BYTES + tail_bytes;
            }
            false
        });
        found
    }

    /// Whether the string that begins there is this one.
    fn is_called(&self, stored: u32, name: &str) -> bool {
        let (start, bytes) = (stored as usize, name.len() + 1);
        let fits = start.checked_add(bytes).is_some_and(|end| end <= self.strings.bytes);
        let there = fits.then(|| self.content.get(self.strings.start + start, bytes)).flatten();
        there.is_some_and(|there| there.strip_prefix(name.as_bytes()) == Some(&[0]))
    }
}

/// Where in a piece that begins at `start` a place is, if not before it.
fn place_in(place: usize, start: usize) -> Option<usize> {
    place.checked_sub(start)
}

fn kind_of(info: u32) -> u32 {
    info >> 24 & 0x1f
}

struct Type {
    kind: u32,
    count: usize,
    size: u32,
}

impl Type {
    fn of(entry: &[u8]) -> Option<Self> {
        let info = word(entry, 4)?;
        Some(Self { kind: kind_of(info), count: (info & 0xffff) as usize, size: word(entry, 8)? })
    }

    /// Bytes that follow the type's three words; `None` for a kind from the future.
    fn tail_bytes(&self) -> Option<usize> {
        let &(fixed, each) = TAIL_BYTES.get(self.kind as usize)?;
        Some(usize::from(fixed) + self.count * usize::from(each))
    }
}

/// What follows the three words of a type, by its kind: bytes, and bytes for each that it counts. Looked up, as what
/// kind comes next is not to be guessed, by no processor.
const TAIL_BYTES: [(u8, u8); 20] = {
    let mut tails = [(0, 0); 20];
    tails[KIND_INT as usize] = (4, 0);
    tails[KIND_VAR as usize] = (4, 0);
    tails[KIND_DECL_TAG as usize] = (4, 0);
    tails[KIND_ARRAY as usize] = (12, 0);
    tails[KIND_STRUCT as usize] = (0, 12);
    tails[KIND_UNION as usize] = (0, 12);
    tails[KIND_DATASEC as usize] = (0, 12);
    tails[KIND_ENUM64 as usize] = (0, 12);
    tails[KIND_ENUM as usize] = (0, 8);
    tails[KIND_FUNC_PROTO as usize] = (0, 8);
    tails
};

/// A structure's members.
pub struct Structure<'a> {
    btf: &'a Btf<'a>,
    members: Cow<'a, [u8]>,
    bytes: usize,
}

impl Structure<'_> {
    /// Size of the structure.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Byte offset of the member called `name`, which may be in a nameless union.
    pub fn offset(&self, name: &str) -> Option<usize> {
        /// The kernel's are nested once; broken types could be nested in themselves.
        const DEEPEST: usize = 4;
        self.offset_within(name, DEEPEST)
    }

    fn offset_within(&self, name: &str, deepest: usize) -> Option<usize> {
        self.members.chunks_exact(MEMBER_BYTES).find_map(|member| {
            // The upper byte is a bit-field's width; none of ours is one.
            let offset = (word(member, 8)? & 0xff_ffff) as usize / 8;
            let stored = word(member, 0)?;
            if self.btf.is_called(stored, "") {
                let nameless = self.nameless(word(member, 4)?)?;
                return Some(offset + nameless.offset_within(name, deepest.checked_sub(1)?)?);
            }
            self.btf.is_called(stored, name).then_some(offset)
        })
    }

    /// The union or structure that a nameless member is.
    fn nameless(&self, type_id: u32) -> Option<Structure<'_>> {
        let at = self.btf.place_of(type_id)?;
        let found = self.btf.type_at(at)?;
        // A type's nameless parts stand before it, so this ends.
        let is_one = matches!(found.kind, KIND_STRUCT | KIND_UNION);
        if is_one { self.btf.members_at(at, &found) } else { None }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(word.try_into().ok()?))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) mod writer;
