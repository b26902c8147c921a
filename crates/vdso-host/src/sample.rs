//! Samples of the host's clocks: what each read at one value of the counter.

use std::thread;
use std::time::Duration;

use vdso_data::arithmetic::Timespec;
use vdso_data::clock;
use vdso_timekeeper::{NOISE_NS, Reference, Resolutions, Sample, Slopes};

use super::Host;
use super::page::{KernelPage, Snapshot};
use crate::counter;

/// How many tries a sample by calls takes; the one that took the counter the least is kept.
const TRIES: usize = 16;

/// Takes samples in the best way that this host allows.
#[derive(Debug)]
pub enum Sampler {
    /// From the kernel's page: exact.
    Page(KernelPage),
    /// By calls of `clock_gettime` between two counter reads: to some hundred nanoseconds.
    Calls(Calls),
}

/// See [`Sampler::Calls`].
#[derive(Debug)]
pub struct Calls {
    slope: u128,
    last: Option<Sample>,
}

/// How long the counter is compared with the clock to learn its frequency.
const CALIBRATION: Duration = Duration::from_millis(10);

impl Sampler {
    /// Chooses for `host`.
    pub fn new(host: &Host) -> Self {
        match host.page {
            Ok(page) => Self::Page(page),
            Err(_) => Self::Calls(Calls { slope: calibrated_slope(), last: None }),
        }
    }
}

impl Reference for Sampler {
    fn counter(&self) -> u64 {
        counter::read()
    }

    /// The rates now, to a part in a hundred thousand where no page tells: enough to start with.
    fn slopes(&self) -> Slopes {
        let slope = |now: Snapshot| (u128::from(now.mult) << 64) >> now.shift;
        match self {
            Self::Page(page) => Slopes {
                steered: page.snapshot(counter::read).map_or_else(calibrated_slope, slope),
                raw: page.snapshot_raw(counter::read).map_or_else(calibrated_slope, slope),
            },
            Self::Calls(calls) => Slopes { steered: calls.slope, raw: calls.slope },
        }
    }

    /// The clocks now; `None` when the kernel no longer runs them on the counter.
    fn sample(&mut self) -> Option<Sample> {
        match self {
            Self::Page(page) => by_page(page, counter::read),
            Self::Calls(calls) => {
                let mut sample = by_calls(calls.slope);
                if let Some(last) = &calls.last {
                    keep_distances(&mut sample, last);
                }
                calls.last = Some(sample);
                Some(sample)
            }
        }
    }

    fn resolutions(&self) -> Resolutions {
        resolutions()
    }
}

/// What this kernel's `clock_getres` says.
pub(super) fn resolutions() -> Resolutions {
    Resolutions {
        fine_ns: resolution_ns(clock::MONOTONIC),
        coarse_ns: resolution_ns(clock::MONOTONIC_COARSE),
    }
}

fn resolution_ns(id: u32) -> u32 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is ours; the id is one that every Linux has.
    unsafe { libc::clock_getres(id as libc::clockid_t, &mut ts) };
    let res = Timespec { sec: ts.tv_sec, nsec: ts.tv_nsec };
    u32::try_from(res.as_nanos()).unwrap_or(0)
}

pub(super) fn by_page(page: &KernelPage, counter: impl Fn() -> u64) -> Option<Sample> {
    let steered = page.snapshot(&counter)?;
    let raw = page.snapshot_raw(&counter)?;
    let mut fixed = [0; clock::LINES];
    for id in clock::HIGH_RESOLUTION_IDS {
        fixed[id as usize] = time_in(&steered, id);
    }
    // Taken a moment later; brought back to the same counter value.
    let later = raw.cycles.wrapping_sub(steered.cycles) as i64;
    let moved = ((i128::from(later) * i128::from(raw.mult)) << 32) >> raw.shift;
    fixed[clock::MONOTONIC_RAW as usize] = time_in(&raw, clock::MONOTONIC_RAW) - moved;
    Some(Sample { cycles: steered.cycles, fixed })
}

fn time_in(snapshot: &Snapshot, id: u32) -> i128 {
    let sec = i128::from(snapshot.sec[id as usize] as i64);
    let ns = (i128::from(snapshot.shifted_ns[id as usize]) << 32) >> snapshot.shift;
    ((sec * 1_000_000_000) << 32) + ns
}

fn by_calls(slope: u128) -> Sample {
    let mut best: Option<(u64, Sample)> = None;
    for _ in 0..TRIES {
        let mut fixed = [0; clock::LINES];
        let mut at = [0; clock::LINES];
        let start = counter::read();
        for id in clock::HIGH_RESOLUTION_IDS {
            let before = counter::read();
            fixed[id as usize] = read(id).as_nanos() << 32;
            at[id as usize] = before.wrapping_add(counter::read().wrapping_sub(before) / 2);
        }
        let took = counter::read().wrapping_sub(start);
        if best.as_ref().is_none_or(|(least, _)| took < *least) {
            best = Some((took, aligned(at, fixed, slope)));
        }
    }
    best.expect("there is at least one try").1
}

/// Brings clocks that were read one after another to the first one's counter value.
fn aligned(at: [u64; clock::LINES], mut fixed: [i128; clock::LINES], slope: u128) -> Sample {
    let cycles = at[clock::REALTIME as usize];
    for id in clock::HIGH_RESOLUTION_IDS {
        let later = i128::from(at[id as usize].wrapping_sub(cycles) as i64);
        fixed[id as usize] -= (later * slope as i128) >> 32;
    }
    Sample { cycles, fixed }
}

fn calibrated_slope() -> u128 {
    let (cycles, ns) = raw_at_counter();
    thread::sleep(CALIBRATION);
    let (later_cycles, later_ns) = raw_at_counter();
    let passed = later_cycles.wrapping_sub(cycles).max(1);
    ((later_ns - ns).max(0) as u128).wrapping_shl(64) / u128::from(passed)
}

/// MONOTONIC_RAW, and the counter when it was read: the best of some tries, as this process may lose its
/// CPU between the two.
fn raw_at_counter() -> (u64, i128) {
    let one_try = |_| {
        let before = counter::read();
        let ns = read(clock::MONOTONIC_RAW).as_nanos();
        let took = counter::read().wrapping_sub(before);
        (took, before.wrapping_add(took / 2), ns)
    };
    let best = (0..TRIES).map(one_try).min_by_key(|(took, ..)| *took);
    let (_, cycles, ns) = best.expect("there is at least one try");
    (cycles, ns)
}

/// Clocks that only differ by a constant keep the difference they had, unless one was set.
fn keep_distances(sample: &mut Sample, last: &Sample) {
    let reference = clock::MONOTONIC as usize;
    for id in [clock::REALTIME, clock::BOOTTIME, clock::TAI] {
        let id = id as usize;
        let before = last.fixed[id] - last.fixed[reference];
        let now = sample.fixed[id] - sample.fixed[reference];
        if (now - before).abs() < i128::from(NOISE_NS) << 32 {
            sample.fixed[id] = sample.fixed[reference] + before;
        }
    }
}

/// The host's clock, by the system call: this process may itself run on an image that moves it.
fn read(id: u32) -> Timespec {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is ours; the id is one that every Linux has.
    unsafe { libc::syscall(libc::SYS_clock_gettime, id, &raw mut ts) };
    Timespec { sec: ts.tv_sec, nsec: ts.tv_nsec }
}
