//! `getrandom` of the kernel's vDSO and of each image, called in this very process: the same answers for
//! the same arguments, whatever is asked, and the same care of the state.
//!
//! How much a state holds and where is each function's own matter. What is deterministic (answers, what
//! is written and what is not) is compared; what is random is looked at for what must not be in it.

mod erasure;
mod interface;
mod interrupted;
mod left_behind;
mod lengths;
mod mapped;
mod refused;
mod renewal;
#[cfg(target_arch = "x86_64")]
mod stepped;
mod support;
