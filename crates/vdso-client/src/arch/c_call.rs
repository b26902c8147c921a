//! Calls of vDSO functions where they are called as any C function.

use core::ffi::c_long;
use core::mem;
use core::ptr::NonNull;

/// Calls a vDSO function; the result is in a full register, also where the function's own is an
/// `int` and the upper half means nothing.
///
/// # Safety
/// It must be such a function, it must take arguments of this kind, the first two at most, and
/// what it does with them must be sound.
#[inline(always)]
pub(crate) unsafe fn call(function: NonNull<()>, first: usize, second: usize) -> isize {
    type Function = unsafe extern "C" fn(usize, usize) -> c_long;
    // SAFETY: the caller promises that it is a function; those that take fewer arguments do not look
    // at the registers of the others.
    let function = unsafe { mem::transmute::<NonNull<()>, Function>(function) };
    // SAFETY: the caller's promise is passed on.
    unsafe { function(first, second) as isize }
}
