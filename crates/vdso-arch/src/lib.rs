//! Facts of the machines that Linux runs on, said once: what a vDSO is called there, how a system call is made,
//! how the counter is read. It holds no code of its own that runs, and needs nothing.
//!
//! | what | where |
//! |---|---|
//! | the vDSO's functions, their names and versions, how they report errors, `DT_SONAME` | [`abi`]: one row for each architecture |
//! | numbers of system calls | [`system_call::numbers`], and by row: [`Abi::numbers`](abi::Abi::numbers) |
//! | `AUDIT_ARCH_*` | [`Abi::audit_arch`](abi::Abi::audit_arch) |
//! | the system-call instruction and its registers | [`mod@system_call`], the macro [`system_call!`] |
//! | reads of the counter, and their order | [`mod@counter`], the macro [`counter!`] |
//! | ELF's numbers of machines, width and byte order | [`elf`] |
//!
//! What the images of this project are like (sizes, targets, which functions they have) is not the machine's:
//! `vdso_data::architecture` has that, made from the rows here.
//!
//! There is no `unsafe` code here: instructions are macros, and the caller's `unsafe` block says why they may be
//! executed.

#![no_std]
#![forbid(unsafe_code)]

pub mod abi;
pub mod counter;
pub mod elf;
pub mod system_call;

pub use elf::{ByteOrder, Class, Machine};

/// The folder of this source, on the machine that has compiled it. An image is compiled from the same source
/// with flags of its own, so its build script cannot use the library that cargo builds.
#[cfg(feature = "source")]
pub const SOURCE_FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
