//! The beginning of a file, without a C library.

use core::ffi::CStr;

use crate::arch::{self, NUMBERS};
use crate::errno::Errno;

/// Reads it by one call, as the kernel's own files are read, and says how many bytes there were; `None` if it
/// cannot be read.
pub(crate) fn read(path: &CStr, buffer: &mut [u8]) -> Option<usize> {
    const AT_FDCWD: usize = -100isize as usize;
    /// Not for a program that another thread starts meanwhile. The same on each architecture here.
    /// Source: `include/uapi/asm-generic/fcntl.h`.
    const O_RDONLY_CLOEXEC: usize = 0o2_000_000;
    let path = path.as_ptr().expose_provenance();
    // SAFETY: a path that ends with a zero byte, and flags that create nothing.
    let opened =
        unsafe { arch::system_call(NUMBERS.openat, [AT_FDCWD, path, O_RDONLY_CLOEXEC, 0, 0, 0]) };
    let file = Errno::check(opened).ok()? as usize;
    let into = buffer.as_mut_ptr().expose_provenance();
    // SAFETY: the kernel writes to the buffer and not beyond its length.
    let read = unsafe { arch::system_call(NUMBERS.read, [file, into, buffer.len(), 0, 0, 0]) };
    // SAFETY: this file was opened above, and nobody else knows of it.
    unsafe { arch::system_call(NUMBERS.close, [file, 0, 0, 0, 0, 0]) };
    Errno::check(read).ok().map(|bytes| bytes as usize)
}
