//! Integers of a file whose class and byte order are only known at run time.
//!
//! Everything else in the crate reads through [`Reader`] (at an offset) or [`Fields`] (one field
//! after the other), which give `None` where the bytes end, so that no other file indexes a slice.

use vdso_arch::{ByteOrder, Class};

use crate::error::Error;

/// The class that `EI_CLASS` names.
pub(crate) fn class_of(ident: u8) -> Result<Class, Error> {
    match ident {
        1 => Ok(Class::Elf32),
        2 => Ok(Class::Elf64),
        other => Err(Error::UnknownClass(other)),
    }
}

/// The order of bytes that `EI_DATA` names.
pub(crate) fn byte_order_of(ident: u8) -> Result<ByteOrder, Error> {
    match ident {
        1 => Ok(ByteOrder::Little),
        2 => Ok(ByteOrder::Big),
        other => Err(Error::UnknownByteOrder(other)),
    }
}

/// How a file's integers are written.
pub(crate) trait Format: Copy {
    fn class(self) -> Class;
    fn byte_order(self) -> ByteOrder;
}

/// As the program itself writes them, and so every image that it can call. Known when a function is
/// compiled, so one for this format takes half the instructions of one for any. The first call of a
/// program waits mostly for instructions to be fetched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Native;

impl Format for Native {
    #[inline(always)]
    fn class(self) -> Class {
        Class::CURRENT
    }

    #[inline(always)]
    fn byte_order(self) -> ByteOrder {
        ByteOrder::CURRENT
    }
}

/// As the file's first bytes say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stated {
    pub class: Class,
    pub byte_order: ByteOrder,
}

impl Format for Stated {
    #[inline(always)]
    fn class(self) -> Class {
        self.class
    }

    #[inline(always)]
    fn byte_order(self) -> ByteOrder {
        self.byte_order
    }
}

/// A file's bytes, and how to read integers from them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a, F = Stated> {
    pub bytes: &'a [u8],
    pub format: F,
}

impl<'a> Reader<'a> {
    /// The same for a file of the program's own format; `None` if it has another.
    #[inline(always)]
    pub fn native(self) -> Option<Reader<'a, Native>> {
        let is_native =
            self.format.class == Class::CURRENT && self.format.byte_order == ByteOrder::CURRENT;
        is_native.then_some(Reader { bytes: self.bytes, format: Native })
    }
}

impl<'a, F: Format> Reader<'a, F> {
    /// The same for whatever format.
    #[inline(always)]
    pub fn stated(self) -> Reader<'a> {
        let format = Stated { class: self.class(), byte_order: self.format.byte_order() };
        Reader { bytes: self.bytes, format }
    }

    #[inline(always)]
    pub fn class(self) -> Class {
        self.format.class()
    }

    #[inline(always)]
    pub fn slice(self, at: usize, length: usize) -> Option<&'a [u8]> {
        self.bytes.get(at..at.checked_add(length)?)
    }

    #[inline(always)]
    pub fn u16(self, at: usize) -> Option<u16> {
        let bytes = self.array(at)?;
        Some(match self.format.byte_order() {
            ByteOrder::Little => u16::from_le_bytes(bytes),
            ByteOrder::Big => u16::from_be_bytes(bytes),
        })
    }

    #[inline(always)]
    pub fn u32(self, at: usize) -> Option<u32> {
        let bytes = self.array(at)?;
        Some(match self.format.byte_order() {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        })
    }

    #[inline(always)]
    pub fn u64(self, at: usize) -> Option<u64> {
        let bytes = self.array(at)?;
        Some(match self.format.byte_order() {
            ByteOrder::Little => u64::from_le_bytes(bytes),
            ByteOrder::Big => u64::from_be_bytes(bytes),
        })
    }

    /// An integer of the width of an address.
    #[inline(always)]
    pub fn address(self, at: usize) -> Option<u64> {
        match self.class() {
            Class::Elf32 => self.u32(at).map(u64::from),
            Class::Elf64 => self.u64(at),
        }
    }

    /// The fields of a record of so many bytes that begins at `at`, if all of it is there.
    #[inline(always)]
    pub fn record(self, at: usize, bytes: usize) -> Option<Fields<'a, F>> {
        let record = Reader { bytes: self.slice(at, bytes)?, format: self.format };
        Some(Fields { record, next: 0 })
    }

    #[inline(always)]
    fn array<const LENGTH: usize>(self, at: usize) -> Option<[u8; LENGTH]> {
        self.slice(at, LENGTH)?.try_into().ok()
    }
}

/// Reads the fields of a record in their order; there is no padding in any record of ELF's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a, F = Stated> {
    record: Reader<'a, F>,
    next: usize,
}

impl<F: Format> Fields<'_, F> {
    #[inline(always)]
    pub fn u8(&mut self) -> Option<u8> {
        let at = self.advance(1)?;
        self.record.bytes.get(at).copied()
    }

    #[inline(always)]
    pub fn u16(&mut self) -> Option<u16> {
        let at = self.advance(2)?;
        self.record.u16(at)
    }

    #[inline(always)]
    pub fn u32(&mut self) -> Option<u32> {
        let at = self.advance(4)?;
        self.record.u32(at)
    }

    #[inline(always)]
    pub fn address(&mut self) -> Option<u64> {
        let at = self.advance(self.record.class().address_bytes())?;
        self.record.address(at)
    }

    /// Where in the record the next field is.
    #[inline(always)]
    pub fn position(&self) -> usize {
        self.next
    }

    #[inline(always)]
    fn advance(&mut self, bytes: usize) -> Option<usize> {
        let at = self.next;
        self.next = at.checked_add(bytes)?;
        Some(at)
    }
}

/// Where element `index` of a table at `at` is.
#[inline(always)]
pub(crate) fn element(at: usize, index: u32, element_bytes: usize) -> Option<usize> {
    usize::try_from(index).ok()?.checked_mul(element_bytes)?.checked_add(at)
}
