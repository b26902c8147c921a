//! The ELF header and the program headers, which say what is mapped where.
//!
//! Source: gABI, chapters "ELF Header" and "Program Header".

use vdso_arch::Class;

use crate::abi::Machine;
use crate::error::Error;
use crate::reader::{Format, Reader, Stated, byte_order_of, class_of, element};

const MAGIC: &[u8] = b"\x7fELF";
/// Offsets into `e_ident`.
const EI_CLASS: usize = 4;
const EI_DATA: usize = 5;
const EI_VERSION: usize = 6;
/// Size of `e_ident`.
const EI_NIDENT: usize = 16;
/// `EI_VERSION` of every file.
const EV_CURRENT: u8 = 1;
/// `e_type` of a shared object.
const ET_DYN: u16 = 3;

/// What the ELF header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header<'a> {
    pub machine: Machine,
    pub entry_vaddr: u64,
    pub segments: Segments<'a>,
    pub section_headers_offset: u64,
    pub section_header_bytes: u16,
    pub section_count: u16,
}

/// A reader of the file, in the format that its `e_ident` states.
#[inline(always)]
pub(crate) fn identify(bytes: &[u8]) -> Result<Reader<'_>, Error> {
    if !bytes.starts_with(MAGIC) {
        return Err(Error::NotElf);
    }
    let ident = |at: usize| bytes.get(at).copied().ok_or(Error::HeaderTruncated);
    let class = class_of(ident(EI_CLASS)?)?;
    let byte_order = byte_order_of(ident(EI_DATA)?)?;
    let version = ident(EI_VERSION)?;
    if version != EV_CURRENT {
        return Err(Error::UnknownElfVersion(version));
    }
    Ok(Reader { bytes, format: Stated { class, byte_order } })
}

impl<'a> Header<'a> {
    #[inline(always)]
    pub fn read(reader: Reader<'a, impl Format>) -> Result<Self, Error> {
        let raw = RawHeader::read(reader).ok_or(Error::HeaderTruncated)?;
        if raw.kind != ET_DYN {
            return Err(Error::NotSharedObject { kind: raw.kind });
        }
        Ok(Self {
            machine: Machine(raw.machine),
            entry_vaddr: raw.entry,
            segments: raw.segments(reader)?,
            section_headers_offset: raw.section_headers,
            section_header_bytes: raw.section_header_bytes,
            section_count: raw.section_count,
        })
    }
}

/// `Elf32_Ehdr` and `Elf64_Ehdr`, less what nobody here asks for.
struct RawHeader {
    kind: u16,
    machine: u16,
    entry: u64,
    program_headers: u64,
    section_headers: u64,
    program_header_bytes: u16,
    program_header_count: u16,
    section_header_bytes: u16,
    section_count: u16,
}

impl RawHeader {
    #[inline(always)]
    fn read(reader: Reader<'_, impl Format>) -> Option<Self> {
        let mut fields = reader.record(EI_NIDENT, header_bytes(reader.class()) - EI_NIDENT)?;
        let kind = fields.u16()?;
        let machine = fields.u16()?;
        let _version = fields.u32()?;
        let entry = fields.address()?;
        let program_headers = fields.address()?;
        let section_headers = fields.address()?;
        let _flags = fields.u32()?;
        let _header_bytes = fields.u16()?;
        let program_header_bytes = fields.u16()?;
        let program_header_count = fields.u16()?;
        let section_header_bytes = fields.u16()?;
        let section_count = fields.u16()?;
        let _section_names = fields.u16()?;
        Some(Self {
            kind,
            machine,
            entry,
            program_headers,
            section_headers,
            program_header_bytes,
            program_header_count,
            section_header_bytes,
            section_count,
        })
    }

    /// The program headers, all of which are inside the file.
    #[inline(always)]
    fn segments<'a>(&self, reader: Reader<'a, impl Format>) -> Result<Segments<'a>, Error> {
        let bytes = program_header_bytes(reader.class());
        if usize::from(self.program_header_bytes) != bytes {
            return Err(Error::ProgramHeaderSize { bytes: self.program_header_bytes });
        }
        let at = usize::try_from(self.program_headers).ok();
        at.and_then(|at| reader.slice(at, bytes * usize::from(self.program_header_count)))
            .zip(at)
            .map(|(_, at)| {
                let (reader, count) = (reader.stated(), self.program_header_count);
                Segments { reader, at, next: 0, count }
            })
            .ok_or(Error::ProgramHeadersTruncated)
    }
}

/// Size of `Elf32_Ehdr` and `Elf64_Ehdr`.
const fn header_bytes(class: Class) -> usize {
    match class {
        Class::Elf32 => 52,
        Class::Elf64 => 64,
    }
}

/// Size of `Elf32_Phdr` and `Elf64_Phdr`.
const fn program_header_bytes(class: Class) -> usize {
    match class {
        Class::Elf32 => 32,
        Class::Elf64 => 56,
    }
}

/// A program header: a part of the file, and what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// `p_type`, one of the `PT_…` of [`abi`](crate::abi) or another.
    pub kind: u32,
    /// `p_flags`, of the `PF_…` of [`abi`](crate::abi).
    pub flags: u32,
    /// `p_offset`: where the segment begins in the file.
    pub file_offset: u64,
    /// `p_vaddr`: where it begins in the image's own address space.
    pub vaddr: u64,
    /// `p_filesz`: how many bytes of the file are in the segment.
    pub file_bytes: u64,
    /// `p_memsz`: how many bytes of memory the segment takes.
    pub memory_bytes: u64,
    /// `p_align`: addresses and places in the file that differ by a multiple of it belong together.
    pub align: u64,
}

impl Segment {
    #[inline(always)]
    fn read(reader: Reader<'_, impl Format>, at: usize) -> Option<Self> {
        let mut fields = reader.record(at, program_header_bytes(reader.class()))?;
        let kind = fields.u32()?;
        // The 64-bit record has the flags here, so that what follows is aligned.
        let early_flags = match reader.class() {
            Class::Elf32 => None,
            Class::Elf64 => Some(fields.u32()?),
        };
        let file_offset = fields.address()?;
        let vaddr = fields.address()?;
        let _physical_address = fields.address()?;
        let file_bytes = fields.address()?;
        let memory_bytes = fields.address()?;
        let flags = match early_flags {
            Some(flags) => flags,
            None => fields.u32()?,
        };
        let align = fields.address()?;
        Some(Self { kind, flags, file_offset, vaddr, file_bytes, memory_bytes, align })
    }

    /// The segment's bytes and where they begin, if the file has all of them.
    #[inline(always)]
    pub(crate) fn content<'a>(&self, reader: Reader<'a, impl Format>) -> Option<(usize, &'a [u8])> {
        let at = usize::try_from(self.file_offset).ok()?;
        let length = usize::try_from(self.file_bytes).ok()?;
        Some((at, reader.slice(at, length)?))
    }
}

/// The program headers in their order; from [`Image::segments`](crate::Image::segments).
#[derive(Clone, Copy, Debug)]
pub struct Segments<'a> {
    reader: Reader<'a>,
    at: usize,
    next: u16,
    count: u16,
}

impl Segments<'_> {
    /// The first segment of this kind, by a reader of the same file.
    #[inline(always)]
    pub(crate) fn first(self, reader: Reader<'_, impl Format>, kind: u32) -> Option<Segment> {
        let bytes = program_header_bytes(reader.class());
        let places = (0..self.count).filter_map(|index| element(self.at, u32::from(index), bytes));
        let mut places = places.filter(|&at| reader.u32(at) == Some(kind));
        Segment::read(reader, places.next()?)
    }
}

impl Iterator for Segments<'_> {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        if self.next >= self.count {
            return None;
        }
        let bytes = program_header_bytes(self.reader.class());
        let at = element(self.at, u32::from(self.next), bytes)?;
        self.next += 1;
        Segment::read(self.reader, at)
    }
}
