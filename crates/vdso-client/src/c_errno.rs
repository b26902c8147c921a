//! The C library's `errno`, which belongs to its caller: a clock that is read in a signal handler must
//! not change it between another call and the look at its error.

use core::ffi::c_int;

unsafe extern "C" {
    #[cfg_attr(target_os = "android", link_name = "__errno")]
    safe fn __errno_location() -> *mut c_int;
}

/// What `call` does, with this thread's `errno` afterwards as it was before. `call` gets the address
/// of it, for as long as it runs.
pub(crate) fn keeping_errno<T>(call: impl FnOnce(*mut c_int) -> T) -> T {
    let errno = __errno_location();
    // SAFETY: the C library promises this thread's errno at this address.
    let before = unsafe { errno.read() };
    let result = call(errno);
    // SAFETY: as above; it is the same thread.
    unsafe { errno.write(before) };
    result
}
