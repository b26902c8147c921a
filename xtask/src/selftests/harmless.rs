//! Tests set clocks. Nothing that is started here may set the host's: whoever could has lost the privilege.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// From here on no program that this thread starts, or a thread that it starts, may set the host's clock. In a user
/// namespace of its own a program may have the privilege, which is good for nothing of the host's.
///
/// # Errors
/// If such a program would still have it.
pub fn give_up_setting() -> Result<()> {
    // Who may not do so is no root, and has none to lose; what matters is seen below.
    let _ = remove_capability_from_bounding_set(CapabilitySet::SYS_TIME);
    let output = Command::new("cat").arg("/proc/self/status").output().context("cannot run cat")?;
    let status = String::from_utf8_lossy(&output.stdout).into_owned();
    let sets = ["CapPrm:", "CapEff:", "CapAmb:"]
        .map(|name| status.lines().find_map(|line| line.strip_prefix(name)));
    for set in sets {
        let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
        let set = set.context("/proc/self/status lacks capabilities")?;
        ensure!(
            set & CapabilitySet::SYS_TIME.bits() == 0,
            "programs that are started here could set this machine's clock"
        );
    }
    Ok(())
}

/// How far the host's REALTIME is ahead of its MONOTONIC: another distance after that was set, and the same however
/// both are slewed.
pub struct HostClock {
    ahead_ns: i128,
}

impl HostClock {
    /// As it is now.
    pub fn read() -> Self {
        let ns = |clock| {
            let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
            i128::from(tv_sec) * 1_000_000_000 + i128::from(tv_nsec)
        };
        Self { ahead_ns: ns(ClockId::Realtime) - ns(ClockId::Monotonic) }
    }

    /// Whether it has not been set since.
    ///
    /// # Errors
    /// If it has.
    pub fn ensure_unmoved(&self) -> Result<()> {
        /// The smallest step of a test is a second. Between the two reads of a clock's distance less than this passes.
        const SLACK_NS: u128 = 500_000_000;
        let moved_ns = Self::read().ahead_ns - self.ahead_ns;
        ensure!(
            moved_ns.unsigned_abs() < SLACK_NS,
            "this machine's clock was set, by {moved_ns} ns"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_noticed() {
        HostClock::read().ensure_unmoved().expect("nobody has set it");
        for step_ns in [-1_000_000_000, 1_000_000_000] {
            let elsewhere = HostClock { ahead_ns: HostClock::read().ahead_ns + step_ns };
            assert!(elsewhere.ensure_unmoved().is_err());
        }
    }

    /// In a thread of its own, as that has lost it afterwards.
    #[test]
    fn the_privilege_is_gone_from_what_is_started() {
        let thread = std::thread::spawn(give_up_setting);
        thread.join().expect("it has no panic").expect("nothing that is started has it");
    }
}
