//! `clock_gettime(2)`.

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use super::{Timespec32, TwoWords, word_by_word};
use crate::arch::{self, HAS_64_BIT_LONG_TIMES};
use crate::clock_id::ClockId;
use crate::errno::Errno;
use crate::own::{self, OwnPages};
use crate::resolve::slots;
use crate::system_call;
use crate::timespec::Timespec;

/// The time of a clock.
///
/// Answered, in this order, by what there is: the own page, read right here; the vDSO's function; the
/// system call.
///
/// # Errors
/// [`Errno::EINVAL`] for a clock that the kernel does not have; whatever a seccomp filter says.
///
/// ```
/// use vdso_client::{ClockId, clock_gettime};
///
/// let now = clock_gettime(ClockId::MONOTONIC)?;
/// println!("{}.{:09} s since boot", now.sec, now.nsec);
/// # Ok::<(), vdso_client::Errno>(())
/// ```
#[inline(always)]
pub fn clock_gettime(id: ClockId) -> Result<Timespec, Errno> {
    match from_page(id) {
        Some(now) => Ok(now),
        None => by_function(id),
    }
}

/// From the own page, if there is one and it knows.
#[inline(always)]
fn from_page(id: ClockId) -> Option<Timespec> {
    let pages = OwnPages::get()?;
    if id.is_fine() {
        let [now] = pages.fine().read([id], own::ordered)?;
        Some(now)
    } else if id.is_coarse() {
        pages.coarse().read(id)
    } else {
        None
    }
}

#[inline(always)]
pub(crate) fn by_function(id: ClockId) -> Result<Timespec, Errno> {
    if let Some(function) = slots::CLOCK_GETTIME.resolved() {
        if let Ok(now) = call(function, id) {
            return Ok(now);
        }
    }
    unusual(id)
}

/// The first call, a missing function, an error.
#[cold]
#[inline]
fn unusual(id: ClockId) -> Result<Timespec, Errno> {
    let answer = match slots::CLOCK_GETTIME.get() {
        Some(function) => call(function, id),
        None => without_64_bit_function(id),
    };
    match answer {
        Err(Errno::ENOSYS) => system_call::clock_gettime(id),
        answer => answer,
    }
}

/// A vDSO from before 64-bit times: its function is wrong after 2038, so the system call goes before it
/// where the kernel has that (since Linux 5.1), as in glibc.
fn without_64_bit_function(id: ClockId) -> Result<Timespec, Errno> {
    if HAS_64_BIT_LONG_TIMES {
        return Err(Errno::ENOSYS);
    }
    match system_call::clock_gettime64(id) {
        Err(Errno::ENOSYS) => by_32_bit_function(id),
        answer => answer,
    }
}

fn by_32_bit_function(id: ClockId) -> Result<Timespec, Errno> {
    let function = slots::CLOCK_GETTIME_32.get().ok_or(Errno::ENOSYS)?;
    let mut now = MaybeUninit::<Timespec32>::uninit();
    let time = now.as_mut_ptr().expose_provenance();
    // SAFETY: a clock_gettime with 32-bit times, and `now` is ours.
    let result = unsafe { arch::call(function, id.raw() as usize, time) };
    Errno::check(result as i32 as isize)?;
    // SAFETY: written, as there was no error.
    Ok(unsafe { now.assume_init() }.into())
}

#[inline(always)]
fn call(function: NonNull<()>, id: ClockId) -> Result<Timespec, Errno> {
    let mut now = TwoWords::uninit();
    let time = now.as_mut_ptr().expose_provenance();
    // SAFETY: a clock_gettime with 64-bit times, and `now` is ours.
    let result = unsafe { arch::call(function, id.raw() as usize, time) };
    Errno::check(result as i32 as isize)?;
    // SAFETY: written, as there was no error.
    let [sec, nsec] = unsafe { word_by_word(&now) };
    Ok(Timespec { sec, nsec })
}
