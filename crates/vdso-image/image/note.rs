//! The ELF notes.
//!
//! "Linux" of type 0: the kernel version that the image promises to a C library. Older glibc refuses
//! to start where it finds too old a version here. The number below is that of the kernel whose vDSO
//! this image's first functions mirror; before the image is mapped it is replaced by the running
//! kernel's (`tailor` in the crate).
//!
//! "vdso" of type 1, in the image of the `own` source: which pages it reads, and where they are, so
//! that a client can read them without calling the image (`vdso_data::note`). Not in one that counts its calls.

use core::arch::global_asm;

#[cfg(all(source = "own", not(counts)))]
use vdso_data::note::{Pages, TYPE};

/// `LINUX_VERSION_CODE` of Linux 5.9, the first with the unified `lib/vdso`.
const VERSION_CODE: u32 = 5 << 16 | 9 << 8;

global_asm!(
    ".pushsection .note.linux,\"a\",%note",
    ".p2align 2",
    ".long 6",
    ".long 4",
    ".long 0",
    ".asciz \"Linux\"",
    ".p2align 2",
    ".long {version}",
    ".popsection",
    version = const VERSION_CODE,
);

#[cfg(all(source = "own", not(counts)))]
global_asm!(
    ".pushsection .note.vdso,\"a\",%note",
    ".p2align 2",
    ".long 5",
    ".long {bytes}",
    ".long {type}",
    // `vdso_data::note::OWNER`.
    ".asciz \"vdso\"",
    ".p2align 2",
    ".long {own_version}",
    ".long {own_offset}",
    ".long {process_version}",
    ".long {process_offset}",
    ".popsection",
    bytes = const Pages::BYTES,
    type = const TYPE,
    own_version = const Pages::CURRENT.own_version,
    own_offset = const Pages::CURRENT.own_offset,
    process_version = const Pages::CURRENT.process_version,
    process_offset = const Pages::CURRENT.process_offset,
);
