//! Where calls are marked that have something in every argument. What is marked otherwise has one to spare.

use vdso_data::detour::Mark;

/// Where registers have 64 bits, the upper half of an argument of 32 is not looked at.
#[cfg(not(target_arch = "x86"))]
mod by_register {
    use super::Mark;

    pub const FUTEX: Mark = Mark::High(5);
    pub const FUTEX_WAIT: Mark = Mark::High(3);
    pub const PSELECT6: Mark = Mark::High(0);
    pub const EPOLL: Mark = Mark::High(0);
    pub const RING: Mark = Mark::High(1);
    /// It has none without a set of signals, and nothing to spare with one.
    pub const IO_PGETEVENTS: Option<Mark> = None;
}

/// The address of the time, or of what has it.
#[cfg(target_arch = "x86")]
mod by_register {
    use super::Mark;

    pub const FUTEX: Mark = Mark::Address(3);
    pub const FUTEX_WAIT: Mark = Mark::Address(4);
    pub const PSELECT6: Mark = Mark::Address(4);
    pub const EPOLL: Mark = Mark::Address(3);
    pub const RING: Mark = Mark::Address(4);
    pub const IO_PGETEVENTS: Option<Mark> = Some(Mark::Address(4));
}

pub use by_register::*;
