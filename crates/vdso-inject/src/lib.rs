//! Puts a vDSO image into a process.
//!
//! - [`ProgramFile`]: the file that a program maps.
//! - [`exec`]: into a program that stands at its first instruction, or has begun to run.
//! - [`attach`]: into a program that runs, and out again.
//! - [`stub`]: what a program executes for that; its instructions and registers by architecture in
//!   [`arch`].
//! - [`kernel_calls`]: what a program gets in place of the image that somebody else traces.
//! - [`ptrace`]: threads of other processes, by the state that they are in.
//!
//! Who starts programs and follows what they start is `vdso-launch`.

pub mod arch;
pub mod attach;
pub mod call_site;
pub mod detour;
mod error;
pub mod exec;
mod file;
pub mod kernel_calls;
pub mod ptrace;
pub mod stub;

pub use error::{Attempt, Error, Result};
pub use file::{ProgramFile, ProgramRoom};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
