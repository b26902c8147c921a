//! The timekeeper: samples its reference, steers the lines, publishes them.

use core::time::Duration;

use vdso_data::arithmetic::{Rate, Transform};
use vdso_data::gettimeofday::Timezone;
use vdso_data::own::{self, CounterView, OwnPage};
use vdso_data::sync::Ordering;
use vdso_data::{clock, latch};

use crate::reference::{Fallback, Reference, Resolutions, Sample, Slopes};
use crate::steering::{self, Fixed, Kind, Line};

/// The first interval between updates. Each next one is twice as long, up to [`INTERVAL`]: the
/// host's rate is not yet known well when a page is new.
const FIRST_INTERVAL: Duration = Duration::from_millis(8);

/// The interval between updates in the long run: within 2^32 cycles of any counter up to 4 GHz, for
/// which the image's fast path is good.
const INTERVAL: Duration = Duration::from_millis(1024);

/// How much longer than until the next update a line may be used. After that the publisher is taken for
/// late or dead, and readers ask the kernel: so it bounds how far a clock may run away from the host
/// while its publisher stands still.
const GRACE: Duration = Duration::from_millis(512);

/// The life of a line without end: of a clock that stands still, or whose readers have nobody else to ask.
const ENDLESS_CYCLES: u64 = i64::MAX as u64;

/// The part of its rate that a host may be slewed by, rounded up: the kernel allows itself 11 %,
/// `clocksource_max_adjustment` in `kernel/time/clocksource.c` (Linux 6.18).
const HOST_SLEW_DIVISOR: u128 = 8;

/// How often an update is made anew that has come too late to be one, before it is left to the next.
const TRIES: u32 = 4;

/// Publishes a page. There may be only one for a page.
#[derive(Debug)]
pub struct Timekeeper<'page, R> {
    page: &'page OwnPage,
    reference: R,
    nominal: Slopes,
    transforms: [Transform; clock::LINES],
    /// Instead of the reference's.
    zone: Option<Timezone>,
    /// How the clocks that can be set have been moved since the last update.
    moved: Option<How>,
    last: Option<Published>,
    interval: Duration,
    report: Report,
}

#[derive(Clone, Copy, Debug)]
struct Published {
    sample: Sample,
    slopes: [u128; clock::LINES],
}

/// How the clocks of a page are moved from now on, as somebody has set one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// By clock id.
    pub transforms: [Transform; clock::LINES],
    /// The time zone, if it was set.
    pub zone: Option<Timezone>,
    /// Whether a clock jumps.
    pub how: How,
}

/// Whether a clock that can be set jumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It goes on from where it is.
    Slewed,
    /// It is somewhere else.
    Set,
}

/// Moves the clocks of a page that nobody publishes, for the `host` and `chain` sources. There may be only one who
/// does.
pub fn move_clocks(page: &OwnPage, moved: &Moved) {
    let update = page.begin();
    for (line, transform) in update.lines().iter().zip(&moved.transforms) {
        line.store_transform(transform);
    }
    page.store_time_zone(moved.zone);
    update.commit();
}

/// What a clock's readers may have read when the counter is at some value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// What this line says.
    On(Line),
    /// The host's time, but not less than where this line has ended.
    Past(Line),
}

/// How well the page has followed the host.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// How often the page was published.
    pub updates: u64,
    /// The largest deviation of MONOTONIC from the reference's that an update found, units of 2^-32 ns.
    pub worst_deviation: Fixed,
    /// The sum of all of them, units of 2^-32 ns.
    pub deviations: Fixed,
}

impl Report {
    /// The mean deviation that an update found, ns.
    pub fn mean_deviation_ns(&self) -> f64 {
        // The first update has nothing to compare with.
        as_ns(self.deviations) / self.updates.saturating_sub(1).max(1) as f64
    }

    /// The largest deviation that an update found, ns.
    pub fn worst_deviation_ns(&self) -> f64 {
        as_ns(self.worst_deviation)
    }
}

fn as_ns(fixed: Fixed) -> f64 {
    fixed as f64 / (1u64 << 32) as f64
}

/// Writes what never changes, and the transforms, before anybody reads the page.
///
/// That is a whole page for the `host` and `chain` sources, which need no timekeeper.
pub fn initialise(
    page: &OwnPage,
    resolutions: Resolutions,
    transforms: &[Transform; clock::LINES],
) {
    // Relaxed: nobody else has the page yet.
    page.header.hrtimer_res_ns.store(resolutions.fine_ns, Ordering::Relaxed);
    page.header.coarse_res_ns.store(resolutions.coarse_ns, Ordering::Relaxed);
    page.store_seconds_offsets(transforms);
    for copy in 0..latch::COPIES {
        for (line, transform) in page.copy(copy).iter().zip(transforms) {
            line.store_transform(transform);
        }
    }
}

impl<'page, R: Reference> Timekeeper<'page, R> {
    /// Takes over `page`, which was [initialised](initialise) and may have been published by one that died.
    pub fn new(page: &'page OwnPage, reference: R, transforms: [Transform; clock::LINES]) -> Self {
        Self {
            page,
            nominal: reference.slopes(),
            reference,
            transforms,
            zone: None,
            moved: None,
            last: None,
            interval: FIRST_INTERVAL,
            report: Report::default(),
        }
    }

    /// From the next [update](Self::update) on the clocks are moved so, which is to be made at once.
    pub fn move_clocks(&mut self, moved: &Moved) {
        self.transforms = moved.transforms;
        self.zone = moved.zone;
        self.moved = self.moved.max(Some(moved.how));
        // Whoever reads soon has the new rate, and it is known how well.
        self.interval = FIRST_INTERVAL;
    }

    /// Publishes the clocks as they are now, and says when to call again.
    ///
    /// The new lines continue what readers have read when the counter was looked at, and stay above that
    /// for some time. This process may stand still on the way, for as long as it likes: so it looks at the
    /// counter once more when everything is written, and begins anew if it has come too late.
    pub fn update(&mut self) -> Duration {
        for _ in 0..TRIES {
            let Some(sample) = self.reference.sample() else {
                return self.give_up_counter();
            };
            self.nominal = self.reference.slopes();
            if let Some(wait) = self.follow(sample) {
                return wait;
            }
        }
        FIRST_INTERVAL
    }

    /// Publishes the clocks of a sample; `None` if that has come too late.
    fn follow(&mut self, sample: Sample) -> Option<Duration> {
        let slopes = self.slopes(&sample);
        let interval_cycles = self.cycles_in(self.interval);
        let views = self.views();
        let next: [_; clock::LINES] =
            core::array::from_fn(|id| self.line(id, &sample, slopes[id], interval_cycles, &views));
        let overlap_cycles =
            clock::HIGH_RESOLUTION_IDS.map(|id| next[id as usize].1).into_iter().min();
        let latest = sample.cycles.wrapping_add(overlap_cycles.expect("there are clocks"));
        let in_time = || latest.wrapping_sub(self.reference.counter()) as i64 >= 0;
        if !self.publish(|id| next[id].0.view(self.life_cycles(id)), in_time) {
            return None;
        }
        if let Some(Place::On(line) | Place::Past(line)) =
            self.place(&views[MONOTONIC], sample.cycles)
        {
            let reads = line.at(sample.cycles);
            self.note_deviation(self.target(MONOTONIC, &sample).saturating_sub(reads));
        }
        self.renew_keys_after_standstill(&sample);
        self.last = Some(Published { sample, slopes });
        self.moved = None;
        self.report.updates += 1;
        let wait = self.interval;
        self.interval = (self.interval * 2).min(INTERVAL);
        Some(wait)
    }

    /// How long a line is good for.
    fn life_cycles(&self, id: usize) -> u64 {
        // A frozen clock is the same for ever, whether anybody publishes or not.
        if self.transforms[id].rate == Rate::ZERO || self.reference.fallback() == Fallback::Nobody {
            return ENDLESS_CYCLES;
        }
        self.cycles_in(self.interval + GRACE)
    }

    /// How far from its start a line's readers are taken to have got where that is not known. Of one without end, no
    /// further than they get when the page is published in time.
    fn reach_cycles(&self, view: &CounterView) -> u64 {
        match view.stale_cycles {
            ENDLESS_CYCLES => self.cycles_in(INTERVAL + GRACE),
            stale_cycles => stale_cycles,
        }
    }

    /// Where a line's readers may be when the counter is at `now`; `None` if it is none.
    fn place(&self, view: &CounterView, now: u64) -> Option<Place> {
        if view.stale_cycles == 0 {
            return None;
        }
        let line = Line::from_view(view);
        if now.wrapping_sub(view.cycle_last) <= view.stale_cycles {
            return Some(Place::On(line));
        }
        // Also if the counter was reset, as nobody knows where they were then.
        let start = line.at(view.cycle_last.wrapping_add(self.reach_cycles(view)));
        Some(Place::Past(Line { cycles: now, start, slope: 0 }))
    }

    /// By how much the host may have been slewed while a line was good, as the image reckons it.
    fn slewed(&self, view: &CounterView) -> Fixed {
        if view.stale_cycles == 0 {
            return Fixed::MAX;
        }
        let line = Line::from_view(view);
        let end = line.at(line.cycles.wrapping_add(self.reach_cycles(view)));
        end.saturating_sub(line.start) / HOST_SLEW_DIVISOR as Fixed + (NOISE_NS << 32)
    }

    /// Sends every reader to the kernel, but not back behind what it may have read.
    fn give_up_counter(&mut self) -> Duration {
        let now = self.reference.counter();
        let views = self.views();
        self.publish(
            |id| match self.place(&views[id], now) {
                None => CounterView::UNUSABLE,
                Some(Place::On(line)) => waiting_at(line.at(now)),
                Some(Place::Past(end)) => waiting_at(end.start),
            },
            || true,
        );
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

    /// Whom it follows.
    pub fn reference(&self) -> &R {
        &self.reference
    }

    /// Whom it follows, to be told something.
    pub fn reference_mut(&mut self) -> &mut R {
        &mut self.reference
    }

    /// A clock's next line, and for how long it is nowhere below what readers read until it is in place: not
    /// beyond the old line's end, from where on they are at the reference's time.
    fn line(
        &mut self,
        id: usize,
        sample: &Sample,
        slope: u128,
        interval_cycles: u64,
        views: &Views,
    ) -> (Line, u64) {
        let now = sample.cycles;
        let target = self.target(id, sample);
        let slope = steering::transformed_slope(&self.transforms[id], slope);
        let (old, left_cycles) = match self.place(&views[id], now) {
            None => (Line { cycles: now, start: target, slope }, u64::MAX),
            Some(Place::On(line)) => (line, left_cycles(&views[id], now)),
            Some(Place::Past(end)) => {
                (self.steepest_host(id, (now, target.max(end.start)), slope), u64::MAX)
            }
        };
        let is_far_ahead = old.at(now).saturating_sub(target) > self.slewed(&views[id]);
        let moved = self.moved.filter(|_| clock::is_in(id as u32, clock::SETTABLE));
        let kind = match moved {
            Some(How::Set) => Kind::Set,
            Some(How::Slewed) => Kind::Slewed,
            None if self.was_set(id, sample, is_far_ahead) => Kind::Settable,
            None => Kind::NeverBack,
        };
        let line = steering::continued(&old, (now, target), slope, interval_cycles, kind);
        let overlap_cycles = match kind {
            Kind::Set | Kind::Slewed => steering::SHORT_OVERLAP_CYCLES,
            Kind::Settable | Kind::NeverBack => steering::overlap_cycles(old.slope, line.slope),
        };
        (line, overlap_cycles.min(left_cycles))
    }

    /// Where a clock should be.
    fn target(&self, id: usize, sample: &Sample) -> Fixed {
        steering::transformed(&self.transforms[id], sample.fixed[id])
    }

    /// The host's clock, moved, as its readers may have it while nothing is published, however the host is
    /// slewed meanwhile.
    fn steepest_host(&self, id: usize, (cycles, start): (u64, Fixed), slope: u128) -> Line {
        // A transform is given whole nanoseconds of the host's.
        let rounded = match self.transforms[id].rate {
            Rate::ZERO | Rate::ONE => 0,
            rate => Fixed::from(rate.whole) + 1,
        };
        let slope = slope.saturating_add(slope / HOST_SLEW_DIVISOR);
        Line { cycles, start: start.saturating_add(rounded << 32), slope }
    }

    /// Whether somebody has set the host's clock since the last update: slewing leaves its distance
    /// from BOOTTIME as it is, and so does sleep, and neither is a reason to go back, however fast a
    /// virtual clock runs. Where
    /// this timekeeper has made no update, `is_far_ahead` tells.
    fn was_set(&self, id: usize, sample: &Sample, is_far_ahead: bool) -> bool {
        if !clock::is_in(id as u32, clock::SETTABLE) {
            return false;
        }
        let has_moved = |last: Published| self.has_moved(id, clock::BOOTTIME, &last.sample, sample);
        self.last.map_or(is_far_ahead, has_moved)
    }

    /// If this machine may have stood still since the last update, it may have been copied meanwhile, with
    /// every key. Then a clock that counts the standstill has run ahead, or somebody has set the time.
    fn renew_keys_after_standstill(&self, sample: &Sample) {
        const TELLING: [u32; 2] = [clock::BOOTTIME, clock::REALTIME];
        let Some(last) = &self.last else { return };
        let has_moved =
            |&id: &u32| self.has_moved(id as usize, clock::MONOTONIC, &last.sample, sample);
        if TELLING.iter().any(has_moved) {
            self.page.renew_keys();
        }
    }

    /// Whether a clock has gone another way than `reference` between two samples.
    fn has_moved(&self, id: usize, reference: u32, last: &Sample, sample: &Sample) -> bool {
        let distance = |it: &Sample| it.fixed[id].saturating_sub(it.fixed[reference as usize]);
        let moved = distance(sample).saturating_sub(distance(last)).saturating_abs();
        moved > Fixed::from(self.reference.noise_ns()) << 32
    }

    /// What is on the page. This writer is alone with it.
    fn views(&self) -> Views {
        self.page.read(|| (), |(), lines| lines.each_ref().map(own::Line::load_counter_view))
    }

    fn cycles_in(&self, duration: Duration) -> u64 {
        let cycles = (duration.as_nanos() << 64) / self.nominal.steered.max(1);
        u64::try_from(cycles).unwrap_or(u64::MAX)
    }

    fn note_deviation(&mut self, deviation: Fixed) {
        let deviation = deviation.saturating_abs();
        self.report.deviations = self.report.deviations.saturating_add(deviation);
        self.report.worst_deviation = self.report.worst_deviation.max(deviation);
    }

    /// The host's rates: MONOTONIC_RAW has its own, all others share one.
    ///
    /// That since the last update, unless it was long ago or the counter went on while the machine slept:
    /// then the rate now.
    fn slopes(&self, sample: &Sample) -> [u128; clock::LINES] {
        let recent_cycles = self.cycles_in(2 * INTERVAL);
        let is_recent =
            |last: &&Published| sample.cycles.wrapping_sub(last.sample.cycles) <= recent_cycles;
        let slope = |id: u32| {
            let nominal = self.nominal.of(id as usize);
            let last = self.last.as_ref().filter(is_recent)?;
            let slope = steering::slope_between(&last.sample, sample, id);
            Some(slope.unwrap_or(last.slopes[id as usize]))
                .filter(|slope| slope.abs_diff(nominal) <= nominal / HOST_SLEW_DIVISOR)
        };
        let steered = slope(clock::MONOTONIC).unwrap_or(self.nominal.steered);
        let raw = slope(clock::MONOTONIC_RAW).unwrap_or(self.nominal.raw);
        core::array::from_fn(|id| if id == clock::MONOTONIC_RAW as usize { raw } else { steered })
    }

    /// Publishes a view of each clock, unless it is too late for that in the end.
    fn publish(&self, view: impl Fn(usize) -> CounterView, in_time: impl FnOnce() -> bool) -> bool {
        let update = self.page.begin();
        for (id, line) in update.lines().iter().enumerate() {
            line.store_transform(&self.transforms[id]);
            if clock::is_in(id as u32, clock::HIGH_RESOLUTION) {
                line.store_counter_view(&view(id));
            }
        }
        let is_in_time = in_time();
        if is_in_time {
            self.page.store_time_zone(self.zone.or(self.reference.time_zone()));
            update.commit();
        }
        is_in_time
    }
}

const MONOTONIC: usize = clock::MONOTONIC as usize;

/// By clock id.
type Views = [CounterView; clock::LINES];

/// How much longer a line may be used whose readers are on it.
fn left_cycles(view: &CounterView, now: u64) -> u64 {
    view.stale_cycles - now.wrapping_sub(view.cycle_last)
}

/// A line that sends its readers to the host: of one cycle in the far future, so that it is never read, but
/// waited at.
fn waiting_at(time: Fixed) -> CounterView {
    Line { cycles: CounterView::UNUSABLE.cycle_last, start: time, slope: 0 }.view(1)
}

/// What a line may have been ahead by before it began, ns.
const NOISE_NS: Fixed = 1_000_000;

#[cfg(test)]
mod tests;
