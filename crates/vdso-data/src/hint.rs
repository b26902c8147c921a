//! What tells the compiler which way is rarely gone.

/// As `core::hint::cold_path`, which is younger (Rust 1.95) than the oldest compiler that this crate is for:
/// what calls it is kept out of the way of what does not.
#[cold]
#[inline(always)]
pub const fn cold_path() {}
