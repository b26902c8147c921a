//! Integers of a file whose class and byte order are only known at run time.
//!
//! Everything else in the crate reads through [`Reader`] (at an offset) or [`Fields`] (one field
//! after the other), which give `None` where the bytes end, so that no other file indexes a slice.

use crate::error::Error;

/// `EI_CLASS`: how wide addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 32 bits.
    Elf32,
    /// 64 bits.
    Elf64,
}

impl Class {
    pub(crate) fn from_ident(byte: u8) -> Result<Self, Error> {
        match byte {
            1 => Ok(Self::Elf32),
            2 => Ok(Self::Elf64),
            other => Err(Error::UnknownClass(other)),
        }
    }

    /// Size of an address.
    pub(crate) const fn address_bytes(self) -> usize {
        match self {
            Self::Elf32 => 4,
            Self::Elf64 => 8,
        }
    }
}

/// `EI_DATA`: the order of an integer's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// The least significant byte first.
    Little,
    /// The most significant byte first.
    Big,
}

impl ByteOrder {
    pub(crate) fn from_ident(byte: u8) -> Result<Self, Error> {
        match byte {
            1 => Ok(Self::Little),
            2 => Ok(Self::Big),
            other => Err(Error::UnknownByteOrder(other)),
        }
    }
}

/// A file's bytes, and how to read integers from them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub bytes: &'a [u8],
    pub class: Class,
    pub byte_order: ByteOrder,
}

impl<'a> Reader<'a> {
    #[inline(always)]
    pub fn slice(&self, at: usize, length: usize) -> Option<&'a [u8]> {
        self.bytes.get(at..at.checked_add(length)?)
    }

    #[inline(always)]
    pub fn u16(&self, at: usize) -> Option<u16> {
        let bytes = self.array(at)?;
        Some(match self.byte_order {
            ByteOrder::Little => u16::from_le_bytes(bytes),
            ByteOrder::Big => u16::from_be_bytes(bytes),
        })
    }

    #[inline(always)]
    pub fn u32(&self, at: usize) -> Option<u32> {
        let bytes = self.array(at)?;
        Some(match self.byte_order {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        })
    }

    #[inline(always)]
    pub fn u64(&self, at: usize) -> Option<u64> {
        let bytes = self.array(at)?;
        Some(match self.byte_order {
            ByteOrder::Little => u64::from_le_bytes(bytes),
            ByteOrder::Big => u64::from_be_bytes(bytes),
        })
    }

    /// An integer of the width of an address.
    #[inline(always)]
    pub fn address(&self, at: usize) -> Option<u64> {
        match self.class {
            Class::Elf32 => self.u32(at).map(u64::from),
            Class::Elf64 => self.u64(at),
        }
    }

    /// The fields of a record that begins at `at`.
    pub fn fields(self, at: usize) -> Fields<'a> {
        Fields { reader: self, at }
    }

    #[inline(always)]
    fn array<const LENGTH: usize>(&self, at: usize) -> Option<[u8; LENGTH]> {
        self.slice(at, LENGTH)?.try_into().ok()
    }
}

/// Reads the fields of a record in their order; there is no padding in any record of ELF's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    reader: Reader<'a>,
    at: usize,
}

impl Fields<'_> {
    #[inline(always)]
    pub fn u8(&mut self) -> Option<u8> {
        let at = self.advance(1)?;
        self.reader.bytes.get(at).copied()
    }

    #[inline(always)]
    pub fn u16(&mut self) -> Option<u16> {
        let at = self.advance(2)?;
        self.reader.u16(at)
    }

    #[inline(always)]
    pub fn u32(&mut self) -> Option<u32> {
        let at = self.advance(4)?;
        self.reader.u32(at)
    }

    #[inline(always)]
    pub fn address(&mut self) -> Option<u64> {
        let at = self.advance(self.reader.class.address_bytes())?;
        self.reader.address(at)
    }

    /// Where the next field is; the end of the record once all are read.
    pub fn position(&self) -> usize {
        self.at
    }

    #[inline(always)]
    fn advance(&mut self, bytes: usize) -> Option<usize> {
        let at = self.at;
        self.at = at.checked_add(bytes)?;
        Some(at)
    }
}

/// Where element `index` of a table at `at` is.
#[inline(always)]
pub(crate) fn element(at: usize, index: u32, element_bytes: usize) -> Option<usize> {
    usize::try_from(index).ok()?.checked_mul(element_bytes)?.checked_add(at)
}
