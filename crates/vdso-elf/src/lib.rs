//! Reads a vDSO image from bytes: what it exports, under which versions, and what its notes say.
//!
//! The bytes may come from a file, from the memory of this process or of another, or from someone
//! who wishes harm: whatever they are, the answer is an [`Image`] or an [`Error`] that says what is
//! wrong. Nothing here panics or allocates. Each call, and each step of an iterator, takes time in
//! proportion to the number of bytes at most, however the tables in them are tied in knots.
//!
//! Both classes and both byte orders are read, so an image of any architecture is. An image in
//! memory is laid out as its file is, so one reader serves both: every address of the image becomes
//! an offset into the bytes by subtracting the first `PT_LOAD`'s `p_vaddr` and adding its `p_offset`
//! (zero on today's kernels, not on some older ones).
//!
//! ```no_run
//! # fn demo(bytes: &[u8]) -> Result<(), vdso_elf::Error> {
//! let image = vdso_elf::Image::parse(bytes)?;
//! if let Some(symbol) = image.lookup("__vdso_clock_gettime", Some("LINUX_2.6")) {
//!     println!("{} is {} bytes at {:#x}", symbol.name, symbol.size, symbol.value);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The modules follow the way from bytes to a symbol: `reader` (integers), `header` (segments),
//! `load` (addresses), `dynamic` (where the tables are), `hash` and `version` (which symbol),
//! `lookup`, `symbol`; and `note`.
//!
//! Sources: the System V gABI (<https://gabi.xinuos.com>); the Linux Standard Base for GNU hash
//! tables, symbol versions and `.gnu.version_d`; `Documentation/ABI/stable/vdso` and
//! `tools/testing/selftests/vDSO/parse_vdso.c` (Linux 6.18) for how a program is to look things up.

#![no_std]
#![forbid(unsafe_code)]

pub mod abi;
mod dynamic;
mod error;
mod extent;
mod hash;
mod header;
mod image;
mod load;
mod lookup;
mod note;
mod reader;
mod section;
mod symbol;
mod version;

pub use error::{Error, Table};
pub use extent::extent;
pub use hash::HashKind;
pub use header::{Segment, Segments};
pub use image::Image;
pub use note::{Note, Notes};
pub use symbol::{Binding, Kind, Symbol, Symbols};
pub use vdso_arch::{ByteOrder, Class};
pub use version::{VersionDefinition, VersionDefinitions};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
