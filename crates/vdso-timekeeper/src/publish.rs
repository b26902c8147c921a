//! The timekeeper: samples the host, steers the lines, publishes them.

use std::time::Duration;

use vdso_data::arithmetic::{Timespec, Transform};
use vdso_data::own::{CounterView, OwnPage};
use vdso_data::sync::Ordering;
use vdso_data::{clock, latch};

use crate::host::{Host, Sample, Sampler};
use crate::steering::{self, Fixed, Kind, Line};

/// The first interval between updates. Each next one is twice as long, up to [`INTERVAL`]: the
/// host's rate is not yet known well when a page is new.
const FIRST_INTERVAL: Duration = Duration::from_millis(8);

/// The interval between updates in the long run: within 2^32 cycles of any counter up to 4 GHz, for
/// which the image's fast path is good.
const INTERVAL: Duration = Duration::from_millis(1024);

/// After so many intervals without an update the publisher is taken for dead, and readers ask the
/// kernel.
const INTERVALS_UNTIL_STALE: u64 = 8;

/// REALTIME that moves by more than this against MONOTONIC was set, ns.
const SET_NS: Fixed = crate::host::CALL_NOISE_NS;

/// Publishes a page. There may be only one for a page.
#[derive(Debug)]
pub struct Timekeeper<'page> {
    page: &'page OwnPage,
    sampler: Sampler,
    nominal_slope: u128,
    transforms: [Transform; clock::LINES],
    last: Option<Published>,
    interval: Duration,
    report: Report,
}

#[derive(Clone, Copy, Debug)]
struct Published {
    sample: Sample,
    lines: [Line; clock::LINES],
    slopes: [u128; clock::LINES],
}

/// How well the page has followed the host.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// How often the page was published.
    pub updates: u64,
    /// The largest deviation of MONOTONIC from the host's that an update found, ns.
    pub worst_deviation_ns: f64,
    /// The sum of all of them, ns.
    pub deviations_ns: f64,
}

impl Report {
    /// The mean deviation that an update found, ns.
    pub fn mean_deviation_ns(&self) -> f64 {
        // The first update has nothing to compare with.
        self.deviations_ns / self.updates.saturating_sub(1).max(1) as f64
    }
}

/// Writes what never changes, and the transforms, before anybody reads the page.
///
/// That is a whole page for the `host` and `chain` sources, which need no timekeeper.
pub fn initialise(page: &OwnPage, transforms: &[Transform; clock::LINES]) {
    // Relaxed: nobody else has the page yet.
    page.header.hrtimer_res_ns.store(resolution_ns(clock::MONOTONIC), Ordering::Relaxed);
    page.header.coarse_res_ns.store(resolution_ns(clock::MONOTONIC_COARSE), Ordering::Relaxed);
    page.store_seconds_offsets(transforms);
    for copy in 0..latch::COPIES {
        for (line, transform) in page.copy(copy).iter().zip(transforms) {
            line.store_transform(transform);
        }
    }
}

impl<'page> Timekeeper<'page> {
    /// Takes over `page`, which may have been published by one that died.
    pub fn new(page: &'page OwnPage, host: &Host, transforms: [Transform; clock::LINES]) -> Self {
        let sampler = Sampler::new(host);
        Self {
            page,
            nominal_slope: sampler.nominal_slope(),
            sampler,
            transforms,
            last: None,
            interval: FIRST_INTERVAL,
            report: Report::default(),
        }
    }

    /// Publishes the clocks as they are now, and says when to call again.
    pub fn update(&mut self) -> Duration {
        match self.sampler.sample() {
            Some(sample) => self.follow(sample),
            None => self.give_up_counter(),
        }
    }

    /// Publishes the clocks of a sample.
    fn follow(&mut self, sample: Sample) -> Duration {
        self.renew_keys_after_standstill(&sample);
        let slopes = self.slopes(&sample);
        let interval_cycles = self.cycles_in(self.interval);
        let lines = std::array::from_fn(|id| self.line(id, &sample, slopes[id], interval_cycles));
        // Not before the image's fast path ends, which does not look.
        let stale_after = (self.cycles_in(INTERVAL) * INTERVALS_UNTIL_STALE).max(1 << 32);
        let transforms = self.transforms;
        self.publish(|id| {
            if transforms[id].rate == vdso_data::arithmetic::Rate::ZERO {
                // The same for ever, whether anybody publishes or not.
                lines[id].view(i64::MAX as u64)
            } else {
                lines[id].view(stale_after)
            }
        });
        self.last = Some(Published { sample, lines, slopes });
        self.report.updates += 1;
        let wait = self.interval;
        self.interval = (self.interval * 2).min(INTERVAL);
        wait
    }

    /// Sends every reader to the kernel, but not back behind what it may have read.
    fn give_up_counter(&mut self) -> Duration {
        let now = crate::counter::read();
        let reached = |id: usize| {
            let nothing = Line { cycles: now, start: 0, slope: 0 };
            self.line_before(id, (now, Fixed::MIN), 0)
                .map(|line| line.at(now))
                .unwrap_or(nothing.start)
        };
        let reached: [Fixed; clock::LINES] = std::array::from_fn(reached);
        self.publish(|id| {
            let line =
                Line { cycles: CounterView::UNUSABLE.cycle_last, start: reached[id], slope: 0 };
            // One cycle in the far future: never read, but waited at.
            if reached[id] == 0 { CounterView::UNUSABLE } else { line.view(1) }
        });
        // What has become of the counter may have come with a standstill, and no sample will tell.
        if self.last.take().is_some() {
            self.page.renew_keys();
        }
        self.interval
    }

    /// How well the page has followed so far.
    pub fn report(&self) -> Report {
        self.report
    }

    fn line(&mut self, id: usize, sample: &Sample, slope: u128, interval_cycles: u64) -> Line {
        let transform = &self.transforms[id];
        let target = steering::transformed(transform, sample.fixed[id]);
        let slope = steering::transformed_slope(transform, slope);
        let Some(old) = self.line_before(id, (sample.cycles, target), slope) else {
            return Line { cycles: sample.cycles, start: target, slope };
        };
        if id == clock::MONOTONIC as usize {
            self.note_deviation(target - old.at(sample.cycles));
        }
        let kind = if self.was_set(id, sample) { Kind::Settable } else { Kind::NeverBack };
        steering::continued(&old, (sample.cycles, target), slope, interval_cycles, kind)
    }

    /// Whether somebody has set the host's clock since the last update: slewing leaves its distance
    /// from MONOTONIC as it is, and is no reason to go back, however fast a virtual clock runs.
    fn was_set(&self, id: usize, sample: &Sample) -> bool {
        let has_moved = |last: &Published| has_moved_alone(id, &last.sample, sample);
        clock::is_in(id as u32, clock::SETTABLE) && self.last.as_ref().is_none_or(has_moved)
    }

    /// If this machine may have stood still since the last update, it may have been copied meanwhile, with
    /// every key. Then a clock that counts the standstill has run ahead, or somebody has set the time.
    fn renew_keys_after_standstill(&self, sample: &Sample) {
        const TELLING: [u32; 2] = [clock::BOOTTIME, clock::REALTIME];
        let Some(last) = &self.last else { return };
        if TELLING.iter().any(|&id| has_moved_alone(id as usize, &last.sample, sample)) {
            self.page.renew_keys();
        }
    }

    /// The line that readers are on, `None` if the page has none.
    fn line_before(&self, id: usize, (now, target): (u64, Fixed), slope: u128) -> Option<Line> {
        if let Some(last) = &self.last {
            return Some(last.lines[id]);
        }
        // A page that somebody else published. This writer is alone with it.
        let copy = latch::read(&self.page.header.seq, || (), |(), copy| copy);
        let view = self.page.copy(copy)[id].load_counter_view();
        if view.stale_cycles == 0 {
            return None;
        }
        let old = Line::from_view(&view);
        let age_cycles = now.wrapping_sub(view.cycle_last);
        if age_cycles <= view.stale_cycles {
            return Some(old);
        }
        // Its publisher has been dead for long. Readers have had the host's time since, but none
        // before the line's end.
        let end = old.at(view.cycle_last.wrapping_add(view.stale_cycles));
        Some(Line { cycles: now, start: target.max(end), slope })
    }

    fn cycles_in(&self, duration: Duration) -> u64 {
        let cycles = (duration.as_nanos() << 64) / self.nominal_slope.max(1);
        u64::try_from(cycles).unwrap_or(u64::MAX)
    }

    fn note_deviation(&mut self, deviation: Fixed) {
        let ns = (deviation as f64 / (1u64 << 32) as f64).abs();
        self.report.deviations_ns += ns;
        self.report.worst_deviation_ns = self.report.worst_deviation_ns.max(ns);
    }

    /// The host's rates: MONOTONIC_RAW has its own, all others share one.
    fn slopes(&mut self, sample: &Sample) -> [u128; clock::LINES] {
        let slope = |id| match &self.last {
            Some(last) => steering::slope_between(&last.sample, sample, id)
                .unwrap_or(last.slopes[id as usize]),
            None => self.nominal_slope,
        };
        let (steered, raw) = (slope(clock::MONOTONIC), slope(clock::MONOTONIC_RAW));
        std::array::from_fn(|id| if id == clock::MONOTONIC_RAW as usize { raw } else { steered })
    }

    fn publish(&self, view: impl Fn(usize) -> CounterView) {
        latch::write(&self.page.header.seq, |_, spare| {
            for (id, line) in self.page.copy(spare).iter().enumerate() {
                line.store_transform(&self.transforms[id]);
                if clock::is_in(id as u32, clock::HIGH_RESOLUTION) {
                    line.store_counter_view(&view(id));
                }
            }
        });
        self.page.store_seconds_offsets(&self.transforms);
    }
}

/// Whether a clock has gone another way than MONOTONIC between two samples.
fn has_moved_alone(id: usize, last: &Sample, sample: &Sample) -> bool {
    let distance = |it: &Sample| it.fixed[id] - it.fixed[clock::MONOTONIC as usize];
    (distance(sample) - distance(last)).abs() > SET_NS << 32
}

fn resolution_ns(id: u32) -> u32 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is ours; the id is one that every Linux has.
    unsafe { libc::clock_getres(id as libc::clockid_t, &mut ts) };
    let res = Timespec { sec: ts.tv_sec, nsec: ts.tv_nsec };
    u32::try_from(res.as_nanos()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
