//! The vDSO of this process: where it is, and what is in it.
//!
//! This is for programs that want a function of their own. The calls of this crate need none of it:
//! they find their functions by themselves.

use core::fmt;
use core::ptr::NonNull;
use core::slice;

use vdso_elf::{Image, Symbols};

use crate::auxv::{self, Order};
use crate::own;
use crate::readable::is_readable;

/// The smallest page of any machine: what is mapped at all is mapped to this.
pub(crate) const PAGE_BYTES: usize = 4096;

/// More than any vDSO has, of what is at an address that is not known to be right.
const LONGEST_UNCHECKED_BYTES: usize = 1 << 20;

/// A vDSO image in memory. Holding one proves that the image is mapped, readable, for as long as
/// `'a`, and that its ELF header and dynamic table can be read.
#[derive(Clone, Copy, Debug)]
pub struct Vdso<'a> {
    image: Image<'a>,
}

/// Why there is no [`Vdso`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotFound {
    /// No way leads to the auxiliary vector.
    NoAuxiliaryVector,
    /// The auxiliary vector names none: the kernel has none, or a debugger has taken it away.
    NotInAuxiliaryVector,
    /// The auxiliary vector names an address where no image is. The kernel's copy of the vector does so
    /// where a debugger has taken the vDSO away.
    NotThere,
    /// There is one, and it cannot be read.
    Unreadable(vdso_elf::Error),
    /// The program has asked for none: [`without_vdso`](crate::without_vdso).
    TurnedOff,
}

impl fmt::Display for NotFound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAuxiliaryVector => {
                formatter.write_str("the auxiliary vector cannot be read in any of the ways asked")
            }
            Self::NotInAuxiliaryVector => {
                formatter.write_str("the auxiliary vector names no vDSO (vdso=0, or a debugger)")
            }
            Self::NotThere => {
                formatter.write_str("no vDSO is where the auxiliary vector says (a debugger)")
            }
            Self::Unreadable(error) => write!(formatter, "the vDSO cannot be read: {error}"),
            Self::TurnedOff => formatter.write_str("this program has turned the vDSO off"),
        }
    }
}

impl core::error::Error for NotFound {}

impl Vdso<'static> {
    /// The vDSO that the auxiliary vector names.
    ///
    /// An address that comes from the kernel's copy of the vector ([`Source::Prctl`](auxv::Source::Prctl),
    /// [`Source::ProcSelf`](auxv::Source::ProcSelf)) is read after the kernel has said that it can be.
    ///
    /// # Errors
    /// See [`NotFound`].
    #[inline]
    pub fn from_auxv(order: Order) -> Result<Self, NotFound> {
        let (source, address) = auxv::find(order).ok_or(NotFound::NoAuxiliaryVector)?;
        if address.is_null() {
            return Err(NotFound::NotInAuxiliaryVector);
        }
        if address.addr() % PAGE_BYTES != 0 {
            return Err(NotFound::NotThere);
        }
        if source.may_be_stale() {
            look_at(address)?;
        }
        // SAFETY: the kernel, or whoever changed the vector, promises an image there, or it has been looked
        // at; the kernel never takes it away.
        unsafe { Self::from_ptr(address) }.map_err(NotFound::Unreadable)
    }
}

/// Has the kernel say whether there is memory for all that will be read of an image.
#[cold]
fn look_at(address: *const u8) -> Result<(), NotFound> {
    if !is_readable(address, PAGE_BYTES) {
        return Err(NotFound::NotThere);
    }
    // SAFETY: the kernel has just said so. Whoever maps or unmaps memory of the program that is not its own
    // breaks a promise of its own.
    let bytes = unsafe { extent(address) }.map_err(NotFound::Unreadable)?;
    if bytes > LONGEST_UNCHECKED_BYTES || !is_readable(address, bytes) {
        return Err(NotFound::NotThere);
    }
    // SAFETY: the kernel has said so, and as above.
    let vdso = unsafe { Vdso::from_ptr(address) }.map_err(NotFound::Unreadable)?;
    match own::named_bytes(&vdso) {
        Some(bytes) if !is_readable(address, bytes) => Err(NotFound::NotThere),
        _ => Ok(()),
    }
}

/// The length of the image at `address`, by its own word, to the end of the last page: section headers are
/// there.
///
/// # Safety
/// `address` must be that of a readable page.
#[inline]
unsafe fn extent(address: *const u8) -> Result<usize, vdso_elf::Error> {
    // SAFETY: memory is mapped by pages, and the caller promises that one is here.
    let beginning = unsafe { slice::from_raw_parts(address, PAGE_BYTES) };
    Ok(vdso_elf::extent(beginning)?.next_multiple_of(PAGE_BYTES))
}

impl<'a> Vdso<'a> {
    /// The image whose ELF header is at `address`.
    ///
    /// # Safety
    /// `address` must be the beginning of a page that is readable. If there is an ELF header, all pages of
    /// the image's first segment must be mapped there, readable, and must stay so and unchanged for `'a`.
    #[inline]
    pub unsafe fn from_ptr(address: *const u8) -> Result<Self, vdso_elf::Error> {
        debug_assert!(address.addr() % PAGE_BYTES == 0, "an image begins with a page");
        // SAFETY: the caller promises that a page is here.
        let bytes = unsafe { extent(address) }?;
        // SAFETY: the caller promises that the first segment is mapped, and so all of its pages.
        let image = unsafe { slice::from_raw_parts(address, bytes) };
        Self::from_bytes(image)
    }

    /// The image that these bytes are; functions of it can be called if they are executable.
    #[inline]
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, vdso_elf::Error> {
        Image::parse(bytes).map(|image| Self { image })
    }

    /// The function of this name, under this version if one is asked for. `None` also for what is
    /// not a function of the image's own.
    ///
    /// What it is called with, and how, is for the caller to know: see [`names`](crate::names).
    #[inline]
    pub fn lookup(&self, name: &str, version: Option<&str>) -> Option<NonNull<()>> {
        let offset = self.image.lookup(name, version)?.file_offset?;
        let function = self.image.bytes().get(offset..)?.as_ptr();
        NonNull::new(function.cast_mut().cast())
    }

    /// All symbols; [`Image::file_offset`] makes an offset from [`base`](Self::base) of a value.
    pub fn symbols(&self) -> Symbols<'a> {
        self.image.symbols()
    }

    /// Everything else that the image says.
    pub fn image(&self) -> &Image<'a> {
        &self.image
    }

    /// Where the ELF header is.
    pub fn base(&self) -> *const u8 {
        self.image.bytes().as_ptr()
    }

    /// Whether [`from_ptr`](Self::from_ptr), given the base, reads these bytes and none beyond them.
    pub(crate) fn check_pages(&self) -> Result<(), NotAdopted> {
        if self.base().addr() % PAGE_BYTES != 0 {
            return Err(NotAdopted::NotAtPage);
        }
        let bytes = self.image.bytes();
        let beginning = bytes.get(..PAGE_BYTES).ok_or(NotAdopted::NotPadded)?;
        let extent = vdso_elf::extent(beginning).map_err(NotAdopted::Unreadable)?;
        let is_padded = extent.next_multiple_of(PAGE_BYTES) <= bytes.len();
        is_padded.then_some(()).ok_or(NotAdopted::NotPadded)
    }
}

/// Why an image was not [adopted](crate::adopt).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAdopted {
    /// Its bytes do not begin where a page begins.
    NotAtPage,
    /// Its bytes end before the last page does that its first segment has a part of.
    NotPadded,
    /// Its length cannot be read from its first page.
    Unreadable(vdso_elf::Error),
}

impl fmt::Display for NotAdopted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAtPage => formatter.write_str("the image does not begin with a page"),
            Self::NotPadded => {
                formatter.write_str("the image's bytes end before its last page does")
            }
            Self::Unreadable(error) => write!(formatter, "the image cannot be read: {error}"),
        }
    }
}

impl core::error::Error for NotAdopted {}

#[cfg(all(test, target_arch = "x86_64", target_pointer_width = "64", not(miri)))]
mod tests {
    use std::num::NonZeroUsize;

    use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
    use vdso_data::note::{OWN_PAGE, PROCESS_PAGE};

    use super::*;

    /// An image of ours, of which the pages that it names may not be readable.
    #[test]
    fn an_image_is_looked_at_with_the_pages_that_it_names() {
        let image = vdso_image::tailor(vdso_image::Source::Own, &[]).bytes;
        let bytes = NonZeroUsize::new(PROCESS_PAGE + PAGE_BYTES).expect("some");
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        for (gone, expected) in [
            (None, Ok(())),
            (Some(OWN_PAGE), Err(NotFound::NotThere)),
            (Some(PROCESS_PAGE), Err(NotFound::NotThere)),
        ] {
            // SAFETY: a new mapping at an address of the kernel's choice.
            let place = unsafe { mmap_anonymous(None, bytes, protection, MapFlags::MAP_PRIVATE) }
                .expect("memory");
            let address = place.cast::<u8>().as_ptr();
            // SAFETY: mapped above, with room for an image.
            unsafe { address.copy_from_nonoverlapping(image.as_ptr(), image.len()) };
            if let Some(page) = gone {
                let page = place.map_addr(|start| start.saturating_add(page));
                // Another thread could map something where nothing was left.
                // SAFETY: a page of it that nobody refers to.
                unsafe { mprotect(page, PAGE_BYTES, ProtFlags::PROT_NONE) }.expect("it is mapped");
            }
            assert_eq!(look_at(address), expected, "without the page at {gone:x?}");
            // SAFETY: all of it, which nobody refers to.
            unsafe { munmap(place, bytes.get()) }.expect("it was mapped");
        }
    }
}
