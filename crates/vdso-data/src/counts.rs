//! The counts of calls that an image keeps which counts: in memory that all programs of a launch share, and a
//! launcher reads.
//!
//! ```text
//! table of one process, private          counts, shared by all processes of a launch
//! ┌───────────────┬───────────────┐      ┌────────┬─────────┬─────────┬ ─ ─
//! │ thread pointer│ its block     │ ───► │ header │ block 1 │ block 2 │
//! └───────────────┴───────────────┘      └────────┴─────────┴─────────┴ ─ ─
//! ```
//!
//! A thread has a [`Block`] of its own, which nobody else writes, so one instruction that adds one is exact, whatever
//! interrupts it. It finds its block by its thread pointer in the [`Table`] of its process. The kernel empties that table in a
//! child of `fork` (`MADV_WIPEONFORK`), so the child finds none of its parent's blocks and takes others. Threads
//! without a block share [`Counts::common`], by instructions that hold the memory while they add.
//!
//! Any program of the launch can write anything here. An image only follows addresses of its own process's table, and
//! whoever reads the counts takes them for numbers and no more.

use crate::clock;
use crate::sync::{AtomicU32, AtomicU64};

/// How many clocks are told apart: those whose id is a small number, and one place for all others, such as a
/// process's CPU time.
pub const CLOCKS: usize = 17;

/// Which clock's place the clock `id` has.
#[inline(always)]
pub const fn clock_place(id: u32) -> usize {
    const OTHERS: u32 = CLOCKS as u32 - 1;
    if id < OTHERS { id as usize } else { OTHERS as usize }
}

/// What is counted. Each has a word of a block's, from the number that it is given here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Counter {
    /// Calls of `clock_gettime`, a word for each clock's place.
    ClockGettime = 0,
    /// Calls of `clock_getres`, by clock as well.
    ClockGetres = CLOCKS,
    /// Calls of `gettimeofday`.
    Gettimeofday = 2 * CLOCKS,
    /// Calls of `time`.
    Time,
    /// Calls of `getcpu`.
    Getcpu,
    /// Calls of `getrandom`.
    Getrandom,
    /// Reads of a clock, by any function, that the kernel was asked for: a word for each clock's place.
    AskedKernel,
    /// Reads of a clock that had to begin anew, as a page was written meanwhile: a word for each clock's place.
    Retried = Self::AskedKernel as usize + CLOCKS,
    /// Reads that the kernel was asked for as it does not use the counter.
    CounterUnused = Self::Retried as usize + CLOCKS,
    /// Reads that the kernel was asked for as the process is in a time namespace.
    TimeNamespace,
    /// Reads that the kernel was asked for as no page has that clock.
    NoPage,
    /// Reads that the kernel was asked for as a page said too little: it was stale, or never filled.
    Stale,
}

/// Words of a block.
pub const WORDS: usize = Counter::Stale as usize + 1;

impl Counter {
    /// The word of the clock `id`, of a counter that has one for each clock.
    #[inline(always)]
    pub const fn of_clock(self, id: u32) -> usize {
        self as usize + clock_place(id)
    }
}

/// What one thread has counted, or those that came after one another with the same thread pointer.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Block {
    /// The process's number as it sees it itself; zero if it was not asked, as a filter might kill for that.
    pub pid: AtomicU32,
    /// The thread's number, likewise.
    pub tid: AtomicU32,
    /// The thread's name when it took the block, as `PR_GET_NAME` gives it: ended by a zero.
    pub name: [AtomicU64; 2],
    /// The counts, by [`Counter`].
    pub counts: [AtomicU64; WORDS],
}

/// How many blocks there are.
pub const BLOCKS: usize = 4096;

/// The memory that a launch's programs share.
#[derive(Debug)]
#[repr(C)]
pub struct Counts {
    /// What those count that have no block: all blocks are taken, or the processor cannot tell threads apart.
    pub common: Block,
    /// How many blocks were asked for, which is the next one's number. Beyond [`BLOCKS`] there are none.
    pub next: AtomicU64,
    /// Not zero: whoever takes a block leaves the kernel alone, and the block without a name. Written by the launcher, before a
    /// program has a filter that would refuse these calls.
    pub is_silent: AtomicU32,
    /// The blocks.
    pub blocks: [Block; BLOCKS],
}

/// Bytes of that in whole pages.
pub const COUNTS_BYTES: usize = size_of::<Counts>().next_multiple_of(crate::PAGE_BYTES);

/// How many threads of a process can find their blocks.
pub const SLOTS: usize = 4096;

/// Where the threads of one process find their blocks.
#[derive(Debug)]
#[repr(C)]
pub struct Table {
    /// Of each slot the thread pointer and [`KEY`]; zero of one that is free, [`TAKEN`] of one that is about to be filled.
    pub keys: [AtomicU64; SLOTS],
    /// Of each slot the address of the block, once the key is there.
    pub block_addrs: [AtomicU64; SLOTS],
}

/// Bytes of a table: whole pages.
pub const TABLE_BYTES: usize = size_of::<Table>();

/// What is added to a thread pointer, so that zero is no key.
pub const KEY: u64 = 1;
/// No thread pointer's key, as these are aligned.
pub const TAKEN: u64 = 2;

/// In which slot a thread is looked for first.
#[inline(always)]
pub const fn first_slot(thread_pointer: u64) -> usize {
    /// 2^32 by the golden ratio: what is near each other, or at equal distances, is spread.
    const GOLDEN: u32 = 0x9e37_79b1;
    const SHIFT: u32 = u32::BITS - SLOTS.trailing_zeros();
    ((thread_pointer as u32).wrapping_mul(GOLDEN) >> SHIFT) as usize
}

const _: () = {
    // Two threads' blocks share no line of a cache.
    assert!(size_of::<Block>() % 64 == 0);
    assert!(TABLE_BYTES % crate::PAGE_BYTES == 0);
    // Every clock that an image computes has a place of its own.
    assert!(clock_place(clock::TAI) < CLOCKS - 1);
};
