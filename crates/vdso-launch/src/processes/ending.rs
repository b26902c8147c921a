//! The end of the front when a signal has ended the program: as the program ended, for a caller that
//! looks. A shell ends its script after ^C only then.
//!
//! The status says whether a core was dumped, too, and only the kernel can say it, of a process that has
//! dumped one. The program has; a core of this process would be of the wrong one. So this process
//! dumps its core where nobody will find it, if that can be; if not, it dumps none, and the status lacks
//! that one bit. Sources: core(5), wait(2), mount_namespaces(7).

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{chdir, chroot, getegid, geteuid, getpid};

/// Whether the program's core was dumped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// It was.
    Dumped,
    /// It was not.
    NotDumped,
}

/// The exit code of a shell's for a process that a signal ended, less the signal.
const SIGNALED: i32 = 128;

/// Ends this process by a signal, which it has blocked. Should that fail it gives the exit code that shells
/// show.
pub fn end_by_signal(number: i32, core: Core) -> u8 {
    let dumps = core == Core::Dumped && dump_out_of_sight().is_ok();
    // More than a limit of 0 does: no program that the kernel would pipe the core to is started.
    if set_dumpable(dumps).is_ok() {
        raise(number);
    }
    (SIGNALED + number) as u8
}

/// The default disposition, and no more blocked. By the kernel itself: to the C library two of the signals
/// are its own.
fn raise(number: i32) {
    // SAFETY: the default disposition runs no code of ours. It is refused for those two, which have it.
    unsafe { libc::signal(number, libc::SIG_DFL) };
    // SAFETY: sends a signal.
    unsafe { libc::kill(getpid().as_raw(), number) };
    let only = 1_u64 << (number - 1);
    let (set, length) = (&raw const only, size_of::<u64>());
    let none = std::ptr::null_mut::<u64>();
    // SAFETY: the kernel reads a set of that length, and no old one is asked for.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_UNBLOCK, set, none, length) };
}

/// Moves this process to an empty root of its own, which ends with it, and has its core dumped there.
fn dump_out_of_sight() -> nix::Result<()> {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").map_err(errno)?;
    // To a program or a socket. Neither is a file of ours.
    if pattern.starts_with(['|', '@']) {
        return Err(Errno::ENOTSUP);
    }
    const ENOUGH_BYTES: u64 = 1 << 20;
    let (_, most) = getrlimit(Resource::RLIMIT_CORE)?;
    // As little as can be: no memory.
    fs::write("/proc/self/coredump_filter", "0").map_err(errno)?;
    leave_mounts()?;
    mount(Some("none"), "/proc", Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
    chdir("/proc")?;
    chroot(".")?;
    if let Some(folder) = Path::new(pattern.trim_end()).parent() {
        fs::create_dir_all(Path::new("/").join(folder)).map_err(errno)?;
    }
    setrlimit(Resource::RLIMIT_CORE, most.min(ENOUGH_BYTES), most)
}

/// Sees to it that what is mounted from now on is for this process alone.
fn leave_mounts() -> nix::Result<()> {
    let (user, group) = (geteuid(), getegid());
    if unshare(CloneFlags::CLONE_NEWNS).is_err() {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
        // Whoever has no name there can make no file.
        fs::write("/proc/self/setgroups", "deny").map_err(errno)?;
        fs::write("/proc/self/uid_map", format!("{user} {user} 1")).map_err(errno)?;
        fs::write("/proc/self/gid_map", format!("{group} {group} 1")).map_err(errno)?;
    }
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
}

fn errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
