//! `chain`: the kernel's own vDSO function, plus what our page says. Needs neither a counter nor
//! any knowledge of the kernel's page.

use core::ffi::c_int;
use core::mem::MaybeUninit;

use vdso_data::arithmetic::Timespec;

use crate::{arch, kernel, pages};

/// The kernel's answer, moved.
#[inline(always)]
pub fn read(id: u32) -> Option<Timespec> {
    let mut now = MaybeUninit::<Timespec>::uninit();
    // SAFETY: `now` is ours.
    let is_good = unsafe { read_to(id, now.as_mut_ptr()) };
    // SAFETY: written, if it is good.
    is_good.then(|| unsafe { now.assume_init() })
}

/// Lets the kernel write to `ts`, and moves what is there.
///
/// # Safety
/// `ts` must be writable.
#[inline(always)]
pub unsafe fn read_to(id: u32, ts: *mut Timespec) -> bool {
    let Some(function) = kernel::clock_gettime(&pages::process().functions) else {
        return false;
    };
    // SAFETY: the kernel's own function; the caller vouches for `ts`.
    let error = unsafe { arch::call_clock_gettime(function, id as c_int, ts) };
    let offset = pages::offset_of(id);
    if error != 0 || !offset.is_all() {
        return false;
    }
    // SAFETY: the kernel has answered without an error, so it has written.
    let host = unsafe { ts.read() };
    let sec = (host.sec as u64).wrapping_add(offset.sec);
    // An offset of whole seconds, the usual one, need not wait for the nanoseconds.
    let now = if offset.nsec == 0 {
        Timespec { sec: sec as i64, nsec: host.nsec }
    } else {
        Timespec::carried(sec, (host.nsec as u64).wrapping_add(offset.nsec))
    };
    // SAFETY: the caller promises that `ts` is writable.
    unsafe { ts.write(now) };
    true
}

/// The same, with something to do once beside it: behind the kernel's function, which reads the counter.
///
/// # Safety
/// `ts` must be writable.
#[cfg(counts)]
#[inline(always)]
pub unsafe fn try_to(id: u32, ts: *mut Timespec, beside: impl FnOnce()) -> bool {
    // SAFETY: the caller's promise is passed on.
    let is_read = unsafe { read_to(id, ts) };
    beside();
    is_read
}

/// Nothing more is known than what `read` tried.
#[inline(always)]
pub fn read_again(_id: u32) -> Option<Timespec> {
    None
}

/// The kernel's time is this source's time.
#[inline(always)]
pub fn settle(_id: u32, time: Timespec) -> Timespec {
    time
}
