//! The image's ChaCha20 under the name by which the kernel's vdso_test_chacha calls it: an object file for
//! `cargo xtask selftests`, by rustc alone, with `--cfg way="sse2"` or `"avx2"`.
//!
//! The image makes groups of eight blocks and never comes to the end of the 32 bits of a block's number;
//! the test asks for any number of blocks, across that end. So groups are made as long as that works out,
//! and then groups of which only the first block is taken.

#![no_std]

#[path = "../../crates/vdso-image/image/arch/x86_64/chacha/mod.rs"]
#[allow(dead_code)]
mod chacha;

#[cfg(way = "avx2")]
use chacha::avx2 as blocks;
#[cfg(way = "sse2")]
use chacha::sse2 as blocks;

const BLOCK_BYTES: usize = 64;
const BLOCKS_IN_GROUP: u32 = 8;
const GROUP_BYTES: usize = BLOCKS_IN_GROUP as usize * BLOCK_BYTES;

/// # Safety
/// As the kernel's, `arch/x86/entry/vdso/vgetrandom-chacha.S` (Linux 6.12): `out` has room for `count`
/// blocks, and `counter` is the number of the first, and of the first that is not made.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __arch_chacha20_blocks_nostack(
    mut out: *mut u8,
    key: *const [u32; 8],
    counter: *mut [u32; 2],
    count: usize,
) {
    let mut scratch = [0; chacha::SCRATCH_BYTES];
    let mut left = count;
    while left > 0 {
        // SAFETY: the caller's.
        let [low, high] = unsafe { counter.read() };
        let is_whole =
            left >= BLOCKS_IN_GROUP as usize && low.checked_add(BLOCKS_IN_GROUP).is_some();
        let made = if is_whole {
            // SAFETY: there is room for a group; the rest is the caller's, or ours.
            unsafe { blocks(out, 1, key, low, high, &mut scratch) };
            BLOCKS_IN_GROUP
        } else {
            let mut group = [0; GROUP_BYTES];
            // SAFETY: as above, and the group is ours.
            unsafe { blocks(group.as_mut_ptr(), 1, key, low, high, &mut scratch) };
            // SAFETY: there is room for a block.
            unsafe { out.copy_from_nonoverlapping(group.as_ptr(), BLOCK_BYTES) };
            1
        };
        let (low, is_over) = low.overflowing_add(made);
        // SAFETY: as above.
        unsafe { counter.write([low, high.wrapping_add(u32::from(is_over))]) };
        // SAFETY: within the room, or its end.
        out = unsafe { out.add(made as usize * BLOCK_BYTES) };
        left -= made as usize;
    }
}
