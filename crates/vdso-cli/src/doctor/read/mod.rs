//! What there is to know of one process, below a [`Root`](crate::system::Root).
//!
//! Nothing here judges: that is what the checks are for. What cannot be read is `None`, or an error
//! in words where the reason matters.

pub mod image;
pub mod libc;
pub mod process;
pub mod vsyscall;
