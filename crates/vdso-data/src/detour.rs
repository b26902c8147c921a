//! Detours: how a thread that has reported a system call is sent through its image, which makes the call in its
//! place, with times of the program's own clock.
//!
//! Whoever hears of the report sends the thread to the image's `detour`, which is [`FROM_ENTRY`] bytes behind its ELF
//! entry point. Calls that an image makes so carry the process page's
//! [`call_mark`](crate::process::ProcessPage::call_mark) in a place that the kernel does not look at, so a filter
//! can tell them from the program's: [`Mark`].
//!
//! A system call of x86-64 changes two registers, which have the way back. An i386 thread finds it on its stack, below
//! the timer's clock; elsewhere all registers are there as well: [`frame`].

pub mod frame;

/// A call as its instruction had it, and what whoever sends the thread there knows beyond that, in words of a register's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Call<R = u64> {
    /// The arguments.
    pub args: [R; 6],
    /// The number.
    pub number: R,
    /// The clock of a timer that it sets, or [`NO_TIMER`].
    pub timer_clock: R,
}

/// How far behind the image's ELF entry point `detour` is, bytes.
pub const FROM_ENTRY: usize = 64;

/// What a wait that the image makes gives, negative, if a clock was set meanwhile: its deadline is translated anew.
/// `ERESTARTNOINTR` of `include/linux/errno.h`, which no program ever sees.
pub const AGAIN: i32 = 513;

/// Where in the arguments of a call its mark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// In the lower half of an argument that the call does not have.
    Low(u8),
    /// In the upper half of one that has 32 bits.
    High(u8),
    /// In the last byte of an address in one, which is odd then. No program has its times at such addresses.
    Address(u8),
}

impl Mark {
    /// That byte.
    pub const fn last_byte(mark: u32) -> u8 {
        mark as u8 | 1
    }
}

/// What stands for the clock of a timer where none is known, or none is set.
pub const NO_TIMER: u32 = u32::MAX;
