//! Core files: what is left of a process that had an image.

use crate::header::{self, Header};
use crate::made::Made;
use crate::notes;
use crate::writer::{ByteOrder, Extent, Writer};

/// `e_type`. Source: the System V gABI.
const ET_CORE: u16 = 4;
/// `p_type`.
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
/// `p_flags`.
const READ_AND_EXECUTE: u32 = 5;
/// The note that has the auxiliary vector. Source: `include/uapi/linux/elf.h` (Linux 6.18).
const NT_AUXV: u32 = 6;
/// Its keys. Source: `include/uapi/linux/auxvec.h` (Linux 6.18).
const AT_NULL: u64 = 0;
const AT_PAGESZ: u64 = 6;
const AT_SYSINFO_EHDR: u64 = 33;
/// Bytes in a page.
const PAGE_BYTES: usize = 4096;

/// The core file of a process.
#[derive(Clone, Debug)]
pub struct Core {
    /// The file.
    pub bytes: Vec<u8>,
    /// The key `AT_SYSINFO_EHDR` in the auxiliary vector; the image's address follows it.
    pub image_key: Extent,
    /// `p_filesz` of the mapping that has the image.
    pub mapping_bytes: Extent,
    /// The mapping: a page of something else, then the image.
    pub mapping: Extent,
    /// The image.
    pub image: Extent,
    byte_order: ByteOrder,
}

impl Made {
    /// The core file of a process that had this image at an address.
    pub fn core(&self, addr: u64) -> Core {
        let (class, byte_order) = (self.recipe.class, self.recipe.byte_order);
        let mut notes = Writer::new(class, byte_order);
        let auxv_at = notes::write(&mut notes, "CORE", NT_AUXV, &self.auxiliary_vector(addr));
        let mut writer = Writer::new(class, byte_order);
        let segment_count = 2;
        let segment_bytes = header::program_header_bytes(&writer);
        let segments_at = header::program_headers_at(&writer);
        let notes_at = segments_at + segment_count * segment_bytes;
        let notes_extent = Extent { at: notes_at, bytes: notes.bytes.len() };
        let mapping = Extent { at: PAGE_BYTES, bytes: PAGE_BYTES + self.bytes.len() };
        header::header(
            &mut writer,
            &Header {
                kind: ET_CORE,
                machine: self.recipe.machine,
                entry_vaddr: 0,
                segment_count,
                sections_at: 0,
                section_count: 0,
            },
        );
        header::program_header(&mut writer, PT_NOTE, 0, notes_extent, 0);
        let mapping_addr = addr - PAGE_BYTES as u64;
        header::program_header(&mut writer, PT_LOAD, READ_AND_EXECUTE, mapping, mapping_addr);
        writer.bytes.extend(notes.bytes);
        writer.align(PAGE_BYTES);
        writer.bytes.extend([0; PAGE_BYTES]);
        let image = Extent { at: writer.bytes.len(), bytes: self.bytes.len() };
        writer.bytes.extend(&self.bytes);
        let word_bytes = self.word_bytes();
        Core {
            bytes: writer.bytes,
            image_key: Extent { at: notes_at + auxv_at + 2 * word_bytes, bytes: word_bytes },
            mapping_bytes: header::file_bytes_of_segment(class, segments_at + segment_bytes),
            mapping,
            image,
            byte_order,
        }
    }

    /// The image's address behind another entry.
    fn auxiliary_vector(&self, addr: u64) -> Vec<u8> {
        let mut writer = Writer::new(self.recipe.class, self.recipe.byte_order);
        for word in [AT_PAGESZ, PAGE_BYTES as u64, AT_SYSINFO_EHDR, addr, AT_NULL, 0] {
            writer.address(word);
        }
        writer.bytes
    }
}

impl Core {
    /// Writes a number over a field, in the file's byte order.
    pub fn put(&mut self, field: Extent, value: u64) {
        self.byte_order.put(&mut self.bytes, field, value);
    }
}
