//! The kernel's image, as far as its functions are called.

use vdso_elf::abi::Machine;
use vdso_elf::{ByteOrder, Class, Image};

/// Why functions of the kernel's image are not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// It is no image.
    #[error("{0}")]
    Unreadable(vdso_elf::Error),
    /// It is for programs with another width of addresses.
    #[error("it is an image of class {0:?}")]
    OtherClass(Class),
    /// It is for the other kind of machine.
    #[error("it is an image of byte order {0:?}")]
    OtherByteOrder(ByteOrder),
    /// It is for another architecture.
    #[error("it is an image for another machine (e_machine {})", .0.0)]
    OtherMachine(Machine),
}

/// The image, if this process can call it.
pub fn callable(bytes: &[u8]) -> Result<Image<'_>, ImageError> {
    let image = Image::parse(bytes).map_err(ImageError::Unreadable)?;
    if image.class() != CLASS {
        return Err(ImageError::OtherClass(image.class()));
    }
    if image.byte_order() != BYTE_ORDER {
        return Err(ImageError::OtherByteOrder(image.byte_order()));
    }
    if MACHINE.is_some_and(|machine| image.machine() != machine) {
        return Err(ImageError::OtherMachine(image.machine()));
    }
    Ok(image)
}

const CLASS: Class = if cfg!(target_pointer_width = "64") { Class::Elf64 } else { Class::Elf32 };
const BYTE_ORDER: ByteOrder =
    if cfg!(target_endian = "little") { ByteOrder::Little } else { ByteOrder::Big };
const MACHINE: Option<Machine> = if cfg!(target_arch = "x86_64") {
    Some(Machine::X86_64)
} else if cfg!(target_arch = "aarch64") {
    Some(Machine::AARCH64)
} else {
    None
};
