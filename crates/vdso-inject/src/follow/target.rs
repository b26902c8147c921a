//! The file that a process wants to execute.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, Pid, access};

use crate::exec::Memory;

/// Longer names are cut off: `PATH_MAX`.
const MOST_BYTES: usize = 4096;

/// What a process wants to execute.
#[derive(Clone, Debug)]
pub struct Target {
    /// As the process names it; `None` if that cannot be read, or if it is a descriptor.
    pub name: Option<OsString>,
    /// Where that is, as far as can be told from here.
    path: Option<PathBuf>,
}

impl Target {
    /// By the arguments of `execve` or `execveat`.
    pub fn read(pid: Pid, folder: i32, name_addr: u64) -> Self {
        let name = string_at(&Memory::of(pid), name_addr).filter(|name| !name.is_empty());
        let path = name.as_ref().map(|name| {
            let base = match (Path::new(name).is_absolute(), folder) {
                (true, _) => format!("/proc/{pid}/root"),
                (false, libc::AT_FDCWD) => format!("/proc/{pid}/cwd"),
                (false, fd) => format!("/proc/{pid}/fd/{fd}"),
            };
            let relative = name.to_string_lossy();
            Path::new(&base).join(relative.trim_start_matches('/'))
        });
        Self { name, path }
    }

    /// Whether the call is about to fail because there is no such program: a guess, by which it is chosen
    /// how to wait for what comes of it. A search through `PATH` makes several calls of that kind.
    pub fn is_missing(&self) -> bool {
        self.path.as_ref().is_some_and(|path| access(path, AccessFlags::X_OK).is_err())
    }
}

fn string_at(memory: &Memory, addr: u64) -> Option<OsString> {
    let mut text = Vec::new();
    while text.len() < MOST_BYTES {
        let mut chunk = [0; 256];
        let read = memory.read_up_to(addr + text.len() as u64, &mut chunk).ok()?;
        let chunk = chunk.get(..read).filter(|chunk| !chunk.is_empty())?;
        match chunk.iter().position(|&byte| byte == 0) {
            Some(end) => {
                text.extend_from_slice(&chunk[..end]);
                return Some(OsString::from_vec(text));
            }
            None => text.extend_from_slice(chunk),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::os::fd::AsRawFd;

    use super::*;

    fn target(folder: i32, name: &str) -> Target {
        let name = CString::new(name).expect("no zero byte");
        Target::read(Pid::this(), folder, name.as_ptr() as u64)
    }

    #[test]
    fn names_are_read_and_looked_up_where_the_process_would() {
        let found = target(libc::AT_FDCWD, "/bin/sh");
        assert_eq!(found.name.as_deref(), Some("/bin/sh".as_ref()));
        assert!(!found.is_missing());
        assert!(target(libc::AT_FDCWD, "/bin/no-such-program").is_missing());
        assert!(target(libc::AT_FDCWD, "no-such-program").is_missing());
        let folder = std::fs::File::open("/bin").expect("it is there");
        assert!(!target(folder.as_raw_fd(), "sh").is_missing());
        assert!(target(folder.as_raw_fd(), "no-such-program").is_missing());
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_missing() {
        let unreadable = Target::read(Pid::this(), libc::AT_FDCWD, 8);
        assert_eq!(unreadable.name, None);
        assert!(!unreadable.is_missing());
        let by_descriptor = target(3, "");
        assert_eq!(by_descriptor.name, None);
        assert!(!by_descriptor.is_missing());
    }
}
