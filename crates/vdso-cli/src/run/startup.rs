//! What this process was started with, before Rust's runtime changes it.
//!
//! The runtime ignores `SIGPIPE` and opens what of the standard streams is closed, and this command
//! needs its children's statuses whatever its caller does with children's. A program must be given
//! what we were.

use std::sync::OnceLock;

use vdso_inject::launch::Inheritance;

static INHERITANCE: OnceLock<Inheritance> = OnceLock::new();

/// Runs before `main`.
extern "C" fn look() {
    let inheritance = Inheritance {
        sigpipe: disposition(libc::SIGPIPE),
        sigchld: disposition(libc::SIGCHLD),
        sigxfsz: disposition(libc::SIGXFSZ),
        closed_streams: [0, 1, 2].map(is_closed),
    };
    // SAFETY: the default disposition runs no code of ours.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    // SAFETY: as above; a limit then shows as an error.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let _ = INHERITANCE.set(inheritance);
}

#[used]
// SAFETY: the section is a list of functions of this type that the C library calls at the start.
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

/// What this process was started with.
pub fn inheritance() -> Inheritance {
    INHERITANCE.get().copied().unwrap_or_default()
}

fn disposition(signal: libc::c_int) -> libc::sighandler_t {
    // SAFETY: all zeros is a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: only asks; the structure is ours.
    unsafe { libc::sigaction(signal, std::ptr::null(), &mut action) };
    action.sa_sigaction
}

fn is_closed(stream: libc::c_int) -> bool {
    // SAFETY: only asks.
    unsafe { libc::fcntl(stream, libc::F_GETFD) == -1 }
}
