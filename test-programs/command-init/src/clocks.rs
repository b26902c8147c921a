//! Bracketed reads: a clock by the C library, between two readings of it by the system call, which
//! nothing moves.

use anyhow::{Result, ensure};
use vdso_data::clock;

/// The fine clocks and the coarse ones.
pub const IDS: [u32; 7] = [
    clock::REALTIME,
    clock::MONOTONIC,
    clock::MONOTONIC_RAW,
    clock::BOOTTIME,
    clock::TAI,
    clock::REALTIME_COARSE,
    clock::MONOTONIC_COARSE,
];

/// A clock read three times, ns.
#[derive(Clone, Copy, Debug)]
pub struct Bracket {
    pub before: i128,
    pub now: i128,
    pub after: i128,
}

impl Bracket {
    /// With what the C library says.
    pub fn of(id: u32) -> Self {
        Self::around(id, || by_library(id))
    }

    /// With what something else says.
    pub fn around(id: u32, read: impl FnOnce() -> i128) -> Self {
        Self { before: by_call(id), now: read(), after: by_call(id) }
    }

    /// Whether the reading is the call's, moved.
    pub fn holds(&self, offset_ns: i128) -> bool {
        (self.before + offset_ns..=self.after + offset_ns).contains(&self.now)
    }
}

/// Each clock `reads` times, moved by `offset_ns`; gives the number of brackets.
pub fn compare(reads: u64, offset_ns: i128) -> Result<u64> {
    for id in IDS {
        for _ in 0..reads {
            let bracket = Bracket::of(id);
            ensure!(bracket.holds(offset_ns), "clock {id} moved by {offset_ns} ns: {bracket:?}");
        }
    }
    Ok(reads * IDS.len() as u64)
}

/// As the kernel computes it, of the host's clock.
pub fn by_call(id: u32) -> i128 {
    vdso_host::by_call::read(id).as_nanos()
}

/// By the vDSO, if there is one.
pub fn by_library(id: u32) -> i128 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is ours.
    unsafe { libc::clock_gettime(id as libc::clockid_t, &raw mut ts) };
    in_ns(&ts)
}

fn in_ns(ts: &libc::timespec) -> i128 {
    i128::from(ts.tv_sec) * 1_000_000_000 + i128::from(ts.tv_nsec)
}
