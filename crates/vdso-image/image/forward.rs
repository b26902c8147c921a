//! Functions of the kernel's vDSO that this image only passes on, so that a program still finds
//! them: a jump through the process page, with every register as the caller left it.
//!
//! One that the running kernel lacks is taken out of the symbol table before the image is mapped
//! (`Image::tailored` in the crate), so a program finds just what it would have found.

use core::mem::offset_of;

use vdso_data::process::{Functions, ProcessPage};

/// Byte offset within the process page of the address of forwarder `index`.
pub const fn slot(index: usize) -> usize {
    offset_of!(ProcessPage, functions) + offset_of!(Functions, forwarded) + index * size_of::<u64>()
}
