//! The two functions of a C library by which vdso-client makes system calls on mips.

use core::ffi::{c_int, c_long};
use core::ptr;

use crate::system;

/// One thread, one `errno`.
static mut ERRNO: c_int = 0;

/// `syscall(2)`. C declares it with a variable number of arguments; in both ABIs these are passed as
/// any others are.
///
/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: c_long,
    first: usize,
    second: usize,
    third: usize,
    fourth: usize,
    fifth: usize,
) -> c_long {
    let arguments = [first, second, third, fourth, fifth, 0];
    // SAFETY: the caller's promise.
    match unsafe { system::raw(number as usize, arguments) } {
        Ok(value) => value as c_long,
        Err(error) => {
            // SAFETY: no other thread, and no signal handler, uses it.
            unsafe { ERRNO = error.into_raw() };
            -1
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn __errno_location() -> *mut c_int {
    ptr::addr_of_mut!(ERRNO)
}
