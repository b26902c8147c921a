//! What differs between architectures about a program that runs, with the same names in each file:
//!
//! | name | what |
//! |---|---|
//! | `Parking` | where a thread makes calls for its tracer, and goes on by itself if that one dies |
//! | `is_in_own_code` | whether a stopped thread is in no system call |
//! | `is_in_native_code` | whether it executes code of the kind that a parking is made of |
//! | `signal_frames` | what the kernel keeps on a stack of code that a signal handler has interrupted |

#[cfg_attr(all(target_arch = "x86_64", target_pointer_width = "64"), path = "x86_64.rs")]
#[cfg_attr(not(all(target_arch = "x86_64", target_pointer_width = "64")), path = "none.rs")]
mod selected;

pub use selected::{Parking, is_in_native_code, is_in_own_code, signal_frames};

/// Code that a signal handler has interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted {
    /// The instruction that it goes on with.
    pub instruction_addr: u64,
    /// Its stack pointer, which is on another stack if the handler has one of its own.
    pub stack_addr: u64,
}
