//! The only writer of a page of clocks.
//!
//! ```text
//! the kernel's page or function --host--> samples --steering--> lines --Timekeeper--> OwnPage
//! ```
//!
//! - [`host`]: what the running kernel says: its data page, if it is recognised, or its functions.
//! - [`steering`]: how a published line is continued so that it follows the host and never goes back.
//! - [`Timekeeper`]: puts both together and publishes.

pub mod counter;
pub mod host;
mod publish;
pub mod steering;

pub use publish::{Report, Timekeeper, initialise};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
