//! Samples of the host's clocks: what each read at one value of the counter.

use std::thread;
use std::time::Duration;

use vdso_data::arithmetic::{NSEC_PER_SEC, Timespec};
use vdso_data::clock;
use vdso_timekeeper::calibration::{Error, Pace, Timer, Wanted, calibrate};
use vdso_timekeeper::{NOISE_NS, Reference, Resolutions, Sample, Slopes};

use super::Host;
use super::page::{KernelPage, Snapshot};
use crate::by_call::read;
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

/// For how long the counter is compared with the clock to learn its frequency, and how well.
pub(super) const CALIBRATION: Wanted = Wanted { uncertainty_ppb: 5_000, at_most_ns: 10_000_000 };

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

/// MONOTONIC_RAW, which nobody slews.
pub(super) struct RawClock;

impl Timer for RawClock {
    fn read(&mut self) -> u64 {
        read(clock::MONOTONIC_RAW).as_nanos() as u64
    }

    fn pace(&self) -> Pace {
        Pace::NANOSECONDS
    }

    fn bits(&self) -> u32 {
        u64::BITS
    }

    fn pause(&mut self, at_most_ns: u64) {
        thread::sleep(Duration::from_nanos(at_most_ns));
    }
}

/// As good as it gets in that time. A counter that is none has no slope; nobody is given a page over it.
fn calibrated_slope() -> u128 {
    match calibrate(counter::read, &mut RawClock, CALIBRATION) {
        Ok(calibrated) | Err(Error::Imprecise(calibrated)) => calibrated.slopes().raw,
        Err(_) => Slopes::of_hz(NSEC_PER_SEC).raw,
    }
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
