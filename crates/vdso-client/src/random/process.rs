//! Whether the pool is this process's own. A child of vfork(2), or of a clone that shares memory, has the
//! pool of another process: that one's threads are none that it finds alive, its own number is gone as soon
//! as it has ended, and what it puts into a thread-local variable, its parent finds there. So it may draw
//! from what its parent has, but claims nothing.
//!
//! The first process that asks is taken for the owner. If that is such a child, of a parent that has never
//! drawn, it is the parent whose other threads make system calls from then on.

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::arch::{self, NUMBERS};
use crate::errno::Errno;
use crate::memory::{self, PAGE_BYTES};

/// The owner's number; zero: nobody has asked since this memory was new, or a forked child's.
static OWNER: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

/// Whether the pool is of this process: since it was made, or since the fork that has copied it.
pub fn owns_pool() -> bool {
    let Some(owner) = owner() else { return false };
    let process = process_id();
    // Relaxed: the number stands for itself.
    match owner.compare_exchange(0, process, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => true,
        Err(owner) => owner == process,
    }
}

/// `None` if there is no memory of this kind.
fn owner() -> Option<&'static AtomicU32> {
    // Relaxed: the page is the kernel's work, there before anybody knows of it; so below.
    let known = OWNER.load(Ordering::Relaxed);
    let owner = NonNull::new(known).or_else(make_owner)?;
    // SAFETY: a page that was put there stays, and nothing but this number is ever in it.
    Some(unsafe { owner.as_ref() })
}

/// Who comes second finds the first one's.
fn make_owner() -> Option<NonNull<AtomicU32>> {
    let page = memory::map_wiped_on_fork(PAGE_BYTES)?;
    let new = page.cast().as_ptr();
    let relaxed = Ordering::Relaxed;
    let Err(known) = OWNER.compare_exchange(ptr::null_mut(), new, relaxed, relaxed) else {
        return Some(page.cast());
    };
    // SAFETY: it was not put there, so nobody knows of it.
    unsafe { memory::unmap(page, PAGE_BYTES) };
    NonNull::new(known)
}

/// The process that this is. The kernel is asked, as what [`ids`](crate::ids) keeps is the parent's in a child that
/// shares its memory.
fn process_id() -> u32 {
    // SAFETY: it takes nothing.
    unsafe { arch::system_call(NUMBERS.getpid, [0; 6]) as u32 }
}

/// The thread that this is, asked for the same reason.
#[cfg(feature = "std")]
pub fn thread_id() -> u32 {
    // SAFETY: it takes nothing.
    unsafe { arch::system_call(NUMBERS.gettid, [0; 6]) as u32 }
}

/// Whether a thread of this process has the number.
pub(crate) fn is_alive(thread: u32) -> bool {
    let arguments = [process_id() as usize, thread as usize, 0, 0, 0, 0];
    // SAFETY: signal 0 is not sent, only looked at whether it could be.
    let answer = unsafe { arch::system_call(NUMBERS.tgkill, arguments) };
    Errno::check(answer) != Err(Errno::ESRCH)
}
