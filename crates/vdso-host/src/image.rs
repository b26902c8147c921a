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
    if image.class() != Class::CURRENT {
        return Err(ImageError::OtherClass(image.class()));
    }
    if image.byte_order() != ByteOrder::CURRENT {
        return Err(ImageError::OtherByteOrder(image.byte_order()));
    }
    if Machine::CURRENT.is_some_and(|machine| image.machine() != machine) {
        return Err(ImageError::OtherMachine(image.machine()));
    }
    Ok(image)
}

#[cfg(all(test, target_pointer_width = "64", target_endian = "little"))]
mod tests {
    use made_images::{Recipe, make};

    use super::*;
    use crate::{Host, PageError};

    type Made = (made_images::Class, made_images::ByteOrder);

    const NATIVE: Made = (made_images::Class::Elf64, made_images::ByteOrder::Little);

    fn host((class, byte_order): Made, machine: u16) -> Host {
        let recipe = Recipe { machine, ..Recipe::new(class, byte_order) };
        let image = make(&recipe).bytes;
        Host { vdso_addr: 0x1000, image, page: Err(PageError::NoVvar), ..Host::without_vdso() }
    }

    fn machine() -> u16 {
        Machine::CURRENT.expect("tests run where there is an image").0
    }

    fn has_functions(host: &Host) -> bool {
        host.function("__vdso_clock_gettime").is_some()
    }

    #[test]
    fn an_image_of_this_process_s_kind_is_called() {
        let host = host(NATIVE, machine());
        assert_eq!(host.image_error(), None);
        assert!(has_functions(&host));
    }

    /// They are well made, so all that is wrong with them is their kind.
    #[test]
    fn an_image_of_another_kind_is_not_called() {
        use made_images::{ByteOrder as Order, Class as Width};
        for (kind, machine, expected) in [
            ((Width::Elf32, Order::Little), machine(), "it is an image of class Elf32"),
            ((Width::Elf32, Order::Big), machine(), "it is an image of class Elf32"),
            ((Width::Elf64, Order::Big), machine(), "it is an image of byte order Big"),
            (NATIVE, 22, "it is an image for another machine (e_machine 22)"),
        ] {
            let host = host(kind, machine);
            let error = host.image_error().expect(expected);
            assert_eq!(error.to_string(), expected);
            assert!(!has_functions(&host), "{expected}");
        }
    }

    #[test]
    fn what_is_no_image_is_not_called() {
        let mut host = host(NATIVE, machine());
        host.image[0] = 0;
        assert!(matches!(host.image_error(), Some(ImageError::Unreadable(_))));
        assert!(!has_functions(&host));
    }
}
