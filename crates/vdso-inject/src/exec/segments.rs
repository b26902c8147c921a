//! The segments of a program and its interpreter, from their own program headers in memory: what
//! `/proc` would tell, too, at a multiple of the cost.

use super::memory::{Memory, Protection};
use super::stack::InitialStack;
use crate::arch::Word;
use crate::error::Result;

/// Larger than an ELF header of either class.
const ELF_HEADER_BYTES: usize = 64;
/// No program has more; a table that says so is not looked at.
const MAX_ENTRIES: usize = 64;

const PT_LOAD: u32 = 1;
const PT_PHDR: u32 = 6;
const PF_X: u32 = 1;
const PF_W: u32 = 2;

/// A program header, as far as it is of interest.
#[derive(Clone, Copy, Debug)]
struct Segment {
    kind: u32,
    flags: u32,
    vaddr: u64,
    file_bytes: u64,
    memory_bytes: u64,
}

/// A table of them, and how far from their own addresses they are in memory.
#[derive(Clone, Debug)]
pub struct Segments {
    entries: Vec<Segment>,
    bias: u64,
}

/// Where code and data are, as `struct mm_struct` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extents {
    /// The address of the first byte of code.
    pub start_code: u64,
    /// The address behind the last byte of code.
    pub end_code: u64,
    /// First byte of the last segment.
    pub start_data: u64,
    /// Behind the last byte that comes from the file.
    pub end_data: u64,
}

impl Segments {
    /// Those of the program; `None` if where they are cannot be told.
    pub fn of_program(memory: &Memory, stack: &InitialStack) -> Result<Option<Self>> {
        let Some(count) = usize::try_from(stack.segments).ok().filter(|&n| n <= MAX_ENTRIES) else {
            return Ok(None);
        };
        // A program need not have loaded its headers.
        let Ok(entries) = read(memory, stack.word, stack.segments_addr, count) else {
            return Ok(None);
        };
        let table = entries.iter().find(|segment| segment.kind == PT_PHDR);
        let bias = table.map_or(0, |table| stack.segments_addr.wrapping_sub(table.vaddr));
        let segments = Self { entries, bias };
        // A program without a table of its table is linked to where it is; if it is not, this shows.
        Ok(segments.loaded(stack.entry_addr).is_some().then_some(segments))
    }

    /// Those of an ELF file whose header is in memory at `addr`; `None` as above.
    pub fn of_file(memory: &Memory, word: Word, addr: u64) -> Result<Option<Self>> {
        // `e_phoff` and `e_phnum`.
        let (table_offset, table_entries) = match word {
            Word::Bits32 => (28, 44),
            Word::Bits64 => (32, 56),
        };
        let mut header = [0; ELF_HEADER_BYTES];
        memory.read(addr, &mut header)?;
        let offset = word_at(word, &header, table_offset);
        let count = usize::from(u16::from_ne_bytes(array(&header, table_entries)));
        if count > MAX_ENTRIES || offset > vdso_data::PAGE_BYTES as u64 {
            return Ok(None);
        }
        let entries = read(memory, word, addr + offset, count)?;
        let first = entries.iter().find(|segment| segment.kind == PT_LOAD);
        Ok(first
            .map(|first| first.vaddr & !(vdso_data::PAGE_BYTES as u64 - 1))
            .map(|first| Self { entries: entries.clone(), bias: addr.wrapping_sub(first) }))
    }

    /// Where an ELF file whose header is in memory at `addr` starts. Loaders are linked to zero.
    pub fn entry_of_file(memory: &Memory, word: Word, addr: u64) -> Result<u64> {
        /// `e_entry`.
        const ENTRY_AT: usize = 24;
        let mut header = [0; ELF_HEADER_BYTES];
        memory.read(addr, &mut header)?;
        Ok(addr.wrapping_add(word_at(word, &header, ENTRY_AT)))
    }

    /// The protection of the page at `addr`, if it is in one of them.
    pub fn protection(&self, addr: u64) -> Option<Protection> {
        let is_writable = self.loaded(addr)?.flags & PF_W != 0;
        Some(if is_writable { Protection::Writable } else { Protection::ReadOnly })
    }

    /// Room for `bytes` behind the code in one of them, at the end of its last page: the kernel maps whole
    /// pages, and what comes behind a segment belongs to nobody.
    pub fn room_behind_code(&self, bytes: u64, page_bytes: u64) -> Option<u64> {
        const ALIGNMENT: u64 = 16;
        let is_code = |segment: &&Segment| {
            segment.kind == PT_LOAD
                && segment.flags & (PF_X | PF_W) == PF_X
                && segment.file_bytes == segment.memory_bytes
                && segment.file_bytes != 0
        };
        self.entries.iter().filter(is_code).find_map(|code| {
            let end = code.vaddr.wrapping_add(self.bias).checked_add(code.file_bytes)?;
            let page_end = end.checked_next_multiple_of(page_bytes)?;
            let addr = (page_end - bytes) & !(ALIGNMENT - 1);
            let page = page_end - page_bytes;
            (addr >= end && addr >= page && self.is_alone_on(page, page_bytes)).then_some(addr)
        })
    }

    /// Whether no more than one segment has part of a page.
    fn is_alone_on(&self, page: u64, page_bytes: u64) -> bool {
        let has_part = |segment: &&Segment| {
            let start = segment.vaddr.wrapping_add(self.bias);
            let end = start.saturating_add(segment.memory_bytes);
            segment.kind == PT_LOAD && start < page.saturating_add(page_bytes) && end > page
        };
        self.entries.iter().filter(has_part).count() == 1
    }

    /// As `load_elf_binary` computes them in `fs/binfmt_elf.c` (Linux 6.18).
    pub fn extents(&self) -> Extents {
        let mut extents = Extents { start_code: u64::MAX, end_code: 0, start_data: 0, end_data: 0 };
        for segment in self.entries.iter().filter(|segment| segment.kind == PT_LOAD) {
            let start = segment.vaddr.wrapping_add(self.bias);
            let end = start.wrapping_add(segment.file_bytes);
            if segment.flags & PF_X != 0 {
                extents.start_code = extents.start_code.min(start);
                extents.end_code = extents.end_code.max(end);
            }
            extents.start_data = extents.start_data.max(start);
            extents.end_data = extents.end_data.max(end);
        }
        extents
    }

    fn loaded(&self, addr: u64) -> Option<&Segment> {
        self.entries.iter().find(|segment| {
            let start = segment.vaddr.wrapping_add(self.bias);
            segment.kind == PT_LOAD && addr.wrapping_sub(start) < segment.memory_bytes
        })
    }
}

fn read(memory: &Memory, word: Word, addr: u64, count: usize) -> Result<Vec<Segment>> {
    let entry_bytes = match word {
        Word::Bits32 => 32,
        Word::Bits64 => 56,
    };
    let mut bytes = vec![0; count * entry_bytes];
    memory.read(addr, &mut bytes)?;
    Ok(bytes.chunks_exact(entry_bytes).map(|entry| segment(word, entry)).collect())
}

/// `Elf32_Phdr` or `Elf64_Phdr`: elf(5).
fn segment(word: Word, entry: &[u8]) -> Segment {
    let (flags, vaddr, file_bytes, memory_bytes) = match word {
        Word::Bits32 => (24, 8, 16, 20),
        Word::Bits64 => (4, 16, 32, 40),
    };
    Segment {
        kind: u32::from_ne_bytes(array(entry, 0)),
        flags: u32::from_ne_bytes(array(entry, flags)),
        vaddr: word_at(word, entry, vaddr),
        file_bytes: word_at(word, entry, file_bytes),
        memory_bytes: word_at(word, entry, memory_bytes),
    }
}

fn word_at(word: Word, record: &[u8], at: usize) -> u64 {
    match word {
        Word::Bits32 => u32::from_ne_bytes(array(record, at)).into(),
        Word::Bits64 => u64::from_ne_bytes(array(record, at)),
    }
}

/// The bytes at a fixed place of a fixed-size record.
fn array<const N: usize>(record: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|index| record.get(at + index).copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE_BYTES: u64 = 4096;

    fn loaded(flags: u32, vaddr: u64, file_bytes: u64, memory_bytes: u64) -> Segment {
        Segment { kind: PT_LOAD, flags, vaddr, file_bytes, memory_bytes }
    }

    fn room(entries: &[Segment], bytes: u64) -> Option<u64> {
        Segments { entries: entries.to_vec(), bias: 0x10_0000 }.room_behind_code(bytes, PAGE_BYTES)
    }

    #[test]
    fn room_is_at_the_end_of_the_last_page_of_code() {
        let code = loaded(PF_X, 0x1000, 0x1200, 0x1200);
        assert_eq!(room(&[loaded(0, 0, 0x800, 0x800), code], 0x1e0), Some(0x10_2e20));
        assert_eq!(room(&[code], 0xe00), Some(0x10_2200));
        assert_eq!(room(&[code], 0xe01), None);
    }

    #[test]
    fn full_pages_have_none() {
        assert_eq!(room(&[loaded(PF_X, 0x1000, 0x2000, 0x2000)], 1), None);
        assert_eq!(room(&[loaded(PF_X, 0x1000, 0, 0)], 1), None);
        assert_eq!(room(&[], 1), None);
    }

    #[test]
    fn the_next_segment_with_room_is_taken() {
        let full = loaded(PF_X, 0x1000, 0x1000, 0x1000);
        let other = loaded(PF_X, 0x3000, 0x10, 0x10);
        assert_eq!(room(&[full, other], 0x20), Some(0x10_3fe0));
    }

    #[test]
    fn what_somebody_uses_is_no_room() {
        let code = loaded(PF_X, 0x1000, 0x200, 0x200);
        // Data on the same page, before or behind; zeros that belong to the segment; code that changes.
        assert_eq!(room(&[code, loaded(PF_W, 0x1ff0, 0x800, 0x800)], 0x100), None);
        assert_eq!(room(&[loaded(0, 0x800, 0x801, 0x801), code], 0x100), None);
        assert_eq!(room(&[code, loaded(PF_W, 0x2000, 0x800, 0x800)], 0x100), Some(0x10_1f00));
        assert_eq!(room(&[loaded(PF_X, 0x1000, 0x200, 0x300)], 0x100), None);
        assert_eq!(room(&[loaded(PF_X | PF_W, 0x1000, 0x200, 0x200)], 0x100), None);
        assert_eq!(room(&[loaded(0, 0x1000, 0x200, 0x200)], 0x100), None);
    }
}
