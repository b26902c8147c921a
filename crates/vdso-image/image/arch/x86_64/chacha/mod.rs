//! ChaCha20 (RFC 8439), several blocks at once: a register has the same word of each of them.
//!
//! By hand, as a compiler would put on the stack what it has no register for: here that goes to memory
//! of the caller's, and is erased. The sixteen words of a block's state are, in rows of four, `a` (the
//! constants), `b` and `c` (the key), `d` (number of the block, nonce). Twelve rows stay in registers;
//! of `c`, two are in registers and two in memory, and change places twice in a double round.
//!
//! The constants have a section of their own, as the image may have no others.
//!
//! This folder uses nothing of the image's, so that tests can compile it by itself.
//!
//! Both ways take the same: `out` for `groups` of eight blocks, of which the first has the number `counter`;
//! the `key`; and `scratch`. The blocks are written from the last to the first, so the key may be where the
//! first one goes. The upper word of all their numbers is `high`, and the lower may not overflow.

mod avx2;
mod sse2;

pub use avx2::blocks as avx2;
pub use sse2::blocks as sse2;

/// Memory that the code needs; it is zeroed again.
pub const SCRATCH_BYTES: usize = 64;

/// "expand 32-byte k".
#[unsafe(link_section = ".rodata.chacha")]
static CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

#[repr(C, align(32))]
struct Aligned<T>(T);

/// The numbers of the blocks that are made at once, from the first one's.
#[unsafe(link_section = ".rodata.chacha")]
static NUMBERS: Aligned<[u32; 8]> = Aligned([0, 1, 2, 3, 4, 5, 6, 7]);

/// A double round is four times two quarter rounds: columns, then diagonals. `$two` is a macro that takes
/// the registers' numbers of two quarter rounds, `$swap` the instruction lines that exchange the rows of
/// `c`.
macro_rules! double_round {
    ($two:ident, $swap:expr) => {
        concat!(
            $two!("0" "4" "8" "12", "1" "5" "9" "13"),
            $swap,
            $two!("2" "6" "8" "14", "3" "7" "9" "15"),
            $two!("0" "5" "8" "15", "1" "6" "9" "12"),
            $swap,
            $two!("2" "7" "8" "13", "3" "4" "9" "14"),
        )
    };
}

use double_round;
