//! How calls of i386 are marked that have something in every argument: by the address of their time, or of what has it.

use core::mem::MaybeUninit;

use vdso_data::detour::Mark;

use super::{Call, memory};
use crate::arch::number;
use crate::pages;

pub const FUTEX: Mark = Mark::Address(3);
pub const FUTEX_WAIT: Mark = Mark::Address(4);
pub const PSELECT6: Mark = Mark::Address(4);
pub const EPOLL: Mark = Mark::Address(3);
pub const RING: Mark = Mark::Address(4);
/// With a set of signals, too.
pub const IO_PGETEVENTS: Option<Mark> = Some(Mark::Address(4));

impl Call {
    /// Makes it although its time, at the address in that place, cannot be read, or is none that the kernel takes: so that it
    /// says which.
    pub fn make_with_bad_time(self, place: usize, mark: Mark) -> i64 {
        match (memory::read(self.form, self.arg(place)), mark) {
            (Some(mut words), _) => {
                let addr = (&raw mut words).addr() as u64;
                self.with(place, addr).make(mark)
            }
            (None, _) => self.make_with_bad_address(mark),
        }
    }

    /// Makes it although the kernel cannot read what an argument points to, so that it says so.
    pub fn make_with_bad_address(self, mark: Mark) -> i64 {
        /// The last ones, where no program's memory is.
        const NOWHERE: u32 = 0xffff_ff00;
        let Mark::Address(place) = mark else { return self.make(mark) };
        let last_byte = Mark::last_byte(pages::call_mark());
        self.with(place.into(), (NOWHERE | u32::from(last_byte)).into()).make_as_it_is()
    }

    /// Makes it with a copy of what an argument points to, at an address by which it is known. What that points to is the
    /// image's own, and may be written to where the kernel writes what is left of a span.
    #[inline(never)]
    pub fn make_with_marked_address(self, place: u8) -> i64 {
        let given = self.arg(place.into()) as *mut u64;
        let words = if self.number == number::IO_URING_ENTER { MOST_WORDS } else { 2 };
        let mut room = MaybeUninit::<[u8; ROOM_BYTES]>::uninit();
        let start = room.as_mut_ptr().cast::<u8>();
        let last_byte = Mark::last_byte(pages::call_mark());
        let marked = start.wrapping_add(last_byte.wrapping_sub(start.addr() as u8).into()).cast();
        // SAFETY: it is the image's own; the room has as much behind each of its first 256 bytes.
        unsafe { copy(given, marked, words) };
        let result = self.with(place.into(), marked.addr() as u64).make_as_it_is();
        if self.number == number::PSELECT6 {
            // SAFETY: as above; it is a span that may be written to.
            unsafe { copy(marked, given, words) };
        }
        result
    }
}

/// Of `struct io_uring_getevents_arg`, the longest of what is pointed to.
const MOST_WORDS: usize = 3;
/// One of so many addresses has the byte.
const ROOM_BYTES: usize = 256 + MOST_WORDS * size_of::<u64>();

/// Word by word, as a loop over bytes would become a call.
///
/// # Safety
/// So many words must be readable in the one place, and writable in the other.
#[inline(always)]
unsafe fn copy(from: *const u64, to: *mut u64, words: usize) {
    for word in 0..words {
        // SAFETY: the caller says so.
        let value = unsafe { from.wrapping_add(word).read_unaligned() };
        // SAFETY: the caller says so.
        unsafe { to.wrapping_add(word).write_unaligned(value) };
    }
}
