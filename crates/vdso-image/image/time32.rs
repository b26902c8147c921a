//! The functions with the times of a 32-bit `long`, which end in 2038: the others' answers, cut off as
//! the kernel does it.

use core::ffi::c_int;
use core::mem::MaybeUninit;

use vdso_data::arithmetic::Timespec;

/// `struct old_timespec32`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct OldTimespec {
    sec: i32,
    nsec: i32,
}

impl From<Timespec> for OldTimespec {
    #[inline(always)]
    fn from(time: Timespec) -> Self {
        Self { sec: time.sec as i32, nsec: time.nsec as i32 }
    }
}

/// `clock_gettime(2)`.
///
/// # Safety
/// `ts` must be writable.
#[inline(always)]
pub unsafe fn clock_gettime(id: c_int, ts: *mut OldTimespec) -> c_int {
    let mut now = MaybeUninit::<Timespec>::uninit();
    // SAFETY: `now` is ours.
    let error = unsafe { crate::clock_gettime::clock_gettime(id, now.as_mut_ptr()) };
    if error == 0 {
        // SAFETY: written, as there was no error.
        let now = unsafe { now.assume_init() };
        // SAFETY: the caller promises that `ts` is writable.
        unsafe { ts.write(OldTimespec::from(now)) };
    }
    error
}

/// `clock_getres(2)`.
///
/// # Safety
/// `res` must be null or writable.
#[inline(always)]
pub unsafe fn clock_getres(id: c_int, res: *mut OldTimespec) -> c_int {
    let mut found = MaybeUninit::<Timespec>::uninit();
    // SAFETY: `found` is ours.
    let error = unsafe { crate::clock_getres::clock_getres(id, found.as_mut_ptr()) };
    if error == 0 && !res.is_null() {
        // SAFETY: written, as there was no error.
        let found = unsafe { found.assume_init() };
        // SAFETY: not null, and the caller promises that it is writable then.
        unsafe { res.write(OldTimespec::from(found)) };
    }
    error
}
