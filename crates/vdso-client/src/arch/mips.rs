//! MIPS: O32 and n64.
//!
//! Inline assembly is not stable here, so system calls go through the C library's `syscall`, which
//! keeps its error number in `errno`. vDSO functions are called as C functions are.

use core::ffi::c_long;

use crate::c_errno::keeping_errno;

#[cfg(not(feature = "libc-syscall"))]
compile_error!(
    "on this architecture vdso-client makes system calls by the C library: \
     enable the feature `libc-syscall`"
);

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}

/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
pub(crate) unsafe fn system_call(number: u32, arguments: [usize; 6]) -> isize {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    keeping_errno(|errno| {
        // SAFETY: the caller answers for the call itself.
        match unsafe { syscall(number as c_long, first, second, third, fourth, fifth, sixth) } {
            // SAFETY: `errno` is this thread's.
            -1 => -(unsafe { errno.read() } as isize),
            result => result as isize,
        }
    })
}
