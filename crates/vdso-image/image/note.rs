//! The ELF note "Linux" of type 0: the kernel version that the image promises to a C library.
//!
//! Older glibc refuses to start where it finds too old a version here. The number below is that of
//! the kernel whose vDSO this image's first functions mirror; before the image is mapped it is
//! replaced by the running kernel's (`Image::tailored` in the crate).

use core::arch::global_asm;

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
