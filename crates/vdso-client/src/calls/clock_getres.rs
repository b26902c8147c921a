//! `clock_getres(2)`.

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use super::Timespec32;
use crate::arch::{self, HAS_64_BIT_LONG_TIMES};
use crate::clock_id::ClockId;
use crate::errno::Errno;
use crate::resolve::slots;
use crate::system_call;
use crate::timespec::Timespec;

/// The resolution of a clock: how far apart two times that it gives are at least.
///
/// # Errors
/// As [`clock_gettime`](crate::clock_gettime).
pub fn clock_getres(id: ClockId) -> Result<Timespec, Errno> {
    let answer = match slots::CLOCK_GETRES.get() {
        Some(function) => call::<Timespec>(function, id),
        None => by_32_bit_function(id),
    };
    match answer {
        Err(Errno::ENOSYS) => system_call::clock_getres(id),
        answer => answer,
    }
}

fn by_32_bit_function(id: ClockId) -> Result<Timespec, Errno> {
    if HAS_64_BIT_LONG_TIMES {
        return Err(Errno::ENOSYS);
    }
    call::<Timespec32>(slots::CLOCK_GETRES_32.get().ok_or(Errno::ENOSYS)?, id)
}

/// `T` is what the function writes.
fn call<T: Into<Timespec>>(function: NonNull<()>, id: ClockId) -> Result<Timespec, Errno> {
    let mut resolution = MaybeUninit::<T>::uninit();
    let written = resolution.as_mut_ptr().expose_provenance();
    // SAFETY: a clock_getres that writes a `T`, and `resolution` is ours.
    let result = unsafe { arch::call(function, id.raw() as usize, written) };
    Errno::check(result as i32 as isize)?;
    // SAFETY: written, as there was no error.
    Ok(unsafe { resolution.assume_init() }.into())
}
