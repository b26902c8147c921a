//! The process's id and the thread's, kept: a later call makes no system call.
//!
//! ```
//! use vdso_client::ids::{process_id, thread_id};
//!
//! println!("process {}, thread {}", process_id()?, thread_id()?);
//! # Ok::<(), vdso_client::Errno>(())
//! ```
//!
//! # Across forks
//!
//! The ids are kept with a number that lies in memory which the kernel wipes in a forked child (`MADV_WIPEONFORK`, Linux 4.14). So a
//! child asks anew, however it was made: by fork(3), by fork(2) or clone(2) as plain system calls that no handler of a C library
//! sees, in a signal handler, in the midst of a call of these functions. unshare(2) and setns(2) with a PID namespace change the
//! ids of children alone, and those are forked. A new program (execve(2)) asks anew, too.
//!
//! # When not to use it
//!
//! A child that shares its parent's memory and is no thread of it (vfork(2), posix_spawn(3)'s, clone(2) with `CLONE_VM` alone) is
//! given its parent's ids, if its parent has asked: without a system call nothing tells the two apart. Between vfork and exec
//! use [`system_call::getpid`](crate::system_call::getpid). What such a child asks first is never kept, so the parent is always
//! given its own: an id is kept only if the kernel says of the thread that asks that it is registered by the C library
//! ([`rseq`](crate::rseq)), or that it has a word to be cleared at its end (`PR_GET_TID_ADDRESS`), as a C library's threads
//! have and such children have not. Two processes that share all memory for long and have both of that (two of the sort that
//! `CLONE_VM` with `CLONE_CHILD_CLEARTID` makes) must not use this.
//!
//! # What is asked of the kernel
//!
//! | when | system calls |
//! |---|---|
//! | a later call | none |
//! | a process's first, and a child's | getpid, rseq or prctl; mmap and madvise twice if the parent has never asked |
//! | a thread's first [`thread_id`], and a child's | gettid, rseq or prctl, and as above |
//! | [`thread_id`] without the feature `std`; both where nothing can be kept | getpid or gettid, and of threads that have neither registration nor word, rseq and prctl |
//!
//! Nothing is kept where memory cannot be wiped (before Linux 4.14, some emulators), and on architectures without 64-bit atomics.
//! All of it may be called in signal handlers.

#[cfg(target_has_atomic = "64")]
mod kept;

use crate::errno::Errno;
#[cfg(not(all(feature = "std", target_has_atomic = "64")))]
use crate::system_call;

#[cfg(target_has_atomic = "64")]
pub(crate) use self::kept::forget;

/// The process that this is, as getpid(2) says.
///
/// # Errors
/// Whatever a seccomp filter says.
#[inline(always)]
pub fn process_id() -> Result<u32, Errno> {
    #[cfg(target_has_atomic = "64")]
    return match kept::process() {
        Some(id) => Ok(id),
        None => kept::ask_process(),
    };
    #[cfg(not(target_has_atomic = "64"))]
    system_call::getpid()
}

/// The thread that this is, as gettid(2) says.
///
/// # Errors
/// Whatever a seccomp filter says.
#[inline(always)]
pub fn thread_id() -> Result<u32, Errno> {
    #[cfg(all(feature = "std", target_has_atomic = "64"))]
    return match kept::thread() {
        Some(id) => Ok(id),
        None => kept::ask_thread(),
    };
    #[cfg(not(all(feature = "std", target_has_atomic = "64")))]
    system_call::gettid()
}

/// There is nothing to forget.
#[cfg(not(target_has_atomic = "64"))]
pub(crate) fn forget() {}
