//! vDSO functions that are C functions.

use core::mem;
use core::ptr::NonNull;

/// Calls a vDSO function whose result is an `int` or a `long`: the value, or a negative errno.
///
/// # Safety
/// It must be such a function, and what it does with these arguments must be sound.
pub unsafe fn call(function: NonNull<()>, first: usize, second: usize, third: usize) -> isize {
    type Function = unsafe extern "C" fn(usize, usize, usize) -> isize;
    // SAFETY: the caller says that it is a function; one of fewer arguments ignores the others.
    let function: Function = unsafe { mem::transmute(function) };
    // SAFETY: the caller's promise.
    let result = unsafe { function(first, second, third) };
    // The upper half of an `int` may be anything; a time of this century fits into the lower one, but
    // for its highest bit after 2038.
    if (result as i32) < 0 && result as u32 > u32::MAX - 4096 {
        result as i32 as isize
    } else {
        result
    }
}
