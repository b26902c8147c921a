//! A thread's block of counts: finding it, and taking one. `vdso_data::counts` has the layout.

use core::mem::offset_of;
use core::ptr;

use vdso_data::counts::{self, BLOCKS, Block, Counts, KEY, SLOTS, Slot, TAKEN, Table};
use vdso_data::process::ProcessPage;
use vdso_data::sync::{AtomicU64, Ordering};

use crate::arch;

/// How many slots behind a key's first one are looked at.
const PROBES: usize = 16;

/// `PR_GET_NAME` of `include/uapi/linux/prctl.h`.
const GET_NAME: u32 = 16;

/// Adds one to a word of the thread's block, if that is found at once; no if it is not, and nothing has been counted.
#[inline(always)]
pub fn add(word: usize) -> bool {
    let table_addr = arch::process_page_u64::<{ offset_of!(ProcessPage, counts_table_addr) }>();
    if table_addr == 0 {
        return false;
    }
    let key = arch::thread_pointer().wrapping_add(KEY);
    let slot_addr = table_addr.wrapping_add((counts::first_slot(key) * size_of::<Slot>()) as u64);
    // SAFETY: where the process page names a table, whoever made that page has mapped one, for as long, and the place
    // of a first slot is within it.
    let slot = unsafe { &*(slot_addr as *const Slot) };
    // Relaxed: this thread alone puts its key there, after all else.
    if slot.key.load(Ordering::Relaxed) != key {
        return false;
    }
    let word_addr = slot.block_addr.load(Ordering::Relaxed).wrapping_add(word_offset(word));
    // SAFETY: a block of this thread's alone, as its key was beside its address.
    unsafe { arch::increment(word_addr) };
    true
}

/// The same in any case.
#[cold]
#[inline(never)]
pub fn add_rarely(word: usize) {
    let counts_addr = arch::process_page_u64::<{ offset_of!(ProcessPage, counts_addr) }>();
    if counts_addr == 0 {
        return;
    }
    // SAFETY: where the process page names counts, whoever made that page has mapped them, writable, for as long.
    let counts = unsafe { &*(counts_addr as *const Counts) };
    match own_block_addr(counts) {
        // SAFETY: a block of this thread's alone.
        Some(block_addr) => unsafe { arch::increment(block_addr.wrapping_add(word_offset(word))) },
        None => {
            if let Some(count) = counts.common.counts.get(word) {
                // Relaxed: a number that stands for itself.
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

const fn word_offset(word: usize) -> u64 {
    (offset_of!(Block, counts) + word * size_of::<AtomicU64>()) as u64
}

/// The address of the thread's block, which it takes now if it has none; `None` if there is none for it.
fn own_block_addr(counts: &Counts) -> Option<u64> {
    let table_addr = arch::process_page_u64::<{ offset_of!(ProcessPage, counts_table_addr) }>();
    // SAFETY: as of `add`; null is none.
    let table = unsafe { (table_addr as *const Table).as_ref() }?;
    let thread_pointer = arch::thread_pointer();
    if thread_pointer == 0 {
        // Of any number of threads.
        return None;
    }
    let key = thread_pointer.wrapping_add(KEY);
    let first = counts::first_slot(key);
    for probe in 0..PROBES {
        let slot = table.get((first + probe) % SLOTS)?;
        // Acquire: pairs with the store of the key below, as another thread may have had this thread pointer.
        let found = slot.key.load(Ordering::Acquire);
        if found == key {
            return Some(slot.block_addr.load(Ordering::Relaxed));
        }
        // Relaxed: nothing is read of a slot before its key is there.
        let is_taken = |from, to| slot.key.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if found == 0 && is_taken(0, TAKEN) {
            let block_addr = take_block(counts);
            slot.block_addr.store(block_addr.unwrap_or(0), Ordering::Relaxed);
            let key = if block_addr.is_some() { key } else { 0 };
            // Release: whoever sees the key sees the address. A child of a signal's handler that forked in between has an
            // empty slot here, and not this block.
            let is_kept = slot.key.compare_exchange(TAKEN, key, Ordering::Release, Ordering::Relaxed).is_ok();
            return block_addr.filter(|_| is_kept);
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
