//! What a kernel leaves to its first process.

use std::fs;
use std::io::{self, Write};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::reboot::{RebootMode, reboot};

/// `/proc`, `/sys` and `/dev`.
pub fn mount_all() -> Result<()> {
    mount_anew("proc", "/proc")?;
    mount_anew("sysfs", "/sys")?;
    mount_anew("devtmpfs", "/dev")
}

/// On a folder that need not be there.
pub fn mount_anew(kind: &str, folder: &str) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {folder}"))?;
    mount_over(kind, folder)
}

/// Hides what is in a folder by another file system.
pub fn mount_over(kind: &str, folder: &str) -> Result<()> {
    mount(Some(kind), folder, Some(kind), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("cannot mount {kind} on {folder}"))
}

/// Undoes the last mount there.
pub fn unmount(folder: &str) -> Result<()> {
    umount2(folder, MntFlags::MNT_DETACH).with_context(|| format!("cannot unmount {folder}"))
}

/// Once the last line is out.
pub fn power_off() -> ! {
    let _ = io::stdout().flush();
    let _ = nix::sys::termios::tcdrain(io::stdout());
    let _ = reboot(RebootMode::RB_POWER_OFF);
    std::process::exit(1)
}
