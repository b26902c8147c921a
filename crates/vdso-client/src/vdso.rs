//! The vDSO of this process: where it is, and what is in it.
//!
//! This is for programs that want a function of their own. The calls of this crate need none of it:
//! they find their functions by themselves.

use core::fmt;
use core::ptr::NonNull;
use core::slice;

use vdso_elf::{Image, Symbols};

use crate::auxv::{self, Order};

/// The smallest page of any machine: what is mapped at all is mapped to this.
const PAGE_BYTES: usize = 4096;

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
            Self::Unreadable(error) => write!(formatter, "the vDSO cannot be read: {error}"),
            Self::TurnedOff => formatter.write_str("this program has turned the vDSO off"),
        }
    }
}

impl core::error::Error for NotFound {}

impl Vdso<'static> {
    /// The vDSO that the auxiliary vector names.
    #[inline]
    pub fn from_auxv(order: Order) -> Result<Self, NotFound> {
        let address = auxv::vdso_address(order).ok_or(NotFound::NoAuxiliaryVector)?;
        if address.is_null() {
            return Err(NotFound::NotInAuxiliaryVector);
        }
        // SAFETY: the kernel, or whoever changed the vector, promises an image there; the kernel
        // never takes it away.
        unsafe { Self::from_ptr(address) }.map_err(NotFound::Unreadable)
    }
}

impl<'a> Vdso<'a> {
    /// The image whose ELF header is at `address`.
    ///
    /// # Safety
    /// If there is an ELF header at `address`, the image's first segment must be mapped there,
    /// readable, and must stay so and unchanged for `'a`. In any case `address` must be that of a
    /// readable page.
    #[inline]
    pub unsafe fn from_ptr(address: *const u8) -> Result<Self, vdso_elf::Error> {
        // SAFETY: memory is mapped by pages, and `address` is that of one.
        let beginning = unsafe { slice::from_raw_parts(address, PAGE_BYTES) };
        // To the end of the last page, for the section headers.
        let bytes = vdso_elf::extent(beginning)?.next_multiple_of(PAGE_BYTES);
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
}
