//! How calls are marked that have something in every argument: registers have 64 bits, and the upper half of an argument
//! of 32 is not looked at.

use vdso_data::detour::Mark;

use super::Call;

pub const FUTEX: Mark = Mark::High(5);
pub const FUTEX_WAIT: Mark = Mark::High(3);
pub const PSELECT6: Mark = Mark::High(0);
pub const EPOLL: Mark = Mark::High(0);
pub const RING: Mark = Mark::High(1);
/// It has an argument to spare without a set of signals alone.
pub const IO_PGETEVENTS: Option<Mark> = None;

impl Call {
    /// Makes it although its time, at the address in that place, cannot be read, or is none that the kernel takes.
    #[inline(always)]
    pub fn make_with_bad_time(self, _place: usize, mark: Mark) -> i64 {
        self.make(mark)
    }

    /// Makes it although the kernel cannot read what an argument points to.
    #[inline(always)]
    pub fn make_with_bad_address(self, mark: Mark) -> i64 {
        self.make(mark)
    }

    /// No call is marked so here.
    #[inline(always)]
    pub fn make_with_marked_address(self, _place: u8) -> i64 {
        self.make_as_it_is()
    }
}
