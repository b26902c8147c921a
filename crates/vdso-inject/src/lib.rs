//! Puts a vDSO image into a process.
//!
//! - [`ImageFile`]: the file that is mapped, and [`LocalImage`]: mapped in this very process.
//! - [`exec`]: into a program that stands at its first instruction.
//! - [`follow`]: into all that a program's children exec, without staying attached to any.
//! - [`privilege`]: what a program may lose by that.
//! - [`launch`]: starts a program, follows it, and stands for it towards the terminal.
//! - [`stub`]: what a program executes for that; its instructions and registers by architecture in
//!   [`arch`].
//!
//! [`launch`] is what the `vdso` command uses; start there.

pub mod arch;
mod error;
pub mod exec;
mod file;
pub mod follow;
pub mod launch;
mod local;
pub mod privilege;
pub mod proc;
mod ptrace;
pub mod stub;

pub use error::{Attempt, Error, Result};
pub use file::{Identity, ImageFile, ImageRoom};
pub use local::LocalImage;

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
