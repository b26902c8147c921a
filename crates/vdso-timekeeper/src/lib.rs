//! The only writer of a page of clocks.
//!
//! ```text
//! anybody's clocks --Reference--> samples --steering--> lines --Timekeeper--> OwnPage
//! ```
//!
//! - [`Reference`]: what a timekeeper follows: a kernel's own clocks, the running Linux (`vdso-host`), a
//!   virtual machine's host. gVisor's `referenceClocks` (`pkg/sentry/time`) is the model.
//! - [`steering`]: how a published line is continued so that it follows its reference and never goes back.
//! - [`Timekeeper`]: puts both together and publishes.
//! - [`settable`]: what programs do to a clock of their own that they set.
//! - [`calibration`]: how fast a counter counts, against a timer.
//! - [`counter`]: the processor's counter, for references that run on it.
//! - [`Guest`]: a virtual machine's counter, its host's scaled and moved.
//! - [`simulated`]: a machine, its clocks and their readers, for tests.
//!
//! Needs no operating system, no memory but its own, and computes without floating point.

#![no_std]

#[cfg(test)]
#[macro_use]
extern crate std;

pub mod calibration;
pub mod counter;
mod guest;
mod publish;
mod reference;
pub mod settable;
pub mod simulated;
pub mod steering;

pub use guest::{Guest, Scaling};
pub use publish::{How, Moved, Report, Timekeeper, initialise, move_clocks};
pub use reference::{Fallback, NOISE_NS, Reference, Resolutions, Sample, Slopes};

/// The examples of the README are tested, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
