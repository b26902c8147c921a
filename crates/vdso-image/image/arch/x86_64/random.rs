//! What `getrandom` needs of the processor: ChaCha20, memory that is erased as it is read, the system
//! call.

use core::arch::asm;
use core::ptr;
use core::sync::atomic::{self, Ordering};

use vdso_data::process::FLAG_AVX2;

use super::{NUMBERS, chacha};
use crate::pages;

pub use chacha::SCRATCH_BYTES as RANDOM_SCRATCH_BYTES;

/// Bytes of a page of memory.
pub const PAGE_BYTES: usize = 4096;

/// Keeps the compiler from moving memory accesses past this. The processor does not matter: who else
/// uses a state is a signal handler, or the kernel, which drops it whole.
#[inline(always)]
pub fn compiler_fence() {
    atomic::compiler_fence(Ordering::SeqCst);
}

/// Writes `groups` of 512 bytes of ChaCha20's stream for `key`, from block number `counter` on; first the
/// last.
///
/// # Safety
/// `out` must be writable for them, `key` readable, `scratch` writable. The key may be where the first
/// block goes.
#[inline(always)]
pub unsafe fn random_blocks(
    out: *mut u8,
    groups: usize,
    key: *const [u32; 8],
    counter: u32,
    scratch: *mut [u8; RANDOM_SCRATCH_BYTES],
) {
    if pages::has_flags(FLAG_AVX2) {
        // SAFETY: the processor has AVX2; the caller's promise is passed on.
        unsafe { chacha::avx2(out, groups, key, counter, 0, scratch) };
    } else {
        // SAFETY: the caller's promise is passed on.
        unsafe { chacha::sse2(out, groups, key, counter, 0, scratch) };
    }
}

/// Moves `len` bytes: where they were, zeros are.
///
/// # Safety
/// `from` and `to` must be readable and writable for `len` bytes, and apart.
#[inline(always)]
pub unsafe fn move_random(to: *mut u8, from: *mut u8, len: usize) {
    if len >= 16 {
        // SAFETY: the caller's promise, and `len` is large enough.
        unsafe { move_by_16(to, from, len) };
    } else if len >= 8 {
        // SAFETY: as above; so all below.
        unsafe { move_ends::<u64>(to, from, len) };
    } else if len >= 4 {
        // SAFETY: as above.
        unsafe { move_ends::<u32>(to, from, len) };
    } else if len >= 2 {
        // SAFETY: as above.
        unsafe { move_ends::<u16>(to, from, len) };
    } else if len == 1 {
        // SAFETY: as above.
        unsafe { move_ends::<u8>(to, from, len) };
    }
}

/// Moves one or two words, which may overlap.
///
/// # Safety
/// As for [`move_random`], with `len` from one to two words of `Word`.
#[inline(always)]
unsafe fn move_ends<Word: Copy + Default>(to: *mut u8, from: *mut u8, len: usize) {
    let last = len - size_of::<Word>();
    // SAFETY: within `len` bytes, which the caller answers for.
    let (from_last, to_last) = unsafe { (from.add(last), to.add(last)) };
    // SAFETY: readable, as above; so is the next.
    let first_word: Word = unsafe { ptr::read_unaligned(from.cast()) };
    // SAFETY: as above.
    let last_word: Word = unsafe { ptr::read_unaligned(from_last.cast()) };
    for (place, word) in [
        (from, Word::default()),
        (from_last, Word::default()),
        (to, first_word),
        (to_last, last_word),
    ] {
        // SAFETY: writable, as above.
        unsafe { ptr::write_unaligned(place.cast(), word) };
    }
}

/// Moves 16 bytes or more. The last 16 are read before anything is erased, as the ones before them may
/// overlap them.
///
/// # Safety
/// As for [`move_random`], with `len` of at least 16.
#[inline(always)]
unsafe fn move_by_16(to: *mut u8, from: *mut u8, len: usize) {
    // SAFETY: reads and writes within `len` bytes of both; leaves nothing in the registers.
    unsafe {
        asm!(
            "movdqu xmm1, [{from} + {last}]",
            "pxor xmm2, xmm2",
            "test {last}, {last}",
            "jz 3f",
            "2:",
            "movdqu xmm0, [{from} + {at}]",
            "movdqu [{from} + {at}], xmm2",
            "movdqu [{to} + {at}], xmm0",
            "add {at}, 16",
            "cmp {at}, {last}",
            "jb 2b",
            "3:",
            "movdqu [{from} + {last}], xmm2",
            "movdqu [{to} + {last}], xmm1",
            "pxor xmm0, xmm0",
            "pxor xmm1, xmm1",
            to = in(reg) to,
            from = in(reg) from,
            last = in(reg) len - 16,
            at = inout(reg) 0_usize => _,
            out("xmm0") _,
            out("xmm1") _,
            out("xmm2") _,
            options(nostack),
        );
    };
}

/// # Safety
/// `buffer` may be anything: the kernel checks it.
#[inline(always)]
pub unsafe fn syscall_getrandom(buffer: *mut u8, len: usize, flags: u32) -> isize {
    // SAFETY: the kernel writes to `buffer` and nothing else.
    unsafe { vdso_arch::system_call!(NUMBERS.getrandom, buffer, len, flags) }
}

/// Fills `buffer` with the processor's random numbers, and says whether it had enough of them.
///
/// # Safety
/// `buffer` must be writable for `len` bytes; the CPU must have RDRAND.
#[inline(always)]
pub unsafe fn fill_by_rdrand(buffer: *mut u8, len: usize) -> bool {
    let missing: usize;
    // SAFETY: writes `len` bytes from `buffer` on; leaves nothing in the register.
    unsafe {
        asm!(
            "test {missing}, {missing}",
            "jz 6f",
            "2:",
            // Ten failures in a row are a broken generator, says Intel's guide to its implementation.
            "mov {tries:e}, 10",
            "3:",
            "rdrand {word}",
            "jc 4f",
            "dec {tries:e}",
            "jnz 3b",
            "jmp 6f",
            "4:",
            "cmp {missing}, 8",
            "jb 5f",
            "mov [{to}], {word}",
            "add {to}, 8",
            "sub {missing}, 8",
            "jnz 2b",
            "jmp 6f",
            "5:",
            "mov [{to}], {word:l}",
            "shr {word}, 8",
            "inc {to}",
            "dec {missing}",
            "jnz 5b",
            "6:",
            "xor {word:e}, {word:e}",
            to = inout(reg) buffer => _,
            missing = inout(reg) len => missing,
            tries = out(reg) _,
            word = out(reg) _,
            options(nostack),
        );
    };
    missing == 0
}
