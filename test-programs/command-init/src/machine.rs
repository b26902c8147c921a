//! What a kernel leaves to its first process.

use std::fs;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

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

/// Has the kernel change its clock's speed a hundred times a second, by as much as NTP may slew it and,
/// every other time, by as much as another tick makes it; as it was when dropped. Source: adjtimex(2).
pub struct Steered {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Steered {
    pub fn start() -> Result<Self> {
        steer(0, 0)?;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = stop.clone();
            move || {
                /// 500 ppm, in units of 2^-16 ppm; 8 % of a tick, in microseconds.
                const SPEEDS: [(i64, i64); 4] =
                    [(500 << 16, 0), (-(500 << 16), 0), (0, 800), (0, -800)];
                let mut speeds = SPEEDS.into_iter().cycle();
                while !stop.load(Ordering::Relaxed) {
                    if let Some((frequency, tick)) = speeds.next() {
                        let _ = steer(frequency, tick);
                    }
                    thread::sleep(Duration::from_millis(10));
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Steered {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
        let _ = steer(0, 0);
    }
}

fn steer(frequency: i64, tick_difference_us: i64) -> io::Result<()> {
    const TICK_US: i64 = 10_000;
    // SAFETY: made of integers, for which zeros are values.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    timex.modes = libc::ADJ_FREQUENCY | libc::ADJ_TICK;
    timex.freq = frequency as _;
    timex.tick = (TICK_US + tick_difference_us) as _;
    // SAFETY: reads and writes the structure.
    match unsafe { libc::adjtimex(&mut timex) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Once the last line is out.
pub fn power_off() -> ! {
    let _ = io::stdout().flush();
    let _ = nix::sys::termios::tcdrain(io::stdout());
    let _ = reboot(RebootMode::RB_POWER_OFF);
    std::process::exit(1)
}
