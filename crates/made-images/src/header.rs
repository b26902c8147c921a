//! The ELF header and the program headers.

use crate::writer::{ByteOrder, Class, Extent, Writer};

/// Where the program headers are, directly behind the ELF header.
pub(crate) fn program_headers_at(writer: &Writer) -> usize {
    writer.class.pick(52, 64)
}

/// Size of one of them.
pub(crate) fn program_header_bytes(writer: &Writer) -> usize {
    writer.class.pick(32, 56)
}

/// What the ELF header says.
pub(crate) struct Header {
    /// `e_type`.
    pub kind: u16,
    pub machine: u16,
    pub entry_vaddr: u64,
    pub segment_count: usize,
    /// Where the section headers are, how many there are, and which has their names.
    pub sections_at: usize,
    pub section_count: usize,
}

pub(crate) fn header(writer: &mut Writer, header: &Header) {
    writer.bytes.extend(b"\x7fELF");
    writer.u8(writer.class.pick(1, 2));
    writer.u8(match writer.byte_order {
        ByteOrder::Little => 1,
        ByteOrder::Big => 2,
    });
    writer.u8(1);
    writer.align(16);
    writer.u16(header.kind);
    writer.u16(header.machine);
    writer.u32(1);
    writer.address(header.entry_vaddr);
    writer.address(program_headers_at(writer) as u64);
    writer.address(header.sections_at as u64);
    writer.u32(0);
    writer.u16(writer.class.pick(52, 64));
    writer.u16(program_header_bytes(writer) as u16);
    writer.u16(header.segment_count as u16);
    writer.u16(writer.class.pick(40, 64));
    writer.u16(header.section_count as u16);
    writer.u16(header.section_count.saturating_sub(1) as u16);
}

/// `kind` is `p_type`, `flags` is `p_flags`.
pub(crate) fn program_header(
    writer: &mut Writer,
    kind: u32,
    flags: u32,
    extent: Extent,
    vaddr: u64,
) {
    writer.u32(kind);
    if writer.class.pick(false, true) {
        writer.u32(flags);
    }
    writer.address(extent.at as u64);
    writer.address(vaddr);
    writer.address(vaddr);
    writer.address(extent.bytes as u64);
    writer.address(extent.bytes as u64);
    if writer.class.pick(true, false) {
        writer.u32(flags);
    }
    writer.address(4);
}

/// `p_filesz` of the program header at an offset into the file.
pub(crate) fn file_bytes_of_segment(class: Class, at: usize) -> Extent {
    Extent { at: at + class.pick(16, 32), bytes: class.pick(4, 8) }
}
