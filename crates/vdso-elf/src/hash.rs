//! The two hash tables that find a symbol by its name: `DT_HASH` and `DT_GNU_HASH`.
//!
//! Kernels differ in which of them they provide, and libraries in which of them they read, so both
//! are here. A table also tells how many symbols there are, which nothing else in a mapped image
//! does.
//!
//! Sources: gABI, chapter "Hash Table", for the first; for the second binutils' and glibc's common
//! understanding, as written down in <https://flapenguin.me/elf-dt-gnu-hash>.

use crate::abi::Machine;
use crate::reader::{Class, Reader, element};

/// Which of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashKind {
    /// `DT_GNU_HASH`.
    Gnu,
    /// `DT_HASH`.
    SystemV,
}

/// `DT_GNU_HASH`: a Bloom filter, then buckets, then one word for each symbol from
/// `first_symbol` on, in the symbol table's order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GnuHash<'a> {
    reader: Reader<'a>,
    first_symbol: u32,
    bloom: usize,
    bloom_count: u32,
    bloom_shift: u32,
    buckets: usize,
    bucket_count: u32,
    chains: usize,
}

impl<'a> GnuHash<'a> {
    pub fn read(reader: Reader<'a>, at: usize) -> Option<Self> {
        let mut fields = reader.fields(at);
        let bucket_count = fields.u32()?;
        let first_symbol = fields.u32()?;
        let bloom_count = fields.u32()?;
        let bloom_shift = fields.u32()?;
        let bloom = fields.position();
        let buckets = element(bloom, bloom_count, reader.class.address_bytes())?;
        let chains = element(buckets, bucket_count, 4)?;
        (chains <= reader.bytes.len()).then_some(Self {
            reader,
            first_symbol,
            bloom,
            bloom_count,
            bloom_shift,
            buckets,
            bucket_count,
            chains,
        })
    }

    /// The first thing that `accept` makes of the index of a symbol whose name has the hash of
    /// `name`.
    pub fn find<T>(&self, name: &str, mut accept: impl FnMut(u32) -> Option<T>) -> Option<T> {
        let hash = gnu_hash(name);
        if !self.bloom_may_have(hash)? {
            return None;
        }
        let bucket = hash.checked_rem(self.bucket_count)?;
        let mut index = self.bucket(bucket)?;
        loop {
            // Ends at the latest where the bytes do.
            let word = self.chain(index)?;
            if word | 1 == hash | 1
                && let Some(found) = accept(index)
            {
                return Some(found);
            }
            if word & 1 != 0 {
                return None;
            }
            index = index.checked_add(1)?;
        }
    }

    /// How many symbols there are: one more than the last of the chain that begins last.
    pub fn symbol_count(&self) -> Option<u32> {
        let mut last = 0;
        for bucket in 0..self.bucket_count {
            last = last.max(self.bucket(bucket)?);
        }
        if last < self.first_symbol {
            return Some(self.first_symbol);
        }
        while self.chain(last)? & 1 == 0 {
            last = last.checked_add(1)?;
        }
        last.checked_add(1)
    }

    fn bloom_may_have(&self, hash: u32) -> Option<bool> {
        let word_bits = match self.reader.class {
            Class::Elf32 => 32,
            Class::Elf64 => 64,
        };
        // The number of words is a power of two.
        let index = (hash / word_bits) & self.bloom_count.checked_sub(1)?;
        let word_bytes = self.reader.class.address_bytes();
        let word = self.reader.address(element(self.bloom, index, word_bytes)?)?;
        let second = hash.checked_shr(self.bloom_shift).unwrap_or(0);
        let has = |hash: u32| word >> (hash % word_bits) & 1 != 0;
        Some(has(hash) && has(second))
    }

    fn bucket(&self, bucket: u32) -> Option<u32> {
        self.reader.u32(element(self.buckets, bucket, 4)?)
    }

    fn chain(&self, symbol: u32) -> Option<u32> {
        let index = symbol.checked_sub(self.first_symbol)?;
        self.reader.u32(element(self.chains, index, 4)?)
    }
}

/// `DT_HASH`: buckets, then for each symbol the next one of its bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemVHash<'a> {
    reader: Reader<'a>,
    word_bytes: usize,
    buckets: usize,
    bucket_count: u32,
    chains: usize,
    chain_count: u32,
}

impl<'a> SystemVHash<'a> {
    pub fn read(reader: Reader<'a>, machine: Machine, at: usize) -> Option<Self> {
        let word_bytes = system_v_word_bytes(reader.class, machine);
        let mut table = Self {
            reader,
            word_bytes,
            buckets: element(at, 2, word_bytes)?,
            bucket_count: 0,
            chains: 0,
            chain_count: 0,
        };
        table.bucket_count = table.word(at, 0)?;
        table.chain_count = table.word(at, 1)?;
        table.chains = element(table.buckets, table.bucket_count, word_bytes)?;
        let end = element(table.chains, table.chain_count, word_bytes)?;
        // So that a chain that goes in circles is followed for no longer than the file is.
        (end <= reader.bytes.len()).then_some(table)
    }

    /// As [`GnuHash::find`].
    pub fn find<T>(&self, name: &str, mut accept: impl FnMut(u32) -> Option<T>) -> Option<T> {
        let bucket = system_v_hash(name).checked_rem(self.bucket_count)?;
        let mut index = self.word(self.buckets, bucket)?;
        for _ in 0..self.chain_count {
            if index == 0 || index >= self.chain_count {
                return None;
            }
            if let Some(found) = accept(index) {
                return Some(found);
            }
            index = self.word(self.chains, index)?;
        }
        None
    }

    /// There is a link for each symbol.
    pub fn symbol_count(&self) -> u32 {
        self.chain_count
    }

    fn word(&self, table: usize, index: u32) -> Option<u32> {
        let at = element(table, index, self.word_bytes)?;
        match self.word_bytes {
            8 => self.reader.u64(at)?.try_into().ok(),
            _ => self.reader.u32(at),
        }
    }
}

/// The words have 32 bits in both classes, but for two architectures that were early to have 64.
/// Source: `ELF_HASH_ENTRY` in glibc's `sysdeps/{alpha,s390/s390-64}`.
fn system_v_word_bytes(class: Class, machine: Machine) -> usize {
    match (class, machine) {
        (Class::Elf64, Machine::S390 | Machine::ALPHA) => 8,
        _ => 4,
    }
}

/// Daniel J. Bernstein's hash, as `DT_GNU_HASH` uses it.
fn gnu_hash(name: &str) -> u32 {
    name.bytes().fold(5381, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)))
}

/// The hash of the gABI, as `DT_HASH` uses it.
fn system_v_hash(name: &str) -> u32 {
    name.bytes().fold(0, |hash, byte| {
        let hash = (hash << 4).wrapping_add(u32::from(byte));
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
}
