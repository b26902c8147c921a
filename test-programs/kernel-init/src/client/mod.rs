//! Checks of vdso-client: what it finds in this kernel, and whether what it answers is right.
//!
//! | | |
//! |---|---|
//! | [`found`] | the vDSO, by each way to it |
//! | [`symbols`] | what it exports, against [`expected`] |
//! | [`clocks`] | every clock, between two answers of the kernel's |
//! | [`calls`] | the other calls, likewise, and errors |
//! | [`times`] | `Instant`, `SystemTime`, several clocks at once |
//! | [`capabilities`] | what the client says of itself, against what [`filter`] finds |
//! | [`fallback`] | one function after another taken away, by [`patch`] |
//! | [`far_future`] | the clock set beyond 2038 |
//!
//! The reference is always [`kernel`](crate::kernel), never the client's own system calls.

mod calls;
mod capabilities;
mod clocks;
mod compare;
mod expected;
mod fallback;
mod far_future;
mod filter;
mod found;
mod patch;
mod symbols;
mod times;

use crate::report::Report;

pub fn run(report: &mut Report) {
    found::run(report);
    symbols::run(report);
    clocks::run(report);
    calls::run(report);
    times::run(report);
    capabilities::run(report);
    fallback::run(report);
    far_future::run(report);
}
