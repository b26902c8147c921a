//! What executing a file gives, and what of that being followed takes.
//!
//! A set-user-ID or set-group-ID file, or one with capabilities, gives its process more than it had. Not
//! to one that is traced by somebody who may not have as much, nor under `no_new_privs`, which the filter
//! takes without privilege. Sources: execve(2), capabilities(7), user_namespaces(7).

use std::ffi::OsStr;
use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::Pid;
use vdso_host::proc::Status;

/// What a file gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// Its owner's rights.
    UserId,
    /// Its group's.
    GroupId,
    /// The capabilities in its attribute `security.capability`.
    Capabilities,
}

impl Display for Privilege {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UserId => "set-user-ID privilege",
            Self::GroupId => "set-group-ID privilege",
            Self::Capabilities => "file capabilities",
        })
    }
}

/// What this process would lose of what a plain run of `path` gives, if the program were traced or
/// followed; and which file gives it: of a script, its interpreter.
pub fn at_stake(path: &Path) -> Option<(Privilege, PathBuf)> {
    let file = executed(path)?;
    let privilege = missing(&file, "self")?;
    Some((privilege, file))
}

/// The same of a program as it is named to `execvp`, which looks it up in `path` if there is no slash in it. Paths
/// that are not absolute begin in `start`, or else where this process is.
pub fn at_stake_of(
    program: &OsStr,
    path: Option<&OsStr>,
    start: Option<&Path>,
) -> Option<(Privilege, PathBuf)> {
    at_stake(&find(Path::new(program), path, start.unwrap_or(Path::new("")))?)
}

pub(crate) fn find(name: &Path, path: Option<&OsStr>, start: &Path) -> Option<PathBuf> {
    if name.as_os_str().as_bytes().contains(&b'/') {
        return Some(start.join(name));
    }
    std::env::split_paths(path?).map(|folder| start.join(folder).join(name)).find(|file| {
        fs::metadata(file)
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    })
}

/// What a process would have got from the file that it has just begun to execute, and has not, as it is
/// traced and followed by this process.
pub fn lost(pid: Pid) -> Option<Privilege> {
    missing(format!("/proc/{pid}/exe").as_ref(), &pid.to_string())
}

/// What a file gives that a process does not have.
fn missing(file: &Path, process: &str) -> Option<Privilege> {
    const SET_USER_ID: u32 = 0o4000;
    const SET_GROUP_ID: u32 = 0o2010;
    // Before the file system is asked anything: it may take long to answer.
    if takes_nothing() {
        return None;
    }
    let metadata = fs::metadata(file).ok()?;
    let sets_user = metadata.mode() & SET_USER_ID == SET_USER_ID;
    let sets_group = metadata.mode() & SET_GROUP_ID == SET_GROUP_ID;
    let capabilities = capabilities_of(file);
    // Most files give nothing, and this is asked at each exec.
    if !sets_user && !sets_group && capabilities == 0 || is_ignored(file) {
        return None;
    }
    let credentials = Credentials::of(process)?;
    let is_known = |map: &str, id| is_mapped(&format!("/proc/{process}/{map}"), id);
    // Root is anybody already.
    let may_gain_ids = credentials.user != 0;
    if may_gain_ids && sets_user && credentials.user != metadata.uid() {
        return is_known("uid_map", metadata.uid()).then_some(Privilege::UserId);
    }
    if may_gain_ids && sets_group && credentials.group != metadata.gid() {
        return is_known("gid_map", metadata.gid()).then_some(Privilege::GroupId);
    }
    let given = capabilities & credentials.most_capabilities;
    (given & !credentials.capabilities != 0).then_some(Privilege::Capabilities)
}

/// Whether the kernel gives nothing by the file, whoever executes it.
fn is_ignored(file: &Path) -> bool {
    statvfs(file).is_ok_and(|system| system.flags().contains(FsFlags::ST_NOSUID))
}

/// Whether to be followed by this process takes nothing: because it may trace and filter whom it likes, or
/// because nobody below it gains anything in a plain run either.
fn takes_nothing() -> bool {
    const SYS_PTRACE: u32 = 1 << 19;
    const SYS_ADMIN: u32 = 1 << 21;
    // Not to be kept: a process gives up what it may, and then launches.
    nix::sys::prctl::get_no_new_privs() == Ok(true)
        || effective_capabilities() & (SYS_PTRACE | SYS_ADMIN) == SYS_PTRACE | SYS_ADMIN
}

/// The first 32 effective capabilities of this thread. By capget(2), as this is asked at each exec.
fn effective_capabilities() -> u32 {
    // `_LINUX_CAPABILITY_VERSION_3`, and this thread; `include/uapi/linux/capability.h`.
    let mut header = [0x2008_0522_u32, 0];
    // Two of the effective, permitted and inheritable ones.
    let mut sets = [0_u32; 6];
    let (header, place) = (header.as_mut_ptr(), sets.as_mut_ptr());
    // SAFETY: the kernel reads and writes as much as the version says, which both have.
    let result = unsafe { libc::syscall(libc::SYS_capget, header, place) };
    if result == 0 { sets[0] } else { 0 }
}

/// What a process may, from `/proc/PID/status`.
#[derive(Clone, Copy, Debug)]
struct Credentials {
    /// The effective ones.
    user: u32,
    group: u32,
    /// Sets of capabilities: the permitted and the bounding one.
    capabilities: u64,
    most_capabilities: u64,
}

impl Credentials {
    fn of(process: &str) -> Option<Self> {
        let status = Status::read(process).ok()?;
        let effective_id = |name| status.numbers(name).nth(1);
        Some(Self {
            user: effective_id("Uid")?,
            group: effective_id("Gid")?,
            capabilities: status.set("CapPrm")?,
            most_capabilities: status.set("CapBnd")?,
        })
    }
}

/// Whether an id means anything in the user namespace that a map is of. To others a file of that owner
/// gives nothing.
fn is_mapped(map: &str, id: u32) -> bool {
    let map = fs::read_to_string(map).unwrap_or_default();
    map.lines().any(|line| {
        let numbers: Vec<u64> =
            line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        // There; here, as the map is read from here; how many.
        matches!(numbers[..], [_, first, count] if (first..first + count).contains(&id.into()))
    })
}

/// The capabilities that a file permits. Source: `struct vfs_ns_cap_data` in linux/capability.h.
fn capabilities_of(file: &Path) -> u64 {
    const LENGTH: usize = 24;
    const REVISIONS: u32 = 0xff00_0000;
    const REVISION_1: u32 = 0x0100_0000;
    const REVISION_3: u32 = 0x0300_0000;
    let Ok(path) = std::ffi::CString::new(file.as_os_str().as_bytes()) else { return 0 };
    let (mut value, name) = ([0_u8; LENGTH], c"security.capability".as_ptr());
    let buffer = value.as_mut_ptr().cast();
    // SAFETY: both names end with a zero; the kernel writes at most as many bytes as the buffer has.
    let length = unsafe { libc::getxattr(path.as_ptr(), name, buffer, LENGTH) };
    if length < 12 {
        return 0;
    }
    let word = |index: usize| {
        let bytes = &value[4 * index..][..4];
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    };
    let (revision, root) = (word(0) & REVISIONS, word(5));
    let upper = if revision == REVISION_1 { 0 } else { word(3) };
    match revision {
        // For another user namespace, whose root that is here.
        REVISION_3 if root != 0 => 0,
        _ => u64::from(upper) << 32 | u64::from(word(1)),
    }
}

/// The file that executing `path` executes: of a script, its interpreter.
fn executed(path: &Path) -> Option<PathBuf> {
    // As many as the kernel follows.
    const MOST_INTERPRETERS: usize = 5;
    // As much of a file as it looks at.
    const START_BYTES: u64 = 256;
    let mut path = path.to_owned();
    for _ in 0..MOST_INTERPRETERS {
        let mut start = Vec::new();
        // One that cannot be read is no script that runs.
        if let Ok(file) = File::open(&path) {
            let _ = file.take(START_BYTES).read_to_end(&mut start);
        }
        let Some(line) = start.strip_prefix(b"#!") else { return Some(path) };
        let line = line.split(|&byte| byte == b'\n').next()?.trim_ascii();
        let interpreter = line.split(|byte| b" \t".contains(byte)).next()?;
        path = std::ffi::OsString::from_vec(interpreter.to_vec()).into();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_from_the_folder_that_it_starts_in() {
        let start = Path::new("/usr");
        let (path, name) = (Some(OsStr::new("no-such:bin")), Path::new("sh"));
        assert_eq!(find(name, path, start), Some(start.join("bin/sh")));
        assert_eq!(find(Path::new("bin/sh"), None, start), Some(start.join("bin/sh")));
        assert_eq!(find(Path::new("/bin/sh"), None, start), Some(PathBuf::from("/bin/sh")));
    }

    #[test]
    fn an_id_is_mapped_or_not() {
        let map = std::env::temp_dir().join(format!("vdso-test-map-{}", std::process::id()));
        fs::write(&map, "         0       1000          1\n         1     100000      65536\n")
            .expect("a file");
        let is_known = |id| is_mapped(map.to_str().expect("a name"), id);
        assert_eq!([1000, 100_000, 165_535].map(is_known), [true; 3]);
        assert_eq!([0, 1001, 99_999, 165_536].map(is_known), [false; 4]);
        fs::remove_file(&map).expect("it is there");
    }

    #[test]
    fn a_script_executes_its_interpreter() {
        let script = std::env::temp_dir().join(format!("vdso-test-script-{}", std::process::id()));
        fs::write(&script, "#! /proc/self/exe -x\n").expect("a file");
        assert_eq!(executed(&script), Some(PathBuf::from("/proc/self/exe")));
        let text = format!("#!{}\n", script.display());
        fs::write(&script, text).expect("a file");
        assert_eq!(executed(&script), None, "it has no end");
        fs::remove_file(&script).expect("it is there");
    }

    #[test]
    fn an_ordinary_file_gives_nothing() {
        assert_eq!(at_stake(Path::new("/proc/self/exe")), None);
        assert_eq!(lost(nix::unistd::getpid()), None);
    }
}
