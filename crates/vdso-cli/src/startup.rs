//! What this process was started with, before Rust's runtime changes it.

use std::sync::atomic::{AtomicUsize, Ordering};

/// `SIGPIPE`'s disposition: the runtime ignores it, and a program must be given what we were.
static SIGPIPE: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);

/// Runs before `main`.
extern "C" fn look() {
    // SAFETY: all zeros is a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: only asks; the structure is ours.
    if unsafe { libc::sigaction(libc::SIGPIPE, std::ptr::null(), &mut action) } == 0 {
        SIGPIPE.store(action.sa_sigaction, Ordering::Relaxed);
    }
}

#[used]
// SAFETY: the section is a list of functions of this type that the C library calls at the start.
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

/// `SIGPIPE`'s disposition when this process was started.
pub fn sigpipe() -> libc::sighandler_t {
    SIGPIPE.load(Ordering::Relaxed)
}
