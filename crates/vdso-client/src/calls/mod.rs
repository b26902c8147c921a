//! The calls, one file for each. Each has its own function and its own system call behind that, so a
//! symbol that an image lacks is missed by one call alone.

pub(crate) mod clock_getres;
pub(crate) mod clock_gettime;
pub(crate) mod getcpu;
pub(crate) mod gettimeofday;
pub(crate) mod time;

use core::mem::MaybeUninit;

use crate::timespec::Timespec;

/// A time as it was before 64-bit times: `struct old_timespec32`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Timespec32 {
    sec: i32,
    nsec: i32,
}

impl From<Timespec32> for Timespec {
    fn from(time: Timespec32) -> Self {
        Self { sec: i64::from(time.sec), nsec: i64::from(time.nsec) }
    }
}

/// Room for what a function writes: a [`Timespec`] or a `Timeval`, which both are two words.
pub(crate) type TwoWords = MaybeUninit<[i64; 2]>;

const _: () = {
    assert!(size_of::<Timespec>() == size_of::<TwoWords>());
    assert!(core::mem::offset_of!(Timespec, nsec) == size_of::<i64>());
};

/// What a function has written, word by word: it wrote two words, and a load of both at once would
/// wait until they have left the store buffer, a fifth of what the whole call takes. Volatile, as
/// the compiler would otherwise make one load of them.
///
/// # Safety
/// It must have been written.
#[inline(always)]
pub(crate) unsafe fn word_by_word(written: &TwoWords) -> [i64; 2] {
    let words = written.as_ptr().cast::<i64>();
    // SAFETY: the first, within `written`, which is initialised.
    let first = unsafe { words.read_volatile() };
    // SAFETY: the second, as above.
    let second = unsafe { words.wrapping_add(1).read_volatile() };
    [first, second]
}
