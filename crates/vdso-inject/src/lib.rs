//! Puts a vDSO image into a process.
//!
//! - [`ImageFile`]: the file that is mapped, and [`LocalImage`]: mapped in this very process.
//! - [`exec`]: into a program that stands at its first instruction, or has begun to run.
//! - [`stub`]: what a program executes for that; its instructions and registers by architecture in
//!   [`arch`].
//! - [`ptrace`], [`proc`]: the little of these that is needed.
//!
//! Who starts programs and follows what they start is `vdso-launch`.

pub mod arch;
mod error;
pub mod exec;
mod file;
mod local;
pub mod proc;
pub mod ptrace;
pub mod stub;

pub use error::{Attempt, Error, Result};
pub use file::{Identity, ImageFile, ImageRoom};
pub use local::LocalImage;

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
