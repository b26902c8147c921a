//! The generator: RFC 8439's vectors, and each way to compute it against the crate `chacha20` and the
//! RFC's words.

#![cfg(target_arch = "x86_64")]

use std::iter;

use chacha20::ChaCha20Legacy;
use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use test_support::{Lacking, skip};

#[path = "../image/arch/x86_64/chacha/mod.rs"]
mod chacha;

use chacha::SCRATCH_BYTES;

const GROUP_BYTES: usize = 512;
const BLOCK_BYTES: usize = 64;

/// A way to compute it.
type Blocks = unsafe fn(*mut u8, usize, *const [u32; 8], u32, u32, *mut [u8; SCRATCH_BYTES]);

fn ways() -> Vec<(&'static str, Blocks)> {
    let mut ways: Vec<(&str, Blocks)> = vec![("SSE2", chacha::sse2)];
    if is_x86_feature_detected!("avx2") {
        ways.push(("AVX2", chacha::avx2));
    } else {
        skip(Lacking::Kernel, "ChaCha20 with AVX2", "this CPU has no AVX2");
    }
    ways
}

fn stream(blocks: Blocks, key: &[u32; 8], counter: u32, high: u32, groups: usize) -> Vec<u8> {
    let mut out = vec![0; groups * GROUP_BYTES];
    let mut scratch = [0; SCRATCH_BYTES];
    // SAFETY: all of it is ours and as large; the CPU's features were asked for.
    unsafe { blocks(out.as_mut_ptr(), groups, key, counter, high, &mut scratch) };
    assert_eq!(scratch, [0; SCRATCH_BYTES], "something is left in the scratch memory");
    out
}

/// By code that nobody here wrote. The "legacy" variant has a counter of 64 bits, as this one.
fn expected(key: &[u32; 8], counter: u32, high: u32, bytes: usize) -> Vec<u8> {
    let key: Vec<u8> = key.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut cipher = ChaCha20Legacy::new_from_slices(&key, &[0; 8]).expect("their lengths");
    cipher.seek((u64::from(high) << 32 | u64::from(counter)) * BLOCK_BYTES as u64);
    let mut out = vec![0; bytes];
    cipher.apply_keystream(&mut out);
    out
}

/// One block by the RFC's words, one word at a time.
fn scalar(key: &[u32; 8], counter: u32, high: u32) -> [u8; BLOCK_BYTES] {
    const QUARTER_ROUNDS: [[usize; 4]; 8] = [
        [0, 4, 8, 12],
        [1, 5, 9, 13],
        [2, 6, 10, 14],
        [3, 7, 11, 15],
        [0, 5, 10, 15],
        [1, 6, 11, 12],
        [2, 7, 8, 13],
        [3, 4, 9, 14],
    ];
    let mut first = [0; 16];
    for (word, bytes) in first.iter_mut().zip(b"expand 32-byte k".as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    first[4..12].copy_from_slice(key);
    (first[12], first[13]) = (counter, high);
    let mut state = first;
    for [a, b, c, d] in iter::repeat_n(QUARTER_ROUNDS, 10).flatten() {
        for (sum, addend, target, left) in
            [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)]
        {
            state[sum] = state[sum].wrapping_add(state[addend]);
            state[target] = (state[target] ^ state[sum]).rotate_left(left);
        }
    }
    let mut block = [0; BLOCK_BYTES];
    for (index, bytes) in block.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        *bytes = state[index].wrapping_add(first[index]).to_le_bytes();
    }
    block
}

/// Keys of no pattern, and those of a single bit.
fn keys() -> impl Iterator<Item = [u32; 8]> {
    let single_bits = (0..256).map(|bit| {
        let mut key = [0; 8];
        key[bit / 32] = 1 << (bit % 32);
        key
    });
    let mut word = 0x9e37_79b9_u32;
    let mixed = iter::repeat_with(move || {
        std::array::from_fn(|_| {
            word ^= word << 13;
            word ^= word >> 17;
            word ^= word << 5;
            word
        })
    });
    iter::once([0; 8]).chain(single_bits).chain(mixed.take(200))
}

#[test]
fn each_way_gives_the_stream() {
    for (name, blocks) in ways() {
        for key in keys() {
            for (counter, high) in [(0, 0), (8, 0), (12345, 0), (u32::MAX - 15, 0), (0, 7)] {
                let found = stream(blocks, &key, counter, high, 2);
                let expected = expected(&key, counter, high, found.len());
                assert_eq!(found, expected, "{name}, key {key:x?}, counter {counter:#x}, {high}");
                for (block, number) in found.as_chunks::<BLOCK_BYTES>().0.iter().zip(0..) {
                    let one = scalar(&key, counter + number, high);
                    assert_eq!(*block, one, "{name}, key {key:x?}, counter {counter:#x}, {high}");
                }
            }
        }
        let key = [7; 8];
        let found = stream(blocks, &key, 0, 0, 50);
        assert_eq!(found, expected(&key, 0, 0, found.len()), "{name}, many groups");
    }
}

/// RFC 8439, appendix A.1: those test vectors whose nonce is zero.
#[test]
fn the_rfcs_vectors() {
    const ZERO_KEY_0: &str = "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7\
         da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586";
    const ZERO_KEY_1: &str = "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed\
         29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f";
    const LAST_BIT_1: &str = "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a\
         8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0";
    const SECOND_BYTE_2: &str = "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca\
         13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096";
    let key = |at: usize, byte: u8| {
        let mut key = [0_u8; 32];
        key[at] = byte;
        let (words, _) = key.as_chunks::<4>();
        std::array::from_fn(|index| u32::from_le_bytes(words[index]))
    };
    for (name, blocks) in ways() {
        for (key, block, expected) in [
            (key(0, 0), 0, ZERO_KEY_0),
            (key(0, 0), 1, ZERO_KEY_1),
            (key(31, 1), 1, LAST_BIT_1),
            (key(1, 0xff), 2, SECOND_BYTE_2),
        ] {
            let out = stream(blocks, &key, 0, 0, 1);
            let found = &out[block * BLOCK_BYTES..][..BLOCK_BYTES];
            let found: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(found, expected, "{name}");
        }
    }
}

/// As a batch is made: the next key goes where the key is.
#[test]
fn the_key_may_be_overwritten() {
    for (name, blocks) in ways() {
        let key = [3, 1, 4, 1, 5, 9, 2, 6];
        let mut memory = [0_u32; GROUP_BYTES / 4];
        memory[..8].copy_from_slice(&key);
        let mut scratch = [0; SCRATCH_BYTES];
        let start = memory.as_mut_ptr();
        // SAFETY: one group's memory, whose first words are the key.
        unsafe { blocks(start.cast(), 1, start.cast(), 24, 0, &mut scratch) };
        let found: Vec<u8> = memory.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(found, expected(&key, 24, 0, GROUP_BYTES), "{name}");
    }
}
