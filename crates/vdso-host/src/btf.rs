//! Offsets of a structure's members, from the kernel's own type information (BTF).
//!
//! Only what is needed to find one structure by name. Format:
//! <https://docs.kernel.org/bpf/btf.html>. Any bytes give an answer or `None`, never a panic.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use memchr::memmem::Finder;

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
/// It is megabytes, of which few are looked at: those are read, a piece at a time, and searched. To map it all
/// (Linux 6.16 and later) takes longer than that, as does a walk from type to type.
pub struct Btf<'a> {
    content: Content<'a>,
    types: Section,
    strings: Section,
    /// What [`find`](Self::find) has been asked for: kind, name, and the first such type's place, if there is one.
    known: RefCell<Vec<(u32, String, Option<usize>)>>,
}

enum Content<'a> {
    File(File),
    Memory(&'a [u8]),
}

#[derive(Clone, Copy)]
struct Section {
    start: usize,
    bytes: usize,
}

/// How much is read at a time.
const PIECE_BYTES: usize = 1 << 17;
/// How many names are looked for at a time.
const GROUP: usize = 4;

impl Content<'_> {
    fn read(&self, at: usize, place: &mut [u8]) -> Option<()> {
        match self {
            Self::File(file) => file.read_exact_at(place, at as u64).ok(),
            Self::Memory(bytes) => {
                place.copy_from_slice(bytes.get(at..at.checked_add(place.len())?)?);
                Some(())
            }
        }
    }
}

impl Btf<'static> {
    /// Opens [`VMLINUX`]; `None` if it is not BTF of this machine's byte order.
    pub fn open() -> io::Result<Option<Self>> {
        let file = File::open(VMLINUX)?;
        let bytes = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        Ok(Btf::new(Content::File(file), bytes))
    }
}

impl<'a> Btf<'a> {
    /// Finds the two sections; `None` if this is not BTF of this machine's byte order.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        Self::new(Content::Memory(bytes), bytes.len())
    }

    fn new(content: Content<'a>, bytes: usize) -> Option<Self> {
        let mut header = [0; HEADER_BYTES];
        content.read(0, &mut header)?;
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

    /// Looks for several structures at once, which is faster than one after another.
    pub fn prepare(&self, structures: &[&str]) {
        let wanted: Vec<_> = structures.iter().map(|&name| (KIND_STRUCT, name)).collect();
        self.find(&wanted);
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
        const BLOCK_WORDS: usize = 64;
        // As many as the loop below is made for: one without a name is never found.
        let mut sought = [u32::MAX; GROUP];
        for (sought, name) in sought.iter_mut().zip(names) {
            *sought = name.unwrap_or(u32::MAX);
        }
        self.pieces(self.types, 8, &mut |start, piece| {
            let words = piece.as_chunks::<4>().0;
            for (block_index, block) in words.chunks(BLOCK_WORDS).enumerate() {
                // Most have none, which is found out without a branch for each word.
                let has_one = block.iter().fold(false, |has_one, word| {
                    let word = u32::from_ne_bytes(*word);
                    sought.iter().fold(has_one, |has_one, sought| has_one | (word == *sought))
                });
                if !has_one {
                    continue;
                }
                let first = block_index * BLOCK_WORDS;
                let pairs = words.get(first..).unwrap_or_default().windows(2).take(BLOCK_WORDS);
                for (index, pair) in pairs.enumerate() {
                    let [name, info] = [pair[0], pair[1]].map(u32::from_ne_bytes);
                    for ((place, it), (kind, _)) in places.iter_mut().zip(names).zip(wanted) {
                        if place.is_none() && *it == Some(name) && kind_of(info) == *kind {
                            *place = Some(start + 4 * (first + index));
                        }
                    }
                }
            }
            places.iter().zip(names).all(|(place, name)| place.is_some() || name.is_none())
        });
    }

    /// Where names stand as whole strings. Each is stored once.
    fn string_offsets(&self, names: &[&str]) -> Vec<Option<u32>> {
        let wanted: Vec<String> = names.iter().map(|name| format!("\0{name}\0")).collect();
        let finders: Vec<_> = wanted.iter().map(|name| Finder::new(name.as_bytes())).collect();
        let longest = wanted.iter().map(String::len).max().unwrap_or(0);
        let mut offsets = vec![None; names.len()];
        self.pieces(self.strings, longest, &mut |start, piece| {
            for (offset, finder) in offsets.iter_mut().zip(&finders) {
                if offset.is_none() {
                    *offset = finder.find(piece).and_then(|at| u32::try_from(start + at + 1).ok());
                }
            }
            offsets.iter().all(Option::is_some)
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
        let mut buffer = vec![0; PIECE_BYTES.min(section.bytes)];
        let mut at = 0;
        while at < section.bytes {
            let length = buffer.len().min(section.bytes - at);
            let Some(piece) = buffer.get_mut(..length) else { return };
            if self.content.read(section.start + at, piece).is_none() || is_done(at, piece) {
                return;
            }
            if at + length == section.bytes {
                return;
            }
            // A piece is longer than any overlap.
            at += length.saturating_sub(overlap).max(4);
        }
    }

    /// Bytes behind the three words of the type at a place.
    fn tail(&self, at: usize, bytes: usize) -> Option<Vec<u8>> {
        let start = at.checked_add(TYPE_BYTES)?;
        if start.checked_add(bytes)? > self.types.bytes {
            return None;
        }
        let mut tail = vec![0; bytes];
        self.content.read(self.types.start + start, &mut tail)?;
        Some(tail)
    }

    fn members_at(&self, at: usize, found: &Type) -> Option<Structure<'_>> {
        let members = self.tail(at, found.count * MEMBER_BYTES)?;
        Some(Structure { btf: self, members, bytes: found.size as usize })
    }

    fn type_at(&self, at: usize) -> Option<Type> {
        if at.checked_add(TYPE_BYTES)? > self.types.bytes {
            return None;
        }
        let mut entry = [0; TYPE_BYTES];
        self.content.read(self.types.start + at, &mut entry)?;
        Type::of(&entry)
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
        let mut there = vec![0; name.len() + 1];
        let start = stored as usize;
        let fits = start.checked_add(there.len()).is_some_and(|end| end <= self.strings.bytes);
        fits && self.content.read(self.strings.start + start, &mut there).is_some()
            && there.strip_prefix(name.as_bytes()) == Some(&[0])
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
        Some(match self.kind {
            KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
            KIND_ARRAY => 12,
            KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => self.count * 12,
            KIND_ENUM | KIND_FUNC_PROTO => self.count * 8,
            kind if kind <= KIND_ENUM64 => 0,
            _ => return None,
        })
    }
}

/// A structure's members.
pub struct Structure<'a> {
    btf: &'a Btf<'a>,
    members: Vec<u8>,
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
