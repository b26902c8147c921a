//! Random bytes as good as the kernel's, without a system call: from the vDSO's `getrandom`, which a
//! kernel has from Linux 6.11 on (x86-64), on the other architectures a little later. The C library's
//! `getrandom` uses it from glibc 2.41 on; here it is for everybody else.
//!
//! ```
//! let mut key = [0; 32];
//! vdso_client::random::fill(&mut key)?;
//! # Ok::<(), vdso_client::Errno>(())
//! ```
//!
//! # What keeps it safe
//!
//! The function has a generator of its own for each thread, which takes its key from the kernel, throws
//! away what it has given, and takes a new key whenever the kernel has a new one or the process has
//! forked. Its [`State`] lives in memory that the kernel wipes in a forked child, never writes to a disk,
//! and takes back when it is short of memory (`MAP_DROPPABLE`); a state that is wiped begins anew.
//!
//! # Where the state is
//!
//! With the feature `std`, [`fill`] has one for each thread. Otherwise it makes system calls, and whoever
//! wants to spare them holds a [`State`] and asks that. A thread's state goes to another thread once it
//! has ended, so there are never many more than threads.
//!
//! All of it may be called in a signal handler, also in one that interrupts it: nothing is allocated but
//! by mmap(2), nothing locks, and a state that is in use is left alone (the system call is made).
//!
//! # What is asked of the kernel
//!
//! For filters of system calls (seccomp), and for whoever counts them:
//!
//! | when | system calls |
//! |---|---|
//! | each [`fill`] ([`try_fill`], [`u32()`], [`u64()`]), where there is no function | getrandom |
//! | a later [`fill`] of a thread, or of a [`State`] | none; getrandom when the kernel has a new key, if a signal handler has interrupted another fill, or if it needs one for itself |
//! | the first of a process | mmap three times, madvise |
//! | the next one of a thread after the kernel has taken the memory back, or after a [`reset`](crate::reset) | gettid, getrandom |
//! | the first of each thread, and the next one after a fork | gettid, getpid, getrandom; mmap twice if more threads than ever before have a state; tgkill and getpid for each state that may be of a thread which has ended |
//! | [`State::new`], and its first fill | as the first of a thread, but for gettid |
//! | the first of a process, without the feature `libc-auxv` | what [`auxv`](crate::auxv) says |
//!
//! A few more (munmap, getrandom) may be made where threads come at once. Where memory for states is
//! refused, a thousand calls make one system call each before the next one tries again.
//!
//! So a program that allows itself getrandom alone makes a [`State`] for each thread
//! before: that asks for nothing else then, whatever becomes of its memory. For [`fill`] it calls
//! [`prepare`] in each thread, and allows gettid, too: a thread whose memory was taken back, which the kernel
//! does when it is short of it, must know whether it has forked.
//!
//! # For the crate getrandom
//!
//! A program that is compiled with `--cfg getrandom_backend="custom"` says what the crate
//! [getrandom](https://docs.rs/getrandom) asks, and so all that takes its seeds from it:
//!
//! ```
//! #[unsafe(no_mangle)]
//! unsafe extern "Rust" fn __getrandom_v03_custom(
//!     buffer: *mut u8,
//!     length: usize,
//! ) -> Result<(), getrandom::Error> {
//!     // SAFETY: getrandom gives a buffer of this length; it need not be initialised.
//!     let buffer = unsafe { std::slice::from_raw_parts_mut(buffer.cast(), length) };
//!     match vdso_client::random::fill_uninit(buffer) {
//!         Ok(_) => Ok(()),
//!         Err(_) => Err(getrandom::Error::UNSUPPORTED),
//!     }
//! }
//! ```
//!
//! The repository has such a program:
//! <https://github.com/vdso-rs/vdso/tree/main/crates/vdso-client/examples/getrandom>.
//!
//! # What a copy of the memory is
//!
//! A checkpoint or a snapshot of a process that is restored twice restores the state twice, unless
//! whoever takes it leaves out memory that is wiped on fork: both then give the same bytes until they
//! take a new key. A virtual machine that is restored is told so by its host (VM generation ID), and
//! then every process takes a new key.

mod pool;
mod process;
#[cfg(feature = "rand_core")]
mod rand_core;
mod state;
#[cfg(feature = "std")]
mod thread;

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use crate::arch::{self, NUMBERS};
use crate::errno::Errno;

pub(crate) use self::pool::answers_enosys;
#[cfg(feature = "rand_core")]
pub use self::rand_core::Random;
pub use self::state::State;

/// Fills `buffer`. Waits once after boot, until the kernel has seen enough to be unpredictable.
///
/// # Errors
/// [`Errno::ENOSYS`] before Linux 3.17; whatever a seccomp filter says. What was filled by then must not
/// be used.
pub fn fill(buffer: &mut [u8]) -> Result<(), Errno> {
    fill_uninit(as_uninit(buffer)).map(|_| ())
}

/// Does now what this thread's first [`fill`] would do, and what a process does once: finds the function,
/// maps a state and takes a key. From then on this thread makes no system calls but getrandom(2), and gettid(2)
/// after the kernel has taken its memory back or after a [`reset`](crate::reset), until it forks or the
/// program's calls go to another image: see [above](self#what-is-asked-of-the-kernel).
///
/// # Errors
/// As [`fill`].
pub fn prepare() -> Result<(), Errno> {
    fill(&mut [0])
}

/// As [`fill`], but it does not wait.
///
/// # Errors
/// [`Errno::EAGAIN`] where [`fill`] would wait: after boot, until the kernel has seen enough. Otherwise as
/// there.
pub fn try_fill(buffer: &mut [u8]) -> Result<(), Errno> {
    fill_with(as_uninit(buffer), GRND_NONBLOCK).map(|_| ())
}

/// A number, each as likely as any other.
///
/// ```
/// let coin = vdso_client::random::u32()? % 2;
/// assert!(coin < 2);
/// # Ok::<(), vdso_client::Errno>(())
/// ```
///
/// # Errors
/// As [`fill`].
pub fn u32() -> Result<u32, Errno> {
    let mut bytes = [0; 4];
    fill(&mut bytes).map(|()| u32::from_ne_bytes(bytes))
}

/// A number, each as likely as any other.
///
/// # Errors
/// As [`fill`].
pub fn u64() -> Result<u64, Errno> {
    let mut bytes = [0; 8];
    fill(&mut bytes).map(|()| u64::from_ne_bytes(bytes))
}

/// Fills `buffer`, and gives it back as what it is then.
///
/// # Errors
/// As [`fill`].
#[inline]
pub fn fill_uninit(buffer: &mut [MaybeUninit<u8>]) -> Result<&mut [u8], Errno> {
    fill_with(buffer, 0)
}

/// For [`try_fill`]. Source: getrandom(2).
const GRND_NONBLOCK: usize = 1;

fn fill_with(buffer: &mut [MaybeUninit<u8>], flags: usize) -> Result<&mut [u8], Errno> {
    #[cfg(feature = "std")]
    let call = thread::Call::begin();
    #[cfg(feature = "std")]
    if let Some(place) = call.place() {
        return in_parts(buffer, |part| place.fill(part, flags));
    }
    by_system_call(buffer, flags)
}

/// The system call alone.
pub(crate) fn by_system_call(
    buffer: &mut [MaybeUninit<u8>],
    flags: usize,
) -> Result<&mut [u8], Errno> {
    in_parts(buffer, |part| ask_kernel(part, flags))
}

fn ask_kernel(part: &mut [MaybeUninit<u8>], flags: usize) -> Result<usize, Errno> {
    let arguments = [part.as_mut_ptr().expose_provenance(), part.len(), flags, 0, 0, 0];
    // SAFETY: the kernel writes to `part` and not beyond its length.
    let answer = unsafe { arch::system_call(NUMBERS.getrandom, arguments) };
    Errno::check(answer).map(|bytes| bytes as usize)
}

/// Asks for the vDSO's function with a state.
///
/// # Safety
/// `function` must be a vDSO's getrandom, and `state` what it asked for, used by nobody else meanwhile
/// but a signal handler of this thread.
#[inline]
unsafe fn ask_function(
    function: NonNull<()>,
    part: &mut [MaybeUninit<u8>],
    flags: usize,
    state: NonNull<u8>,
    state_bytes: usize,
) -> Result<usize, Errno> {
    let buffer = part.as_mut_ptr().expose_provenance();
    let state = state.as_ptr().expose_provenance();
    let arguments = [buffer, part.len(), flags, state, state_bytes];
    // SAFETY: the caller's promise; it writes to `part` and not beyond its length.
    let answer = unsafe { arch::call_with_five(function, arguments) };
    Errno::check(answer).map(|bytes| bytes as usize)
}

/// Goes on until the whole buffer is filled: a signal may end a long call early.
#[inline]
fn in_parts(
    buffer: &mut [MaybeUninit<u8>],
    mut fill: impl FnMut(&mut [MaybeUninit<u8>]) -> Result<usize, Errno>,
) -> Result<&mut [u8], Errno> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match fill(rest) {
            // It never says so; to ask for ever would be worse than to say that it did.
            Ok(0) => return Err(Errno::EIO),
            Ok(bytes) => filled += bytes,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
    let bytes: *mut [MaybeUninit<u8>] = buffer;
    // SAFETY: of the same layout, and all of it has been written.
    Ok(unsafe { &mut *(bytes as *mut [u8]) })
}

/// As bytes that are only written.
pub(crate) fn as_uninit(buffer: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    let bytes: *mut [u8] = buffer;
    // SAFETY: of the same layout, and nobody here writes what is not initialised.
    unsafe { &mut *(bytes as *mut [MaybeUninit<u8>]) }
}
