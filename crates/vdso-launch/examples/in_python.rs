//! A library that other languages load: C's calling convention around a [`Command`].
//!
//! ```python
//! library = ctypes.CDLL("target/debug/examples/libin_python.so")
//! assert library.exit_code_at(b"test $(date -u +%Y) = 2038", ctypes.c_uint64(2147483647)) == 0
//! ```

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, UNIX_EPOCH};

use vdso_launch::Command;

/// Runs a shell's script at so many seconds since 1970, and gives its exit code; -1 if it cannot be run.
///
/// # Safety
/// `script` must be a string that ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exit_code_at(script: *const c_char, seconds: u64) -> c_int {
    // SAFETY: the caller's promise.
    let script = OsStr::from_bytes(unsafe { CStr::from_ptr(script) }.to_bytes());
    let start = UNIX_EPOCH + Duration::from_secs(seconds);
    let status = Command::new("sh").arg("-c").arg(script).at(start).strict().status();
    status.ok().and_then(|status| status.code()).unwrap_or(-1)
}
