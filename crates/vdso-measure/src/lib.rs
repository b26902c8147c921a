//! Measures calls that a vDSO answers, in each way of calling them.
//!
//! All subjects are measured in one process, in turns, and compared within a turn, so that a noisy
//! machine disturbs all alike. Times mean little from one machine to the next; ratios hold.
//!
//! [`calls`] says what is called and who answers, [`Function`] calls it, [`images`] maps images of ours
//! to call, [`random`] is what getrandom needs besides, and [`Counter`] is what no call can be faster than. [`interleave`] gives the turns,
//! [`statistics`] makes three numbers of many, [`noise`] says whether to trust them.

pub mod calls;
mod counter;
mod function;
pub mod images;
pub mod interleave;
pub mod noise;
pub mod random;
pub mod statistics;

pub use calls::Call;
pub use counter::Counter;
pub use function::Function;
pub use interleave::{Cost, Subject, Turns, measure};
pub use noise::Noise;
pub use statistics::Summary;

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
