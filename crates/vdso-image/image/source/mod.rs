//! Where the time comes from. An image is compiled for one of three sources; each has the
//! same functions:
//!
//! - `read(id)`: the time of a fine clock by the fast path, `None` if this needs [`slow`];
//! - `read_to(id, ts)`: the same, written to a caller's memory;
//! - `try_to(id, ts, beside)`: one try of that, with something to do beside it, in images that count;
//! - `read_again(id)`: what [`slow`] tries first;
//! - `settle(id, time)`: the last word on the kernel's time, which [`slow`] asks for otherwise.
//!
//! [`slow`]: crate::slow

#[cfg(source = "own")]
#[path = "own.rs"]
mod selected;

#[cfg(source = "host")]
#[path = "host.rs"]
mod selected;

#[cfg(source = "chain")]
#[path = "chain.rs"]
mod selected;

#[cfg(counts)]
pub use selected::try_to;
pub use selected::{read, read_again, read_to, settle};
