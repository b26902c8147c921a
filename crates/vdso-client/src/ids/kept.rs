//! Where the ids are kept.
//!
//! ```text
//! the process's word, wiped on fork:   generation | id      0: nobody has asked
//!                                      generation | CLAIMED  somebody is asking
//! a thread's, in its own variable:     generation | id      of another generation: a parent's
//! ```
//!
//! A generation is a number that no process before this one in the line of its parents has had: it is counted in memory that
//! children inherit. Who asks puts a claim there before, and exchanges it for the answer: a handler in between that forks leaves
//! the child a word without the claim, so the answer, which is the parent's, is not kept there.

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use crate::arch::{self, NUMBERS};
use crate::errno::Errno;
use crate::memory::{self, PAGE_BYTES};
use crate::rseq;
use crate::system_call;

/// In place of an id. No id is as large. Source: `PID_MAX_LIMIT` in `include/linux/threads.h` (Linux 6.18).
const CLAIMED: u32 = 1 << 31;

/// The process's word; null: nobody has asked; [`NOTHING_KEPT`]: there is no such memory.
static WORD: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());

/// Always zero, so that nobody has to look for it.
static NOTHING_KEPT: AtomicU64 = AtomicU64::new(0);

/// The last generation of this process and its parents.
static GENERATION: AtomicU32 = AtomicU32::new(0);

#[cfg(feature = "std")]
std::thread_local! {
    /// A signal handler finds one word, old or new.
    static THREAD: AtomicU64 = const { AtomicU64::new(0) };
}

fn generation_of(word: u64) -> u32 {
    (word >> u32::BITS) as u32
}

fn word_of(generation: u32, id: u32) -> u64 {
    u64::from(generation) << u32::BITS | u64::from(id)
}

/// The process's word, if it has an id.
#[inline(always)]
fn current() -> Option<u64> {
    // Relaxed: a page of the kernel's, there before anybody knows of it; its word stands for itself.
    let word = NonNull::new(WORD.load(Ordering::Relaxed))?;
    // SAFETY: a static, or a page that stays, and nothing but this word is ever in it.
    let word = unsafe { word.as_ref() }.load(Ordering::Relaxed);
    (word as i32 > 0).then_some(word)
}

/// The process's id, if it is kept.
#[inline(always)]
pub fn process() -> Option<u32> {
    current().map(|word| word as u32)
}

/// This thread's, if it is kept.
#[cfg(feature = "std")]
#[inline(always)]
pub fn thread() -> Option<u32> {
    let process = current()?;
    let thread = THREAD.try_with(|thread| thread.load(Ordering::Relaxed)).ok()?;
    ((thread ^ process) >> u32::BITS == 0).then_some(thread as u32)
}

/// Asks for the process's id, and keeps it if it may.
#[cold]
pub fn ask_process() -> Result<u32, Errno> {
    let Some(word) = word().filter(|_| is_own_thread()) else { return system_call::getpid() };
    /// One is enough unless a handler forks or asks in the midst, or another thread asks.
    const TRIES: u32 = 4;
    for _ in 0..TRIES {
        let found = word.load(Ordering::Relaxed);
        if found as i32 > 0 {
            return Ok(found as u32);
        }
        let generation = next_generation();
        let claim = word_of(generation, CLAIMED);
        let exchange = |old, new| {
            word.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        if !exchange(found, claim) {
            continue;
        }
        let id = system_call::getpid()?;
        if exchange(claim, word_of(generation, id)) {
            return Ok(id);
        }
    }
    system_call::getpid()
}

/// Asks for this thread's id, and keeps it if it may.
#[cfg(feature = "std")]
#[cold]
pub fn ask_thread() -> Result<u32, Errno> {
    ask_process()?;
    let process = current().filter(|_| is_own_thread());
    let id = system_call::gettid()?;
    // After a fork in between it is of a generation that is over.
    if let Some(process) = process {
        let kept = word_of(generation_of(process), id);
        let _ = THREAD.try_with(|thread| thread.store(kept, Ordering::Relaxed));
    }
    Ok(id)
}

/// Not zero, which a thread's word begins with.
fn next_generation() -> u32 {
    match GENERATION.fetch_add(1, Ordering::Relaxed).wrapping_add(1) {
        0 => next_generation(),
        generation => generation,
    }
}

/// The process's word, which the first call makes.
fn word() -> Option<&'static AtomicU64> {
    let known = WORD.load(Ordering::Relaxed);
    let word = NonNull::new(known).unwrap_or_else(make_word);
    // SAFETY: as in `current`.
    Some(unsafe { word.as_ref() }).filter(|word| !ptr::eq(*word, &NOTHING_KEPT))
}

/// Who comes second finds the first one's.
fn make_word() -> NonNull<AtomicU64> {
    let page = memory::map_wiped_on_fork(PAGE_BYTES);
    let new = page.map_or(NonNull::from(&NOTHING_KEPT), NonNull::cast);
    let relaxed = Ordering::Relaxed;
    let Err(known) = WORD.compare_exchange(ptr::null_mut(), new.as_ptr(), relaxed, relaxed) else {
        return new;
    };
    if let Some(page) = page {
        // SAFETY: it was not put there, so nobody knows of it.
        unsafe { memory::unmap(page, PAGE_BYTES) };
    }
    NonNull::new(known).unwrap_or(NonNull::from(&NOTHING_KEPT))
}

/// Whether the one that asks is a thread with memory of its process's own: what it keeps, nobody of another process finds.
fn is_own_thread() -> bool {
    rseq::is_registered_by_libc() || has_word_to_clear()
}

/// Whether the kernel clears a word at this thread's end. A child is told no unless `CLONE_CHILD_CLEARTID` was asked for.
fn has_word_to_clear() -> bool {
    /// Linux 3.5, with `CONFIG_CHECKPOINT_RESTORE`. Source: `include/uapi/linux/prctl.h`.
    const PR_GET_TID_ADDRESS: usize = 40;
    // 64-bit kernels write as many to 32-bit programs.
    let address = AtomicU64::new(0);
    let arguments = [PR_GET_TID_ADDRESS, address.as_ptr().expose_provenance(), 0, 0, 0, 0];
    // SAFETY: it writes to `address`.
    let answer = unsafe { arch::system_call(NUMBERS.prctl, arguments) };
    Errno::check(answer).is_ok() && address.into_inner() != 0
}

/// Whatever is asked next asks the kernel.
pub(crate) fn forget() {
    if let Some(word) = NonNull::new(WORD.load(Ordering::Relaxed)) {
        // SAFETY: as in `current`.
        unsafe { word.as_ref() }.store(0, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use std::thread;

    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    use super::*;

    /// A child's word is wiped, so a claim that its parent has made is none there.
    #[test]
    fn what_a_parent_was_asking_for_is_not_kept_by_its_child() {
        let Some(word) = word() else { return };
        let generation = next_generation();
        let claim = word_of(generation, CLAIMED);
        word.store(claim, Ordering::Relaxed);
        // SAFETY: the child computes and ends.
        match unsafe { fork() }.expect("fork") {
            ForkResult::Child => {
                let relaxed = Ordering::Relaxed;
                let is_kept = word.compare_exchange(claim, 1, relaxed, relaxed).is_ok();
                let is_own = ask_process() == system_call::getpid();
                // SAFETY: ends at once.
                unsafe { libc::_exit(i32::from(is_kept || !is_own)) };
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
            }
        }
        assert_eq!(ask_process(), system_call::getpid());
    }

    #[test]
    fn a_claim_that_was_left_behind_stops_nobody() {
        let Some(word) = word() else { return };
        word.store(word_of(next_generation(), CLAIMED), Ordering::Relaxed);
        assert_eq!(process(), None);
        assert_eq!(ask_process(), system_call::getpid());
        // Another test may leave one meanwhile.
        thread::spawn(|| assert_eq!(ask_thread(), system_call::gettid())).join().expect("its id");
    }
}
