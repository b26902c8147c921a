//! The ELF note by which a program recognises an image that reads our pages.
//!
//! A client that finds it may read the pages itself, inlined into its own code, instead of calling
//! the image. Only an image of the `own` source carries it: there the page is all that a read of a
//! fine clock needs. The note is written by `vdso-image`, read by `vdso-client`, and stands in
//! `docs/DATAPAGE.md`.

use crate::architecture::{Architecture, ByteOrder};
use crate::{PAGE_BYTES, own, process};

/// The note's owner, as it stands in the file.
pub const OWNER: &str = "vdso";
/// The note's type.
pub const TYPE: u32 = 1;

/// Offset of the page of clocks from the image's ELF header; the image is at most this long.
pub const OWN_PAGE: usize = match Architecture::CURRENT {
    Some(architecture) => architecture.own_page(),
    None => PAGE_BYTES,
};
/// Offset of the process page from the image's ELF header.
pub const PROCESS_PAGE: usize = match Architecture::CURRENT {
    Some(architecture) => architecture.process_page(),
    None => 2 * PAGE_BYTES,
};

/// What the note says: four words of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    /// [`own::VERSION`] of the page of clocks.
    pub own_version: u32,
    /// Where that page is, bytes from the image's ELF header.
    pub own_offset: u32,
    /// [`process::VERSION`] of the process page.
    pub process_version: u32,
    /// Where that page is, bytes from the image's ELF header.
    pub process_offset: u32,
}

impl Pages {
    /// Bytes of the note's description.
    pub const BYTES: usize = 16;

    /// What this version of the crate knows how to read, and where an image of it looks.
    pub const CURRENT: Self = Self {
        own_version: own::VERSION,
        own_offset: OWN_PAGE as u32,
        process_version: process::VERSION,
        process_offset: PROCESS_PAGE as u32,
    };

    /// The same in an image for `architecture`.
    pub const fn on(architecture: &Architecture) -> Self {
        Self {
            own_offset: architecture.own_page() as u32,
            process_offset: architecture.process_page() as u32,
            ..Self::CURRENT
        }
    }

    /// Reads a note's description; `None` if it is not of this form. In the machine's byte order, as
    /// the pages themselves are.
    pub fn read(description: &[u8]) -> Option<Self> {
        let native = if cfg!(target_endian = "big") { ByteOrder::Big } else { ByteOrder::Little };
        Self::read_in(native, description)
    }

    /// The same in this byte order, for an image of another machine's.
    pub fn read_in(byte_order: ByteOrder, description: &[u8]) -> Option<Self> {
        let description: &[u8; Self::BYTES] = description.try_into().ok()?;
        let word = |index: usize| {
            let bytes = [0, 1, 2, 3].map(|byte| description[4 * index + byte]);
            match byte_order {
                ByteOrder::Little => u32::from_le_bytes(bytes),
                ByteOrder::Big => u32::from_be_bytes(bytes),
            }
        };
        Some(Self {
            own_version: word(0),
            own_offset: word(1),
            process_version: word(2),
            process_offset: word(3),
        })
    }
}
