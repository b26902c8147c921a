//! A thread's block of counts: finding it, and taking one. `vdso_data::counts` has the layout.

use core::hint::black_box;
use core::mem::offset_of;
use core::ptr;

use vdso_data::counts::{self, BLOCKS, Block, Counts, KEY, SLOTS, TAKEN, Table};
use vdso_data::process::ProcessPage;
use vdso_data::sync::{AtomicU64, Ordering};

use crate::arch;

/// How many slots behind a key's first one are looked at.
const PROBES: usize = 16;

/// `PR_GET_NAME` of `include/uapi/linux/prctl.h`.
const GET_NAME: u32 = 16;

/// The thread that calls: its thread pointer, and the table in which that is looked for. `None` where threads are not told
/// apart, as programs may then not read it either.
#[derive(Clone, Copy)]
pub struct Caller(Option<(&'static Table, u64)>);

impl Caller {
    /// This thread.
    #[inline(always)]
    pub fn current() -> Self {
        Self(table().map(|table| (table, arch::thread_pointer())))
    }

    /// Adds one to a word of its block; no if that takes more than a look, and nothing has been counted.
    #[inline(always)]
    pub fn count_at_once(self, word: usize) -> bool {
        let Some((table, thread_pointer)) = self.0 else { return false };
        let slot = counts::first_slot(thread_pointer);
        let (Some(key), Some(block_addr)) = (table.keys.get(slot), table.block_addrs.get(slot)) else {
            return false;
        };
        // Relaxed: this thread alone puts its key there, after all else.
        if key.load(Ordering::Relaxed) != thread_pointer.wrapping_add(KEY) {
            return false;
        }
        // SAFETY: a block of this thread's alone, as its key is beside its address.
        unsafe { increment(block_addr.load(Ordering::Relaxed), word) };
        true
    }

    /// Adds one in any case, and gives the call's result: the last thing that a function does.
    #[inline(always)]
    pub fn count<T>(self, word: usize, result: T) -> T {
        if self.count_at_once(word) { result } else { count_rarely(word, result) }
    }
}

/// That of this process; `None` if its threads are not told apart.
#[inline(always)]
fn table() -> Option<&'static Table> {
    let addr = arch::process_page_u64::<{ offset_of!(ProcessPage, counts_table_addr) }>();
    // SAFETY: where the process page names a table, whoever made that page has mapped one, for as long; null is none.
    unsafe { (addr as *const Table).as_ref() }
}

/// # Safety
/// The block must be this thread's alone.
#[inline(always)]
unsafe fn increment(block_addr: u64, word: usize) {
    let within = offset_of!(Block, counts) + word * size_of::<AtomicU64>();
    // SAFETY: the caller's promise.
    unsafe { arch::increment(block_addr.wrapping_add(within as u64)) };
}

/// Adds one to a word of the thread's block, which may be its first, and gives the call's result. The compiler does not know
/// that it is the same: it would go on behind this call, and save registers for that.
#[cold]
#[inline(never)]
pub fn count_rarely<T>(word: usize, result: T) -> T {
    add(word);
    black_box(result)
}

fn add(word: usize) {
    let counts_addr = arch::process_page_u64::<{ offset_of!(ProcessPage, counts_addr) }>();
    if counts_addr == 0 {
        return;
    }
    // SAFETY: where the process page names counts, whoever made that page has mapped them, writable, for as long.
    let counts = unsafe { &*(counts_addr as *const Counts) };
    match own_block_addr(counts) {
        // SAFETY: a block of this thread's alone.
        Some(block_addr) => unsafe { increment(block_addr, word) },
        None => {
            if let Some(count) = counts.common.counts.get(word) {
                // Relaxed: a number that stands for itself.
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The address of the thread's block, which it takes now if it has none; `None` if there is none for it.
fn own_block_addr(counts: &Counts) -> Option<u64> {
    let table = table()?;
    let thread_pointer = arch::thread_pointer();
    if thread_pointer == 0 {
        // Of any number of threads.
        return None;
    }
    let wanted = thread_pointer.wrapping_add(KEY);
    let first = counts::first_slot(thread_pointer);
    for probe in 0..PROBES {
        let slot = (first + probe) % SLOTS;
        let (key, block_addr) = (table.keys.get(slot)?, table.block_addrs.get(slot)?);
        // Acquire: pairs with the store of the key below, as another thread may have had this thread pointer.
        let found = key.load(Ordering::Acquire);
        if found == wanted {
            return Some(block_addr.load(Ordering::Relaxed));
        }
        // Relaxed: nothing is read of a slot before its key is there.
        if found == 0 && key.compare_exchange(0, TAKEN, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let taken = take_block(counts);
            block_addr.store(taken.unwrap_or(0), Ordering::Relaxed);
            let filled = if taken.is_some() { wanted } else { 0 };
            // Release: whoever sees the key sees the address. A child of a signal's handler that forked in between has an
            // empty slot here, and not this block.
            let is_kept = key.compare_exchange(TAKEN, filled, Ordering::Release, Ordering::Relaxed).is_ok();
            return taken.filter(|_| is_kept);
        }
    }
    None
}

/// The address of a block that nobody has had, with the thread's name in it.
fn take_block(counts: &Counts) -> Option<u64> {
    // Relaxed: only the number matters.
    let number = counts.next.fetch_add(1, Ordering::Relaxed);
    let block = counts.blocks.get(usize::try_from(number).ok().filter(|&number| number < BLOCKS)?)?;
    // Relaxed: a program's own filter is installed after this was written.
    if counts.is_silent.load(Ordering::Relaxed) == 0 {
        let mut name = [0_u64; 2];
        // SAFETY: the kernel writes 16 bytes there and nothing else.
        unsafe { arch::syscall_6(arch::number::PRCTL, &[GET_NAME.into(), name.as_mut_ptr().expose_provenance() as u64, 0, 0, 0, 0]) };
        for (word, part) in block.name.iter().zip(name) {
            word.store(part, Ordering::Relaxed);
        }
        // SAFETY: only asks.
        let [pid, tid] = [arch::number::GETPID, arch::number::GETTID].map(|number| unsafe { arch::syscall_6(number, &[0; 6]) });
        block.tid.store(tid as u32, Ordering::Relaxed);
        block.pid.store(pid as u32, Ordering::Relaxed);
    }
    Some(ptr::from_ref(block).expose_provenance() as u64)
}
