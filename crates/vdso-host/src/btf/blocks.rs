//! Looks at many bytes at once, without a branch for each.
//!
//! By hand where every processor can: compilers that make small programs do it for none, and to find out what else this
//! processor has, as others' searches do, takes longer in a virtual machine than the search.

/// How many bytes are looked at together.
pub const BLOCK: usize = 256;

/// The first whole block that has one of the words.
pub fn with_word(bytes: &[u8], words: &[u32; 4]) -> Option<usize> {
    let blocks = bytes.as_chunks().0;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every processor of this architecture has SSE2.
    return unsafe { x86_64::with_word(blocks, words) };
    #[cfg(not(target_arch = "x86_64"))]
    plain::with_word(blocks, words)
}

/// The first whole block in which there is a place where each of the three has its byte.
pub fn with_bytes(three: [&[u8]; 3], bytes: [u8; 3]) -> Option<usize> {
    let blocks = three.map(|bytes| bytes.as_chunks().0);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as above.
    return unsafe { x86_64::with_bytes(blocks, bytes) };
    #[cfg(not(target_arch = "x86_64"))]
    plain::with_bytes(blocks, bytes)
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use core::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_cmpeq_epi32, _mm_movemask_epi8, _mm_or_si128,
        _mm_set1_epi8, _mm_set1_epi32, _mm_setzero_si128,
    };

    use super::BLOCK;

    #[target_feature(enable = "sse2")]
    pub fn with_word(blocks: &[[u8; BLOCK]], words: &[u32; 4]) -> Option<usize> {
        let words = words.map(|word| _mm_set1_epi32(word as i32));
        blocks.iter().position(|block| {
            let mut any = _mm_setzero_si128();
            for part in block.as_chunks().0 {
                let part = vector(part);
                for word in words {
                    any = _mm_or_si128(any, _mm_cmpeq_epi32(part, word));
                }
            }
            _mm_movemask_epi8(any) != 0
        })
    }

    #[target_feature(enable = "sse2")]
    pub fn with_bytes(blocks: [&[[u8; BLOCK]]; 3], bytes: [u8; 3]) -> Option<usize> {
        let [first, second, third] = blocks;
        let signs = bytes.map(|byte| _mm_set1_epi8(byte as i8));
        first.iter().zip(second).zip(third).position(|((first, second), third)| {
            let [first, second, third] = [first, second, third].map(|block| block.as_chunks().0);
            let mut any = _mm_setzero_si128();
            for ((first, second), third) in first.iter().zip(second).zip(third) {
                let is_first = _mm_cmpeq_epi8(vector(first), signs[0]);
                let is_second = _mm_cmpeq_epi8(vector(second), signs[1]);
                let is_third = _mm_cmpeq_epi8(vector(third), signs[2]);
                let is_here = _mm_and_si128(is_first, _mm_and_si128(is_second, is_third));
                any = _mm_or_si128(any, is_here);
            }
            _mm_movemask_epi8(any) != 0
        })
    }

    fn vector(bytes: &[u8; 16]) -> __m128i {
        // SAFETY: both are 16 bytes of which any are a value.
        unsafe { std::mem::transmute(*bytes) }
    }
}

/// In a way that compilers know.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod plain {
    use super::BLOCK;

    pub fn with_word(blocks: &[[u8; BLOCK]], words: &[u32; 4]) -> Option<usize> {
        blocks.iter().position(|block| {
            let mut any = 0;
            for part in block.as_chunks().0 {
                for word in words {
                    any |= u32::from(u32::from_ne_bytes(*part) == *word);
                }
            }
            any != 0
        })
    }

    pub fn with_bytes(blocks: [&[[u8; BLOCK]]; 3], bytes: [u8; 3]) -> Option<usize> {
        let [first, second, third] = blocks;
        first.iter().zip(second).zip(third).position(|((first, second), third)| {
            let mut any = 0;
            for ((a, b), c) in first.iter().zip(second).zip(third) {
                let is_here = (*a == bytes[0], *b == bytes[1], *c == bytes[2]);
                any |= u8::from(is_here.0) & u8::from(is_here.1) & u8::from(is_here.2);
            }
            any != 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORD: u32 = 0x0102_0304;

    fn block_with_word(bytes: &[u8]) -> Option<usize> {
        let words = [5, WORD, u32::MAX, u32::MAX];
        let found = with_word(bytes, &words);
        assert_eq!(plain::with_word(bytes.as_chunks().0, &words), found);
        found
    }

    fn block_with_bytes(three: [&[u8]; 3]) -> Option<usize> {
        let found = with_bytes(three, [1, 2, 3]);
        assert_eq!(plain::with_bytes(three.map(|bytes| bytes.as_chunks().0), [1, 2, 3]), found);
        found
    }

    #[test]
    fn a_word_is_found_wherever_it_is_and_only_whole() {
        for place in (0..2 * BLOCK).step_by(4) {
            let mut bytes = vec![7; 2 * BLOCK + 9];
            assert_eq!(block_with_word(&bytes), None);
            bytes[place..place + 3].copy_from_slice(&WORD.to_ne_bytes()[..3]);
            assert_eq!(block_with_word(&bytes), None);
            bytes[place..place + 4].copy_from_slice(&WORD.to_ne_bytes());
            assert_eq!(block_with_word(&bytes), Some(place / BLOCK));
        }
    }

    #[test]
    fn bytes_match_at_one_place_or_not() {
        for place in 0..2 * BLOCK {
            let with = |byte| {
                let mut bytes = vec![7; 2 * BLOCK + 9];
                bytes[place] = byte;
                bytes
            };
            let [none, first, second, third] = [7, 1, 2, 3].map(with);
            let expected = Some(place / BLOCK);
            assert_eq!(block_with_bytes([&first, &second, &third]), expected);
            assert_eq!(block_with_bytes([&none, &second, &third]), None);
            assert_eq!(block_with_bytes([&first, &none, &third]), None);
            assert_eq!(block_with_bytes([&first, &second, &none]), None);
            assert_eq!(block_with_bytes([&first, &second, &third[1..]]), None);
        }
    }
}
