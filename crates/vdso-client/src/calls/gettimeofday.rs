//! `gettimeofday(2)`.
//!
//! Its types are those of `vdso-data`, whose version is thereby a part of this crate's interface.

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use vdso_data::arithmetic;
#[doc(inline)]
pub use vdso_data::gettimeofday::{Timeval, Timezone};

use super::clock_gettime::clock_gettime;
use super::{TwoWords, word_by_word};
use crate::arch::{self, HAS_64_BIT_LONG_TIMES};
use crate::clock_id::ClockId;
use crate::errno::Errno;
use crate::own::{self, OwnPages};
use crate::resolve::slots;
use crate::system_call;
use crate::timespec::Timespec;

impl From<Timespec> for Timeval {
    /// Rounds down.
    #[inline(always)]
    fn from(time: Timespec) -> Self {
        arithmetic::Timespec { sec: time.sec, nsec: time.nsec }.into()
    }
}

/// The wall-clock time, in microseconds.
///
/// Where the function has 32-bit times, this is [`ClockId::REALTIME`] instead.
///
/// # Errors
/// Whatever a seccomp filter says.
#[inline(always)]
pub fn gettimeofday() -> Result<Timeval, Errno> {
    if !HAS_64_BIT_LONG_TIMES {
        return Ok(clock_gettime(ClockId::REALTIME)?.into());
    }
    if let Some(pages) = OwnPages::get() {
        if let Some([now]) = pages.fine().read([ClockId::REALTIME], own::ordered) {
            return Ok(now.into());
        }
    }
    if let Some(function) = slots::GETTIMEOFDAY.resolved() {
        if let Ok(now) = read(function) {
            return Ok(now);
        }
    }
    unusual()
}

/// The first call, a missing function, an error.
#[cold]
#[inline]
fn unusual() -> Result<Timeval, Errno> {
    let Some(function) = slots::GETTIMEOFDAY.get() else { return system_call::gettimeofday() };
    match read(function) {
        Err(Errno::ENOSYS) => system_call::gettimeofday(),
        answer => answer,
    }
}

#[inline(always)]
fn read(function: NonNull<()>) -> Result<Timeval, Errno> {
    let mut now = TwoWords::uninit();
    call(function, now.as_mut_ptr().expose_provenance(), 0)?;
    // SAFETY: written, as there was no error.
    let [sec, usec] = unsafe { word_by_word(&now) };
    Ok(Timeval { sec, usec })
}

/// The kernel's time zone.
///
/// # Errors
/// Whatever a seccomp filter says.
pub fn timezone() -> Result<Timezone, Errno> {
    let Some(function) = slots::GETTIMEOFDAY.get() else { return system_call::timezone() };
    let mut zone = MaybeUninit::<Timezone>::uninit();
    match call(function, 0, zone.as_mut_ptr().expose_provenance()) {
        Err(Errno::ENOSYS) => system_call::timezone(),
        Err(error) => Err(error),
        // SAFETY: written, as there was no error.
        Ok(()) => Ok(unsafe { zone.assume_init() }),
    }
}

/// `time` and `zone` are zero or the addresses of what is to be written.
#[inline(always)]
fn call(function: NonNull<()>, time: usize, zone: usize) -> Result<(), Errno> {
    // SAFETY: a gettimeofday, which writes to what is not null; the callers give what is theirs.
    let result = unsafe { arch::call(function, time, zone) };
    Errno::check(result as i32 as isize).map(drop)
}
