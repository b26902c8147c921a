//! A timekeeper of a few lines, for the image of the `own` source: straight lines through what the
//! kernel says at two values of the counter.
//!
//! The counter is read through the image itself: on a page whose clock advances by a nanosecond a
//! cycle, time is the counter. So nothing here knows which counter that is.

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use vdso_client::Call;
use vdso_data::architecture::Architecture;
use vdso_data::arithmetic::{Mult, Nanos, Timespec, Transform};
use vdso_data::own::{CounterView, OwnPage};
use vdso_data::{clock, latch};

use super::kernel::Kernel;
use super::mapped::Mapped;
use super::{brackets, kernel};
use crate::report::Report;

/// What the kernel's own steps add to a straight line, ns: its multiplier is a whole number, which it
/// changes by one from tick to tick.
const KERNEL_STEPS_NS: u64 = 500;

/// How far apart the two samples of a first line are.
const FIRST_SPAN_NS: i64 = 200_000_000;

pub fn run(report: &mut Report, architecture: &'static Architecture, image: &Mapped) {
    let Some(mut publisher) = Publisher::new(architecture, image) else {
        report.fail("own-brackets", "the counter cannot be read");
        return;
    };
    brackets::run(report, "own", image, &mut || publisher.publish());
    report.ok("own-counter", format_args!("{} kHz", publisher.kilohertz()));
}

struct Publisher {
    page: &'static OwnPage,
    /// `clock_gettime` of an image whose clock is the counter.
    counter: NonNull<()>,
    kernel: Kernel,
    first: Sample,
    last: Sample,
}

/// A clock of the kernel's at a value of the counter.
#[derive(Clone, Copy)]
struct Sample {
    cycles: u64,
    /// The middle of what the time may have been.
    ns: i64,
    /// How far it may have been off.
    within_ns: u64,
}

impl Publisher {
    fn new(architecture: &'static Architecture, image: &Mapped) -> Option<Self> {
        let counter = counter(architecture)?;
        let kernel = Kernel::new();
        let first = sample(counter, kernel, clock::MONOTONIC)?;
        let mut last = first;
        while last.ns - first.ns < FIRST_SPAN_NS {
            last = sample(counter, kernel, clock::MONOTONIC)?;
        }
        Some(Self { page: image.own, counter, kernel, first, last })
    }

    /// Publishes the clocks as they are now, and says by how many nanoseconds they may be off.
    fn publish(&mut self) -> u64 {
        if let Some(last) = sample(self.counter, self.kernel, clock::MONOTONIC) {
            self.last = last;
        }
        let mult = self.mult();
        let mut within_ns = self.first.within_ns + self.last.within_ns;
        let lines: [CounterView; clock::LINES] = core::array::from_fn(|id| {
            let id = id as u32;
            let sampled = sample(self.counter, self.kernel, id);
            let Some(sampled) = sampled.filter(|_| clock::is_in(id, clock::HIGH_RESOLUTION)) else {
                return CounterView::UNUSABLE;
            };
            within_ns = within_ns.max(self.first.within_ns + sampled.within_ns);
            line(&sampled, mult)
        });
        store(self.page, |id| lines[id]);
        within_ns + KERNEL_STEPS_NS
    }

    /// Nanoseconds a cycle.
    fn mult(&self) -> Mult {
        let ns = (self.last.ns - self.first.ns) as u128;
        let cycles = u128::from(self.last.cycles - self.first.cycles);
        let mult = (ns << 64) / cycles;
        Mult { whole: (mult >> 64) as u64, fraction: mult as u64 }
    }

    fn kilohertz(&self) -> u64 {
        let ns = (self.last.ns - self.first.ns) as u128;
        (u128::from(self.last.cycles - self.first.cycles) * 1_000_000 / ns) as u64
    }
}

fn line(sampled: &Sample, mult: Mult) -> CounterView {
    CounterView {
        cycle_last: sampled.cycles,
        stale_cycles: u64::MAX / 2,
        mult,
        sec: sampled.ns / 1_000_000_000,
        nanos: Nanos { ns: (sampled.ns % 1_000_000_000) as u64, fraction: 0 },
    }
}

/// `clock_gettime` of an image whose clock is the counter: a mapping of its own, with another page.
pub fn counter(architecture: &'static Architecture) -> Option<NonNull<()>> {
    let counting = Mapped::of(architecture, "own").ok()?;
    count(counting.own);
    counting.function(kernel::name_of(Call::ClockGettime)?)
}

/// Makes every clock of an image with this page the counter.
pub fn count(page: &OwnPage) {
    store(page, |_| counting_line());
}

/// The counter's value, of which such a clock's seconds and nanoseconds are the upper and lower part.
pub fn cycles(time: Timespec) -> u64 {
    (time.sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.nsec as u64)
}

/// A clock that is the counter.
fn counting_line() -> CounterView {
    CounterView {
        cycle_last: 0,
        stale_cycles: u64::MAX,
        mult: Mult { whole: 1, fraction: 0 },
        sec: 0,
        nanos: Nanos { ns: 0, fraction: 0 },
    }
}

/// Publishes a line for each clock, and nothing that moves them.
pub fn store(page: &OwnPage, line: impl Fn(usize) -> CounterView) {
    // The host view first, for whoever finds no line.
    page.store_seconds_offsets(&[Transform::IDENTITY; clock::LINES]);
    latch::write(&page.header.seq, |_, copy| {
        for (id, to) in page.copy(copy).iter().enumerate() {
            to.store_counter_view(&line(id));
        }
    });
    debug_assert!(page.header.seq.load(Ordering::Relaxed) > 0);
}

/// Publishes how every clock is moved.
pub fn store_transform(page: &OwnPage, transform: &Transform) {
    page.store_seconds_offsets(&[*transform; clock::LINES]);
    latch::write(&page.header.seq, |_, copy| {
        for line in page.copy(copy) {
            line.store_transform(transform);
        }
    });
}

/// The best of a few, as an interrupt may come between.
fn sample(counter: NonNull<()>, kernel: Kernel, id: u32) -> Option<Sample> {
    const TRIES: u32 = 20;
    let mut best: Option<Sample> = None;
    for _ in 0..TRIES {
        let before = brackets::nanos(kernel.read(id).ok()?);
        let cycles = kernel::read(counter, clock::MONOTONIC).ok()?;
        let after = brackets::nanos(kernel.read(id).ok()?);
        let cycles = self::cycles(cycles);
        let within_ns = (after - before) as u64 / 2 + 1;
        if best.is_none_or(|best| within_ns < best.within_ns) {
            best = Some(Sample { cycles, ns: before + (after - before) / 2, within_ns });
        }
    }
    best
}
