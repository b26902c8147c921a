//! Files.

use core::ffi::CStr;

use super::{Errno, Sysno, call};

/// Makes a folder and mounts a file system of this kind there.
pub fn mount(kind: &CStr, folder: &CStr) -> Result<(), Errno> {
    let path = folder.as_ptr().expose_provenance();
    let kind = kind.as_ptr().expose_provenance();
    // SAFETY: it reads a path.
    let made = unsafe { call(Sysno::mkdirat, [AT_FDCWD, path, 0o755, 0, 0, 0]) };
    if let Err(error) = made
        && error != Errno::EEXIST
    {
        return Err(error);
    }
    // SAFETY: it reads three strings.
    unsafe { call(Sysno::mount, [kind, path, kind, 0, 0, 0]) }.map(drop)
}

const AT_FDCWD: usize = -100isize as usize;

/// Opens a file to read it.
fn open(path: &CStr) -> Result<usize, Errno> {
    const O_RDONLY: usize = 0;
    let arguments = [AT_FDCWD, path.as_ptr().expose_provenance(), O_RDONLY, 0, 0, 0];
    // SAFETY: it reads a path.
    unsafe { call(Sysno::openat, arguments) }
}

/// Reads the beginning of a file; how much of `to` that fills.
pub fn read_file(path: &CStr, to: &mut [u8]) -> Result<usize, Errno> {
    let file = open(path)?;
    let mut length = 0;
    let result = loop {
        let rest = &mut to[length..];
        let arguments = [file, rest.as_mut_ptr().expose_provenance(), rest.len(), 0, 0, 0];
        // SAFETY: it writes to `rest`.
        match unsafe { call(Sysno::read, arguments) } {
            Ok(0) => break Ok(length),
            Ok(read) => length += read,
            Err(error) => break Err(error),
        }
    };
    // SAFETY: opened above, and nobody else's.
    let _ = unsafe { call(Sysno::close, [file, 0, 0, 0, 0, 0]) };
    result
}
