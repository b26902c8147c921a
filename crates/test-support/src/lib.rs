//! What this project's integration tests share: real programs in many languages to run under the
//! injected vDSO, the meaning of what they print, and the rule for tests that cannot run here.
//!
//! A test of one program goes through the modules in this order:
//!
//! 1. [`build()`] compiles a [`Program`] of the folder `test-programs/`, or says why it cannot
//!    ([`Skip`]).
//! 2. The test runs it and hands its output to [`Readings::parse`].
//! 3. [`assert_shift`] holds each [`Reading`] against the shift that the clock should have.
//!
//! ```no_run
//! use std::process::Command;
//! use test_support::{Program, Readings, assert_shift, build};
//!
//! let program = match build(Program::Go) {
//!     Ok(path) => path,
//!     Err(skip) => return skip.report(),
//! };
//! let output = Command::new(program).output().unwrap();
//! let readings = Readings::parse(&String::from_utf8(output.stdout).unwrap()).unwrap();
//! for reading in &readings {
//!     assert_shift(reading, 0, reading.resolution_ns());
//! }
//! ```
//!
//! # Skipped tests
//!
//! A test that cannot run on a machine says so through [`skip()`] and returns; it never passes in
//! silence. Two variables of the environment decide what follows:
//!
//! - `VDSO_SKIPS=/absolute/path`: each skip is appended to this file as one line,
//!   `kind<TAB>name<TAB>reason`, with the kind `kernel`, `tool`, `privilege`, `toolchain` or
//!   `images`. A script compares the file with the skips that it expects.
//! - `CI=true`: a skip for want of a tool panics, because there whatever can be installed is
//!   installed, and a missing compiler would hide a whole language.

mod build;
mod example;
mod program;
mod reading;
mod recipe;
mod skip;

pub use build::build;
pub use example::example;
pub use program::Program;
pub use reading::{Clock, ParseError, Reading, Readings, assert_shift};
pub use recipe::{I386, X32, links, multilib_package};
pub use skip::{Lacking, Skip, skip};
