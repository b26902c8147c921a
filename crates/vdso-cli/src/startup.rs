//! What this process was started with, before Rust's runtime changes it.
//!
//! The runtime ignores `SIGPIPE` and opens what of the standard streams is closed, and this command
//! needs its children's statuses whatever its caller does with children's. A program must be given
//! what we were.

use std::sync::OnceLock;

use vdso_launch::Inheritance;

static INHERITANCE: OnceLock<Inheritance> = OnceLock::new();

/// Runs before `main`.
extern "C" fn look() {
    let inheritance = Inheritance::capture();
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
