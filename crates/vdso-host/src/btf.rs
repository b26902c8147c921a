//! Offsets of a structure's members, from the kernel's own type information (BTF).
//!
//! Only what is needed to find one structure by name. Format:
//! <https://docs.kernel.org/bpf/btf.html>. Any bytes give an answer or `None`, never a panic.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

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

/// The bytes of [`VMLINUX`]: megabytes, of which few are looked at, so mapped where that is possible
/// (Linux 6.16 and later) and read otherwise.
///
/// ```compile_fail,E0599
/// use vdso_host::btf::Vmlinux;
///
/// // Nobody says where something is mapped.
/// let bytes = Vmlinux::Mapped(std::ptr::null(), 4096).bytes()[0];
/// ```
pub struct Vmlinux(Content);

/// Not to be made by anybody else: what is mapped is a promise.
enum Content {
    /// Mapped for as long as this lives.
    Mapped(*const u8, usize),
    /// Read.
    Read(Vec<u8>),
}

impl Vmlinux {
    /// Maps or reads the file.
    pub fn open() -> io::Result<Self> {
        let file = File::open(VMLINUX)?;
        let bytes = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        let (protection, flags) = (libc::PROT_READ, libc::MAP_PRIVATE);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let mapping =
            unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, file.as_raw_fd(), 0) };
        if mapping == libc::MAP_FAILED {
            return fs::read(VMLINUX).map(|bytes| Self(Content::Read(bytes)));
        }
        Ok(Self(Content::Mapped(mapping.cast_const().cast(), bytes)))
    }

    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            // SAFETY: mapped by `open` with this length until drop; the kernel's types do not change.
            Content::Mapped(start, bytes) => unsafe { std::slice::from_raw_parts(*start, *bytes) },
            Content::Read(bytes) => bytes,
        }
    }
}

impl Drop for Vmlinux {
    fn drop(&mut self) {
        if let Content::Mapped(start, bytes) = &self.0 {
            // SAFETY: mapped by `open` with this length, and no reference outlives `self`.
            unsafe { libc::munmap(start.cast_mut().cast(), *bytes) };
        }
    }
}

/// Type information, as read from [`VMLINUX`].
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
}

impl<'a> Btf<'a> {
    /// Finds the two sections; `None` if this is not BTF of this machine's byte order.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        if word(bytes, 0)? & 0xffff != MAGIC {
            return None;
        }
        let header_bytes = word(bytes, 4)? as usize;
        if header_bytes < HEADER_BYTES {
            return None;
        }
        let section = |offset: usize, length: usize| {
            let start = header_bytes.checked_add(word(bytes, offset)? as usize)?;
            bytes.get(start..start.checked_add(word(bytes, length)? as usize)?)
        };
        Some(Self { types: section(8, 12)?, strings: section(16, 20)? })
    }

    /// The structure called `name`.
    pub fn structure(&self, name: &str) -> Option<Structure<'_>> {
        let wanted = self.string_offset(name)?;
        let (at, found) =
            self.types().find(|(_, found)| found.kind == KIND_STRUCT && found.name == wanted)?;
        self.members_at(at, &found)
    }

    /// The value of `enumerator` in the enumeration called `name`.
    pub fn enumerator(&self, name: &str, enumerator: &str) -> Option<u32> {
        let (wanted, enumerator) = (self.string_offset(name)?, self.string_offset(enumerator)?);
        let is_it = |(_, found): &(usize, Type)| found.kind == KIND_ENUM && found.name == wanted;
        let (at, found) = self.types().find(is_it)?;
        let start = at + TYPE_BYTES;
        let values = self.types.get(start..start + found.count * ENUMERATOR_BYTES)?;
        let has_name = |value: &&[u8]| word(value, 0) == Some(enumerator);
        word(values.chunks_exact(ENUMERATOR_BYTES).find(has_name)?, 4)
    }

    /// All types with their places; the first has id 1.
    fn types(&self) -> impl Iterator<Item = (usize, Type)> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let found = self.type_at(at)?;
            let here = at;
            at += TYPE_BYTES + found.tail_bytes()?;
            Some((here, found))
        })
    }

    fn members_at(&self, at: usize, found: &Type) -> Option<Structure<'_>> {
        let start = at + TYPE_BYTES;
        let members = self.types.get(start..start + found.count * MEMBER_BYTES)?;
        Some(Structure { btf: self, members, bytes: found.size as usize })
    }

    fn type_at(&self, at: usize) -> Option<Type> {
        let entry = self.types.get(at..at.checked_add(TYPE_BYTES)?)?;
        let info = word(entry, 4)?;
        Some(Type {
            name: word(entry, 0)?,
            kind: info >> 24 & 0x1f,
            count: (info & 0xffff) as usize,
            size: word(entry, 8)?,
        })
    }

    /// Where `name` stands as a whole string. Names are stored once each.
    fn string_offset(&self, name: &str) -> Option<u32> {
        let mut wanted = Vec::with_capacity(name.len() + 2);
        wanted.push(0);
        wanted.extend_from_slice(name.as_bytes());
        wanted.push(0);
        let at = memchr::memmem::find(self.strings, &wanted)?;
        u32::try_from(at + 1).ok()
    }
}

struct Type {
    name: u32,
    kind: u32,
    count: usize,
    size: u32,
}

impl Type {
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
    members: &'a [u8],
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
            let stored = self.btf.strings.get(word(member, 0)? as usize..)?;
            if stored.first() == Some(&0) {
                let nameless = self.nameless(word(member, 4)?)?;
                return Some(offset + nameless.offset_within(name, deepest.checked_sub(1)?)?);
            }
            let is_it = stored.strip_prefix(name.as_bytes())?.first() == Some(&0);
            is_it.then_some(offset)
        })
    }

    /// The union or structure that a nameless member is.
    fn nameless(&self, type_id: u32) -> Option<Structure<'_>> {
        let (at, found) = self.btf.types().nth(type_id.checked_sub(1)? as usize)?;
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
