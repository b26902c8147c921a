//! Notes.

use crate::writer::Writer;

/// A note with its header, aligned at its end; gives where its description begins.
pub(crate) fn write(writer: &mut Writer, owner: &str, kind: u32, description: &[u8]) -> usize {
    writer.u32(owner.len() as u32 + 1);
    writer.u32(description.len() as u32);
    writer.u32(kind);
    writer.bytes.extend(owner.as_bytes());
    writer.u8(0);
    let description_at = writer.align(4);
    writer.bytes.extend(description);
    writer.align(4);
    description_at
}
