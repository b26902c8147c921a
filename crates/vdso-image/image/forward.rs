//! Functions of the kernel's vDSO that this image passes on, so that a program still finds
//! them: a jump through the process page, with every register as the caller left it.
//!
//! One that the running kernel lacks is taken out of the symbol table before the image is mapped
//! (`tailor` in the crate), so a program finds just what it would have found.

use core::mem::offset_of;

use vdso_data::architecture::Architecture;
use vdso_data::process::{FORWARDED, Functions, ProcessPage};

/// Byte offset within the process page of the address of the kernel's function `name`: of the half that
/// matters to a jump.
pub const fn slot(name: &str) -> usize {
    offset_of!(ProcessPage, functions) + offset_of!(Functions, forwarded) + index(name) * size_of::<u64>()
}

/// Which of the forwarded functions it is.
pub const fn index(name: &str) -> usize {
    let Some(architecture) = Architecture::CURRENT else { panic!("the table lacks this architecture") };
    let Some(index) = architecture.slot(name) else { panic!("the table does not pass it on") };
    assert!(index < FORWARDED);
    index
}
