//! What a caller keeps for us: a key, random bytes that nobody has had yet, and where they stand.
//!
//! The memory may become all zeros at any instruction: after a fork, or when the kernel drops it. Then
//! the generation is none that there is, and whatever was made of the rest meanwhile is thrown away. A
//! signal handler may use it at any instruction, too, unless it is in use.

use core::mem::offset_of;

use crate::arch;

/// The caller's memory. Every field is read and written through pointers, as the kernel may zero it.
#[repr(C)]
pub struct State {
    /// Of the key; zero: there is none.
    generation: u64,
    /// How many of `batch` have been given out.
    given: u32,
    /// One while a call is at work here: a signal handler's finds it and leaves the state alone.
    in_use: u32,
    unused: [u8; 48],
    /// Where the generator puts what it has no register for.
    scratch: [u8; arch::RANDOM_SCRATCH_BYTES],
    /// The next batch's. The generator's output begins here, so a key is gone as soon as it was used.
    key: [u32; 8],
    batch: [u8; BATCH_BYTES],
}

/// Bytes of several blocks that are generated at once.
pub const GROUP_BYTES: usize = 512;
/// The bytes of a group that are not the next key.
const BATCH_BYTES: usize = GROUP_BYTES - size_of::<[u32; 8]>();

const _: () = {
    // Line by line of the cache, and several in each page of memory.
    assert!(size_of::<State>() == 640);
    assert!(offset_of!(State, batch) == offset_of!(State, key) + 32);
};

/// A state that can be read and written, but for a page that the kernel drops.
#[derive(Clone, Copy)]
pub struct StatePointer(*mut State);

impl StatePointer {
    /// # Safety
    /// `state` must be aligned as a `u64` and its memory the caller's, in one page, as long as the result
    /// is used; nobody else may use it meanwhile but a signal handler in a call of ours.
    #[inline(always)]
    pub unsafe fn new(state: *mut State) -> Self {
        Self(state)
    }

    #[inline(always)]
    pub fn generation(self) -> u64 {
        // SAFETY: readable and aligned, by the promise of `new`; so all below.
        unsafe { (&raw const (*self.0).generation).read_volatile() }
    }

    #[inline(always)]
    pub fn set_generation(self, generation: u64) {
        // SAFETY: as above.
        unsafe { (&raw mut (*self.0).generation).write_volatile(generation) };
    }

    #[inline(always)]
    pub fn is_in_use(self) -> bool {
        // SAFETY: as above.
        unsafe { (&raw const (*self.0).in_use).read_volatile() != 0 }
    }

    /// Not before, or after, anything that is done to the state.
    #[inline(always)]
    pub fn set_in_use(self, is_in_use: bool) {
        arch::compiler_fence();
        // SAFETY: as above.
        unsafe { (&raw mut (*self.0).in_use).write_volatile(u32::from(is_in_use)) };
        arch::compiler_fence();
    }

    /// Whether what was read of the state since it was put in use is of one key, and that of the generation
    /// that there is now. A child of a fork in a signal handler may have used the wiped state meanwhile:
    /// then it has a key again, but is not in use.
    #[inline(always)]
    pub fn is_kept(self, generation: u64) -> bool {
        arch::compiler_fence();
        self.generation() == generation && self.is_in_use()
    }

    /// How many bytes can be given out before there must be a new batch.
    #[inline(always)]
    pub fn remaining(self) -> usize {
        // SAFETY: as above.
        let given = unsafe { (&raw const (*self.0).given).read_volatile() } as usize;
        // The memory is the caller's, who may have written anything.
        BATCH_BYTES.saturating_sub(given)
    }

    #[inline(always)]
    fn set_remaining(self, remaining: usize) {
        // SAFETY: as above.
        unsafe { (&raw mut (*self.0).given).write_volatile((BATCH_BYTES - remaining) as u32) };
    }

    /// Moves the first `len` of the `remaining` bytes to `buffer`: they are not here any more.
    ///
    /// # Safety
    /// `buffer` must be writable for `len` bytes, and `remaining` what [`remaining`](Self::remaining) said;
    /// `len` is no more than that.
    #[inline(always)]
    pub unsafe fn move_to(self, buffer: *mut u8, len: usize, remaining: usize) {
        // SAFETY: as above; `remaining` is at most the whole batch.
        let batch = unsafe { (&raw mut (*self.0).batch).cast::<u8>().add(BATCH_BYTES - remaining) };
        // SAFETY: `len` is at most `remaining`, so this ends with the batch; the caller's buffer is no part of
        // a state.
        unsafe { arch::move_random(buffer, batch, len) };
        self.set_remaining(remaining - len);
    }

    /// Where a fresh key is to be written; the batch of the old one is forgotten.
    #[inline(always)]
    pub fn key_to_fill(self) -> *mut [u32; 8] {
        self.set_remaining(0);
        // SAFETY: as above.
        unsafe { &raw mut (*self.0).key }
    }

    /// Fills `groups` of [`GROUP_BYTES`] with the key's stream, from its beginning.
    ///
    /// # Safety
    /// `buffer` must be writable for them, and the key be replaced before the next of these.
    #[inline(always)]
    pub unsafe fn generate(self, buffer: *mut u8, groups: usize) {
        // SAFETY: as above, and the caller's promise.
        unsafe { self.blocks(buffer, groups, 0) };
    }

    /// A new key and a batch from the key's stream, behind `groups` that were generated before.
    #[inline(always)]
    pub fn refill(self, groups: usize) {
        // SAFETY: key and batch are one group, and our own; the generator has read the key before it
        // writes the block that takes the key's place, which it does last.
        unsafe { self.blocks((&raw mut (*self.0).key).cast(), 1, groups as u32 * BLOCKS_IN_GROUP) };
        self.set_remaining(BATCH_BYTES);
    }

    #[inline(always)]
    unsafe fn blocks(self, out: *mut u8, groups: usize, counter: u32) {
        // SAFETY: as above.
        let (key, scratch) = unsafe { (&raw const (*self.0).key, &raw mut (*self.0).scratch) };
        // SAFETY: both are the state's, and the caller answers for `out`.
        unsafe { arch::random_blocks(out, groups, key, counter, scratch) };
    }
}

const BLOCKS_IN_GROUP: u32 = (GROUP_BYTES / 64) as u32;

/// Whether this address is that of a state: in one page of memory, which is dropped as one.
#[inline(always)]
pub fn is_in_one_page(state: *const State) -> bool {
    state.addr() % arch::PAGE_BYTES + size_of::<State>() <= arch::PAGE_BYTES
}

/// What a caller asks for before it has any state: `struct vgetrandom_opaque_params`, 16 words of 32 bits,
/// by twos.
#[repr(C)]
pub struct Params([u64; 8]);

impl Params {
    /// # Safety
    /// `params` must be writable, though not aligned.
    #[inline(always)]
    pub unsafe fn write_to(params: *mut Self) {
        /// `PROT_READ | PROT_WRITE`.
        const PROTECTION: u64 = 0x1 | 0x2;
        /// `MAP_DROPPABLE | MAP_ANONYMOUS`: `include/uapi/linux/mman.h` (Linux 6.11).
        const FLAGS: u64 = 0x08 | 0x20;
        const STATE_BYTES: u64 = size_of::<State>() as u64;
        let words = [PROTECTION << 32 | STATE_BYTES, FLAGS, 0, 0, 0, 0, 0, 0];
        for (index, word) in words.into_iter().enumerate() {
            // SAFETY: within the structure, for which the caller answers.
            unsafe { params.cast::<u64>().add(index).write_unaligned(word) };
        }
    }
}
