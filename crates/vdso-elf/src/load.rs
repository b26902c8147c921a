//! The part of the bytes that is mapped, and where the image's addresses are in it.

use crate::header::Segment;
use crate::reader::{Format, Reader};

/// The first `PT_LOAD`, and what is there of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// What its program header says.
    pub segment: Segment,
    /// Where it begins in the bytes.
    at: usize,
    /// How many of its bytes there are.
    bytes: usize,
}

impl Load {
    #[inline(always)]
    pub fn new(reader: Reader<'_, impl Format>, segment: Segment) -> Self {
        // Of a segment that begins behind the end of the bytes, none is there.
        let at = usize::try_from(segment.file_offset).unwrap_or(usize::MAX);
        let there = reader.bytes.len().saturating_sub(at);
        let wanted = usize::try_from(segment.file_bytes).unwrap_or(usize::MAX);
        Self { segment, at, bytes: there.min(wanted) }
    }

    /// How many of the segment's bytes there are.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The offset into the bytes of an address of the image's, if it has one.
    #[inline(always)]
    pub fn offset(&self, vaddr: u64) -> Option<usize> {
        let inside = usize::try_from(vaddr.checked_sub(self.segment.vaddr)?).ok()?;
        (inside < self.bytes).then(|| self.at + inside)
    }

    /// The same, if what is there has this many bytes.
    #[inline(always)]
    pub fn offset_of(&self, vaddr: u64, bytes: u64) -> Option<usize> {
        let at = self.offset(vaddr)?;
        let rest = self.bytes - (at - self.at);
        (bytes <= rest as u64).then_some(at)
    }
}
