//! A vDSO image with its pages: in a file that any process can map, and mapped in this very process.
//!
//! - [`ImageFile`]: the file, in memory, sealed, with the page of clocks that its maker publishes.
//! - [`CountsFile`]: the memory in which images count how often they are called.
//! - [`LocalImage`]: the image in this process, to call it, to test it, to measure it.
//!
//! No ptrace is needed. Whoever maps the file into another process must make the process page there: see
//! [`vdso_data::process`]. `vdso-inject` does that to programs as they start.

mod counts;
mod error;
mod file;
mod local;

pub use counts::{COUNTING_BYTES, CountsFile};
pub use error::{Attempt, Error, Result};
pub use file::{Identity, ImageFile, ImageRoom};
pub use local::{LocalImage, has_thread_pointer};

/// The examples of the README are tested, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
