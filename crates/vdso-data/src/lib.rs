//! The data page that a vDSO reads its clocks from.
//!
//! A clock read passes through this crate twice: the timekeeper writes a page with it, the image
//! reads the page with it. It holds the layouts and the arithmetic, and nothing that needs an
//! operating system.
//!
//! - [`own`]: our page, versioned and self-describing, written by our timekeeper.
//! - [`linux`]: where the running Linux kernel keeps the same facts in its `[vvar]`.
//! - [`process`]: the one page each process has for itself: what injection tells the image.
//! - `counts`: where an image counts how often it is called.
//! - [`note`]: by what a program recognises an image that reads these pages.
//! - [`latch`]: how a page is read while it is written, even if the writer dies half-way.
//! - [`seqlock`]: how the kernel's page is read while the kernel writes it.
//! - [`arithmetic`]: cycles to nanoseconds, and a host's time to a virtual one; `deadline` has the way back,
//!   `file_time` both for what is stored.
//! - [`detour`]: how a thread is sent through its image for one system call.
//! - [`clock`]: the clock ids.
//! - [`architecture`]: the architectures that there are images for.
//! - [`gettimeofday`]: what that call writes.
//! - [`hint`]: which way is rarely gone.
//!
//! Machines without 64-bit atomics have no pages of ours, and of this crate the rest.
//!
//! The pages are documented field by field in `docs/DATAPAGE.md`.

#![cfg_attr(not(loom), no_std)]
#![forbid(unsafe_code)]

pub mod architecture;
pub mod arithmetic;
pub mod clock;
#[cfg(all(target_has_atomic = "64", not(loom)))]
pub mod counts;
mod deadline;
pub mod detour;
mod file_time;
pub mod gettimeofday;
pub mod hint;
pub mod latch;
pub mod linux;
#[cfg(target_has_atomic = "64")]
pub mod note;
#[cfg(target_has_atomic = "64")]
pub mod own;
#[cfg(target_has_atomic = "64")]
pub mod process;
pub mod seqlock;
pub mod sync;

/// Bytes of each of the two pages. A page of memory may be larger; how far apart they are mapped then is
/// the [`architecture`]'s.
pub const PAGE_BYTES: usize = 4096;

/// The folder of this source, on the machine that has compiled it. An image is compiled from the same source
/// with flags of its own, so its build script cannot use the library that cargo builds.
#[cfg(feature = "source")]
pub const SOURCE_FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
