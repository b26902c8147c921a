//! Notes: the build-id, and the kernel version that an image promises to a C library.
//!
//! Source: gABI, chapter "Note Section".

use crate::error::{Error, Table};
use crate::header::{Segment, Segments};
use crate::reader::Reader;

/// A note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note<'a> {
    /// Whose note it is, such as `GNU` or `Linux`; the owner decides what `kind` means.
    pub owner: &'a str,
    /// The note's type, which means what its owner says.
    pub kind: u32,
    /// The bytes of the note that are for its owner to understand.
    pub description: &'a [u8],
    /// Where in the file the description begins.
    pub description_offset: usize,
}

/// The notes of all `PT_NOTE` segments in their order; from [`Image::notes`](crate::Image::notes).
///
/// A segment ends after the first error in it.
#[derive(Clone, Copy, Debug)]
pub struct Notes<'a> {
    reader: Reader<'a>,
    segments: Segments<'a>,
    /// What is left of the current segment.
    rest: Rest,
    /// How many notes there can still be, as they do not overlap: segments may, thousands of times.
    left: usize,
}

/// The least that a note has: the three numbers that it begins with.
const HEADER_BYTES: usize = 12;

/// Where the next note of a segment begins, where the segment ends, and to what its notes are
/// aligned.
#[derive(Clone, Copy, Debug)]
struct Rest {
    at: usize,
    end: usize,
    align: usize,
}

impl Rest {
    /// The next aligned offset. The note begins at one, so its own offsets are what counts.
    fn aligned(&self, offset: usize) -> Option<usize> {
        offset.checked_sub(self.at)?.checked_next_multiple_of(self.align)?.checked_add(self.at)
    }
}

impl<'a> Notes<'a> {
    pub(crate) fn new(reader: Reader<'a>, segments: Segments<'a>) -> Self {
        let left = reader.bytes.len() / HEADER_BYTES;
        Self { reader, segments, rest: Rest { at: 0, end: 0, align: 4 }, left }
    }

    /// Goes on to the segment; an error says that the file does not have all of it.
    fn enter(&mut self, segment: &Segment) -> Result<(), Error> {
        let (at, content) =
            segment.content(self.reader).ok_or(Error::TableTruncated(Table::Notes))?;
        // Only segments that say so have notes aligned to 8, whatever the class: the gABI asks for
        // it in 64-bit files, nobody does it.
        let align = if segment.align == 8 { 8 } else { 4 };
        self.rest = Rest { at, end: at + content.len(), align };
        Ok(())
    }

    fn read(&mut self) -> Result<Note<'a>, Error> {
        let Some((raw, next)) = RawNote::read(self.reader, self.rest) else {
            self.rest.at = self.rest.end;
            return Err(Error::NoteTruncated);
        };
        self.rest.at = next;
        let mut owner = raw.owner;
        while let Some(shorter) = owner.strip_suffix(b"\0") {
            owner = shorter;
        }
        Ok(Note {
            owner: core::str::from_utf8(owner).map_err(|_| Error::NameNotText)?,
            kind: raw.kind,
            description: raw.description,
            description_offset: raw.description_offset,
        })
    }
}

impl<'a> Iterator for Notes<'a> {
    type Item = Result<Note<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.rest.at >= self.rest.end {
            let segment = self.segments.find(|segment| segment.kind == crate::abi::PT_NOTE)?;
            if let Err(error) = self.enter(&segment) {
                return Some(Err(error));
            }
        }
        self.left = self.left.checked_sub(1)?;
        Some(self.read())
    }
}

struct RawNote<'a> {
    owner: &'a [u8],
    kind: u32,
    description: &'a [u8],
    description_offset: usize,
}

impl<'a> RawNote<'a> {
    /// The note at the beginning of `rest`, and where the next one begins.
    fn read(reader: Reader<'a>, rest: Rest) -> Option<(Self, usize)> {
        let mut fields = reader.record(rest.at, HEADER_BYTES)?;
        let owner_bytes = usize::try_from(fields.u32()?).ok()?;
        let description_bytes = usize::try_from(fields.u32()?).ok()?;
        let kind = fields.u32()?;
        let owner_offset = rest.at.checked_add(HEADER_BYTES)?;
        let owner = reader.slice(owner_offset, owner_bytes)?;
        let description_offset = rest.aligned(owner_offset.checked_add(owner_bytes)?)?;
        let description = reader.slice(description_offset, description_bytes)?;
        let end = description_offset.checked_add(description_bytes)?;
        if end > rest.end {
            return None;
        }
        Some((Self { owner, kind, description, description_offset }, rest.aligned(end)?))
    }
}
