//! Integers of either class and byte order, appended or put in place.

/// How wide addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 32 bits.
    Elf32,
    /// 64 bits.
    Elf64,
}

impl Class {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Elf32, Self::Elf64];

    /// One of two values, by class.
    pub fn pick<T>(self, if_32: T, if_64: T) -> T {
        match self {
            Self::Elf32 => if_32,
            Self::Elf64 => if_64,
        }
    }
}

/// The order of an integer's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// The least significant byte first.
    Little,
    /// The most significant byte first.
    Big,
}

impl ByteOrder {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Little, Self::Big];

    /// The lowest `bytes` bytes of a value.
    pub(crate) fn encode(self, value: u64, bytes: usize) -> Vec<u8> {
        let whole = value.to_be_bytes();
        let (above, encoded) = whole.split_at(whole.len() - bytes);
        assert!(above.iter().all(|&byte| byte == 0), "{value:#x} does not fit {bytes} bytes");
        let mut encoded = encoded.to_vec();
        if self == Self::Little {
            encoded.reverse();
        }
        encoded
    }

    /// Writes a value over a field of a file.
    pub(crate) fn put(self, file: &mut [u8], field: Extent, value: u64) {
        let encoded = self.encode(value, field.bytes);
        file[field.at..][..field.bytes].copy_from_slice(&encoded);
    }
}

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins.
    pub at: usize,
    /// How many bytes it has.
    pub bytes: usize,
}

/// Bytes that grow at the end.
pub(crate) struct Writer {
    pub class: Class,
    pub byte_order: ByteOrder,
    pub bytes: Vec<u8>,
}

impl Writer {
    pub fn new(class: Class, byte_order: ByteOrder) -> Self {
        Self { class, byte_order, bytes: Vec::new() }
    }

    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub fn u16(&mut self, value: u16) {
        self.integer(value.into(), 2);
    }

    pub fn u32(&mut self, value: u32) {
        self.integer(value.into(), 4);
    }

    /// An integer of the width of an address.
    pub fn address(&mut self, value: u64) {
        self.integer(value, self.class.pick(4, 8));
    }

    pub fn integer(&mut self, value: u64, bytes: usize) {
        let encoded = self.byte_order.encode(value, bytes);
        self.bytes.extend(encoded);
    }

    /// Zeros up to the next multiple; gives where the next byte will be.
    pub fn align(&mut self, to: usize) -> usize {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
        self.bytes.len()
    }
}
