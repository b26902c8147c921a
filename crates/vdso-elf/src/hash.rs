//! The two hash tables that find a symbol by its name: `DT_HASH` and `DT_GNU_HASH`.
//!
//! Kernels differ in which of them they provide, and libraries in which of them they read, so both
//! are here. A table also tells how many symbols there are, which nothing else in a mapped image
//! does.
//!
//! Sources: gABI, chapter "Hash Table", for the first; for the second binutils' and glibc's common
//! understanding, as written down in <https://flapenguin.me/elf-dt-gnu-hash>.

use vdso_arch::Class;

use crate::abi::Machine;
use crate::error::{Error, Table};
use crate::reader::{Format, Reader, element};

/// Which of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashKind {
    /// `DT_GNU_HASH`.
    Gnu,
    /// `DT_HASH`.
    SystemV,
}

/// `DT_GNU_HASH`: a Bloom filter, then buckets, then one word for each symbol from
/// `first_symbol` on, in the symbol table's order. All but the words are inside the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GnuHash {
    first_symbol: u32,
    bloom: usize,
    /// The number of words less one; they are a power of two.
    bloom_mask: u32,
    bloom_shift: u32,
    buckets: usize,
    bucket_count: u32,
    chains: usize,
}

impl GnuHash {
    #[inline(always)]
    pub fn read(reader: Reader<'_, impl Format>, at: usize) -> Result<Self, Error> {
        let truncated = Error::TableTruncated(Table::GnuHash);
        let header = |index| element(at, index, 4).and_then(|at| reader.u32(at)).ok_or(truncated);
        let (bucket_count, first_symbol) = (header(0)?, header(1)?);
        let (words, bloom_shift) = (header(2)?, header(3)?);
        if !words.is_power_of_two() {
            return Err(Error::BloomFilterSize { words });
        }
        let place = |at, count, bytes| {
            element(at, count, bytes).filter(|&end| end <= reader.bytes.len()).ok_or(truncated)
        };
        let bloom = place(at, 4, 4)?;
        let buckets = place(bloom, words, reader.class().address_bytes())?;
        let chains = place(buckets, bucket_count, 4)?;
        let bloom_mask = words - 1;
        Ok(Self { first_symbol, bloom, bloom_mask, bloom_shift, buckets, bucket_count, chains })
    }

    /// The first thing that `accept` makes of the index of a symbol whose name has the hash of
    /// `name`.
    #[inline(always)]
    pub fn find<T>(
        &self,
        reader: Reader<'_, impl Format>,
        name: &str,
        accept: impl Fn(u32) -> Option<T>,
    ) -> Option<T> {
        let hash = gnu_hash(name);
        if !self.bloom_may_have(reader, hash)? {
            return None;
        }
        let bucket = hash.checked_rem(self.bucket_count)?;
        let mut index = self.bucket(reader, bucket)?;
        loop {
            // Ends at the latest where the bytes do.
            let word = self.chain(reader, index)?;
            if word | 1 == hash | 1 {
                if let Some(found) = accept(index) {
                    return Some(found);
                }
            }
            if word & 1 != 0 {
                return None;
            }
            index = index.checked_add(1)?;
        }
    }

    /// How many symbols there are: one more than the last of the chain that begins last.
    pub fn symbol_count(&self, reader: Reader<'_, impl Format>) -> Option<u32> {
        let mut last = 0;
        for bucket in 0..self.bucket_count {
            last = last.max(self.bucket(reader, bucket)?);
        }
        if last < self.first_symbol {
            return Some(self.first_symbol);
        }
        while self.chain(reader, last)? & 1 == 0 {
            last = last.checked_add(1)?;
        }
        last.checked_add(1)
    }

    #[inline(always)]
    fn bloom_may_have(&self, reader: Reader<'_, impl Format>, hash: u32) -> Option<bool> {
        let (word_bits, word_bytes) = match reader.class() {
            Class::Elf32 => (32, 4),
            Class::Elf64 => (64, 8),
        };
        let index = (hash / word_bits) & self.bloom_mask;
        let word = reader.address(element(self.bloom, index, word_bytes)?)?;
        let second = hash.checked_shr(self.bloom_shift).unwrap_or(0);
        Some(word >> (hash % word_bits) & word >> (second % word_bits) & 1 != 0)
    }

    #[inline(always)]
    fn bucket(&self, reader: Reader<'_, impl Format>, bucket: u32) -> Option<u32> {
        reader.u32(element(self.buckets, bucket, 4)?)
    }

    #[inline(always)]
    fn chain(&self, reader: Reader<'_, impl Format>, symbol: u32) -> Option<u32> {
        let index = symbol.checked_sub(self.first_symbol)?;
        reader.u32(element(self.chains, index, 4)?)
    }
}

/// `DT_HASH`: buckets, then for each symbol the next one of its bucket. All of it is inside the
/// bytes, so that a chain that goes in circles is followed for no longer than they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemVHash {
    word_bytes: usize,
    buckets: usize,
    bucket_count: u32,
    chains: usize,
    chain_count: u32,
}

impl SystemVHash {
    #[inline(always)]
    pub fn read(
        reader: Reader<'_, impl Format>,
        machine: Machine,
        at: usize,
    ) -> Result<Self, Error> {
        Self::read_whole(reader, machine, at).ok_or(Error::TableTruncated(Table::SystemVHash))
    }

    #[inline(always)]
    fn read_whole(reader: Reader<'_, impl Format>, machine: Machine, at: usize) -> Option<Self> {
        let word_bytes = system_v_word_bytes(reader.class(), machine);
        let bucket_count = word(reader, at, 0, word_bytes)?;
        let chain_count = word(reader, at, 1, word_bytes)?;
        let buckets = element(at, 2, word_bytes)?;
        let chains = element(buckets, bucket_count, word_bytes)?;
        let end = element(chains, chain_count, word_bytes)?;
        (end <= reader.bytes.len()).then_some(Self {
            word_bytes,
            buckets,
            bucket_count,
            chains,
            chain_count,
        })
    }

    /// As [`GnuHash::find`].
    #[inline(always)]
    pub fn find<T>(
        &self,
        reader: Reader<'_, impl Format>,
        name: &str,
        accept: impl Fn(u32) -> Option<T>,
    ) -> Option<T> {
        let bucket = system_v_hash(name).checked_rem(self.bucket_count)?;
        let mut index = word(reader, self.buckets, bucket, self.word_bytes)?;
        for _ in 0..self.chain_count {
            if index == 0 || index >= self.chain_count {
                return None;
            }
            if let Some(found) = accept(index) {
                return Some(found);
            }
            index = word(reader, self.chains, index, self.word_bytes)?;
        }
        None
    }

    /// There is a link for each symbol.
    pub fn symbol_count(&self) -> u32 {
        self.chain_count
    }
}

/// Word `index` of a part of `DT_HASH` that begins at `at`.
#[inline(always)]
fn word(reader: Reader<'_, impl Format>, at: usize, index: u32, word_bytes: usize) -> Option<u32> {
    let at = element(at, index, word_bytes)?;
    match word_bytes {
        8 => reader.u64(at)?.try_into().ok(),
        _ => reader.u32(at),
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

/// Daniel J. Bernstein's hash, as `DT_GNU_HASH` uses it: `hash * 33 + byte` for each byte.
#[inline(always)]
fn gnu_hash(name: &str) -> u32 {
    const POWERS: [u32; 4] = [33 * 33 * 33, 33 * 33, 33, 1];
    // Four bytes at once, so that they do not wait for each other.
    let fours = name.as_bytes().chunks_exact(4);
    let rest = fours.remainder();
    let mut hash = 5381_u32;
    for four in fours {
        let sum = four.iter().zip(POWERS).map(|(&byte, power)| u32::from(byte) * power).sum();
        hash = hash.wrapping_mul(33 * POWERS[0]).wrapping_add(sum);
    }
    rest.iter().fold(hash, |hash, &byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)))
}

/// The hash of the gABI, as `DT_HASH` uses it. The four uppermost bits are cleared once at the end,
/// not after each byte: until then they only move out.
#[inline(always)]
fn system_v_hash(name: &str) -> u32 {
    let hash = name.bytes().fold(0_u32, |hash, byte| {
        let hash = (hash << 4).wrapping_add(u32::from(byte));
        hash ^ hash >> 24 & 0xf0
    });
    hash & 0x0fff_ffff
}

#[cfg(test)]
mod tests {
    use super::{gnu_hash, system_v_hash};

    /// Values that other implementations have published.
    #[test]
    fn hashes_are_those_of_linkers() {
        for (name, gnu, system_v) in [
            ("", 0x0000_1505, 0),
            ("printf", 0x156b_2bb8, 0x077905a6),
            ("exit", 0x7c96_7e3f, 0x0006cf04),
            ("syscall", 0xbac2_12a0, 0x0b09985c),
            ("flapenguin.me", 0x8ae9_f18e, 0x03987915),
        ] {
            assert_eq!((gnu_hash(name), system_v_hash(name)), (gnu, system_v), "{name}");
        }
    }

    #[test]
    fn four_bytes_at_once_are_as_good_as_one_after_the_other() {
        let text = "\u{10ffff}__vdso_clock_gettime\u{7ff}";
        for start in (0..text.len()).filter(|&at| text.is_char_boundary(at)) {
            let name = &text[start..];
            let plain = name
                .bytes()
                .fold(5381, |hash: u32, byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)));
            assert_eq!(gnu_hash(name), plain, "{name}");
        }
    }
}
