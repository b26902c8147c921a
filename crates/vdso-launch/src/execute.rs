//! Becoming a program that is named as a person names it.

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::errno::Errno;

use crate::privilege::find;

/// `execvp`, as glibc has it, with any C library: what is no program is a script for `sh`. Returns only where that fails.
pub fn execute(command: &[CString]) -> Errno {
    const SHELL: &CStr = c"/bin/sh";
    let Some((name, arguments)) = command.split_first() else { return Errno::EFAULT };
    let Err(errno) = nix::unistd::execvp(name, command);
    // musl leaves the rest to its caller, as posix does not.
    if errno != Errno::ENOEXEC {
        return errno;
    }
    let path = std::env::var_os("PATH");
    let name = Path::new(OsStr::from_bytes(name.to_bytes()));
    let Some(file) = find(name, path.as_deref(), Path::new("")) else { return errno };
    let Ok(file) = CString::new(file.into_os_string().into_vec()) else { return errno };
    let script =
        [SHELL, file.as_c_str()].into_iter().chain(arguments.iter().map(CString::as_c_str));
    let Err(errno) = nix::unistd::execv(SHELL, &script.collect::<Vec<_>>());
    errno
}
