//! Conversions to and from the types of other crates, each by the feature of its name.

#[cfg(feature = "libc")]
mod libc;
#[cfg(feature = "rustix")]
mod rustix;
#[cfg(feature = "std")]
mod std;
