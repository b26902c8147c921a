//! Measures calls that a vDSO answers, in each way of calling them.
//!
//! All subjects are measured in one process, in turns, and compared within a turn, so that a noisy
//! machine disturbs all alike. Times mean little from one machine to the next; ratios hold.
//!
//! [`calls`] says what is called and how, [`images`] maps images of ours to call, [`interleave`]
//! gives the turns, [`statistics`] makes three numbers of many, [`noise`] says whether to trust them.

pub mod calls;
pub mod images;
pub mod interleave;
pub mod noise;
pub mod statistics;

pub use calls::{Call, Counter};
pub use interleave::{Cost, Subject, Turns, measure};
pub use noise::Noise;
pub use statistics::Summary;
