//! The file that a process wants to execute.

use std::ffi::{CString, OsString};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use vdso_inject::exec::Memory;

/// Longer names are cut off: `PATH_MAX`.
const MOST_BYTES: usize = 4096;

/// What a process wants to execute.
#[derive(Clone, Debug)]
pub struct Target {
    /// As the process names it; `None` if that cannot be read, or if it is a descriptor.
    pub name: Option<OsString>,
    /// Where that is, as far as can be told from here: a folder, and a path from there.
    place: Option<(String, CString)>,
}

impl Target {
    /// By the arguments of `execve` or `execveat`.
    pub fn read(pid: Pid, folder: i32, name_addr: u64) -> Self {
        let name = string_at(&Memory::of(pid), name_addr).filter(|name| !name.is_empty());
        let place = name.as_ref().and_then(|name| {
            let base = match (Path::new(name).is_absolute(), folder) {
                (true, _) => format!("/proc/{pid}/root"),
                (false, libc::AT_FDCWD) => format!("/proc/{pid}/cwd"),
                (false, fd) => format!("/proc/{pid}/fd/{fd}"),
            };
            let bytes = name.as_bytes();
            let slashes = bytes.iter().take_while(|&&byte| byte == b'/').count();
            Some((base, CString::new(&bytes[slashes..]).ok()?))
        });
        Self { name, place }
    }

    /// Whether something is known that speaks against the call's success, or too little: then it is not
    /// waited for what comes of it. A search through `PATH` makes several calls that fail.
    ///
    /// No file system is asked. One that does not answer would hold all programs of the launch.
    pub fn may_be_missing(&self) -> bool {
        self.place.as_ref().is_some_and(|(folder, path)| match open_known(folder, path) {
            Ok(file) => !is_executable_by_anybody(&file),
            // A kernel that cannot be asked like this.
            Err(Errno::ENOSYS | Errno::EINVAL | Errno::EPERM) => false,
            Err(_) => true,
        })
    }
}

/// The file at `path`, from `folder`, if the kernel knows it without asking its file system; of that which
/// may be known to it alone there is [`Errno::EAGAIN`].
fn open_known(folder: &str, path: &CString) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let folder = open(folder, flags, Mode::empty())?;
    // SAFETY: all zeros is a valid value.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    (how.flags, how.resolve) = (flags.bits() as u64, libc::RESOLVE_CACHED);
    let (path, how_addr, how_bytes) = (path.as_ptr(), &raw const how, size_of_val(&how));
    // SAFETY: the path ends with a zero, and the structure is as long as is said.
    let fd =
        unsafe { libc::syscall(libc::SYS_openat2, folder.as_raw_fd(), path, how_addr, how_bytes) };
    let fd = Errno::result(fd)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// By the mode that the kernel has of it.
fn is_executable_by_anybody(file: &OwnedFd) -> bool {
    // SAFETY: all zeros is a valid value.
    let mut status: libc::statx = unsafe { std::mem::zeroed() };
    let flags = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
    let (fd, none) = (file.as_raw_fd(), c"".as_ptr());
    let (wanted, place) = (libc::STATX_MODE, &raw mut status);
    // Not by the C library's function: the standard library refers to that weakly, link-time optimisation
    // makes one reference of both, and in a static program it then leads nowhere.
    // SAFETY: the kernel writes to the structure, which is ours.
    let result = unsafe { libc::syscall(libc::SYS_statx, fd, none, flags, wanted, place) };
    result != 0 || status.stx_mode & 0o111 != 0
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
        assert!(!found.may_be_missing());
        assert!(target(libc::AT_FDCWD, "/bin/no-such-program").may_be_missing());
        assert!(target(libc::AT_FDCWD, "no-such-program").may_be_missing());
        assert!(target(libc::AT_FDCWD, "/proc/self/status").may_be_missing());
        let folder = std::fs::File::open("/bin").expect("it is there");
        assert!(!target(folder.as_raw_fd(), "sh").may_be_missing());
        assert!(target(folder.as_raw_fd(), "no-such-program").may_be_missing());
    }

    #[test]
    fn of_what_cannot_be_read_nothing_is_known() {
        let unreadable = Target::read(Pid::this(), libc::AT_FDCWD, 8);
        assert_eq!(unreadable.name, None);
        assert!(!unreadable.may_be_missing());
        let by_descriptor = target(3, "");
        assert_eq!(by_descriptor.name, None);
        assert!(!by_descriptor.may_be_missing());
    }
}
