//! Every order of memory accesses that the language allows, tried by the loom model checker.
//!
//! `cargo xtask loom` runs this file as it is, which must pass, and with each fence of
//! `vdso_data::sync` taken away, which must fail: so the fences are needed and the model would miss
//! them. The tests whose names end in `_is_never_torn` need both.
//!
//! A page is modelled by a few words rather than by a whole `OwnPage`, whose six hundred words loom
//! could not get to the end of. The orders of one line's words among themselves are all alike, so
//! two of them show what there is to be shown; one test takes a real `own::Line`.
#![cfg(loom)]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::AtomicI64;
use loom::thread;
use vdso_data::arithmetic::{Mult, Nanos, Rate, Timespec, Transform};
use vdso_data::own::{CounterView, Line};
use vdso_data::sync::{AtomicU32, AtomicU64, Ordering, writer_fence};
use vdso_data::{latch, seqlock};

/// `cargo xtask loom` looks for this: the model has failed, and not the build.
const TORN: &str = "the model has found a torn read";

/// Tries every order in which at most `switches` threads are interrupted against their will; all
/// memory orders are tried in any case.
fn check(switches: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(switches);
    builder.check(model);
}

/// Two words that are only right together, under a latch.
struct Latched {
    seq: AtomicU32,
    copies: [[AtomicU64; 2]; latch::COPIES],
}

impl Latched {
    fn new() -> Arc<Self> {
        let words = || [AtomicU64::new(0), AtomicU64::new(0)];
        Arc::new(Self { seq: AtomicU32::new(0), copies: [words(), words()] })
    }

    fn publish(&self, update: u64) {
        latch::write(&self.seq, |_, spare| {
            for word in &self.copies[spare] {
                word.store(update, Ordering::Relaxed);
            }
        });
    }

    /// An update that is killed after its first word.
    fn die(&self, update: u64) {
        let death = catch_unwind(AssertUnwindSafe(|| {
            latch::write(&self.seq, |_, spare| {
                self.copies[spare][0].store(update, Ordering::Relaxed);
                resume_unwind(Box::new("killed"));
            });
        }));
        assert!(death.is_err());
    }

    /// An update that is dropped, as it has come too late.
    fn give_up(&self, update: u64) {
        let given_up = latch::begin(&self.seq);
        for word in &self.copies[given_up.spare()] {
            word.store(update, Ordering::Relaxed);
        }
    }

    /// Which update is published.
    fn read(&self) -> u64 {
        let [first, second] = latch::read(
            &self.seq,
            || (),
            |(), copy| self.copies[copy].each_ref().map(|word| word.load(Ordering::Relaxed)),
        );
        assert_eq!(first, second, "{TORN}");
        first
    }

    /// The same in one try; `None` if an update came in between.
    fn try_read(&self) -> Option<u64> {
        let words =
            |(), copy: usize| Some(self.copies[copy].each_ref().map(|w| w.load(Ordering::Relaxed)));
        let [first, second] = latch::try_read(&self.seq, || (), words)?;
        assert_eq!(first, second, "{TORN}");
        Some(first)
    }

    fn read_in_order(&self, times: usize) -> u64 {
        let mut last = 0;
        for _ in 0..times {
            let now = self.read();
            assert!(last <= now, "update {now} was read after {last}");
            last = now;
        }
        last
    }
}

/// Runs `readers` threads of `reads` reads each beside the updates 1 to `updates`.
fn latch_model(updates: u64, readers: usize, reads: usize) {
    let page = Latched::new();
    let readers: Vec<_> = (0..readers)
        .map(|_| {
            let page = page.clone();
            thread::spawn(move || page.read_in_order(reads))
        })
        .collect();
    for update in 1..=updates {
        page.publish(update);
    }
    for reader in readers {
        assert!(reader.join().unwrap() <= updates);
    }
    assert_eq!(page.read(), updates, "whoever comes after the updates sees the last");
}

#[test]
fn latch_of_two_updates_is_never_torn() {
    check(3, || latch_model(2, 1, 2));
}

#[test]
fn latch_of_three_updates_is_never_torn() {
    check(3, || latch_model(3, 1, 1));
}

#[test]
fn latch_of_two_readers_is_never_torn() {
    check(2, || latch_model(2, 2, 1));
}

#[test]
fn latch_tried_once_is_never_torn() {
    check(3, || {
        let page = Latched::new();
        let reader = thread::spawn({
            let page = page.clone();
            move || page.try_read()
        });
        for update in 1..=2 {
            page.publish(update);
        }
        assert!(matches!(reader.join().unwrap(), None | Some(0..=2)));
        assert_eq!(page.try_read(), Some(2));
    });
}

/// The publisher is killed inside its third update; readers meanwhile and afterwards end, with one of
/// the full ones.
#[test]
fn latch_of_a_dead_writer_is_never_torn() {
    check(3, || {
        let page = Latched::new();
        let reader = thread::spawn({
            let page = page.clone();
            move || page.read_in_order(1)
        });
        page.publish(1);
        page.publish(2);
        page.die(3);
        assert_eq!(page.read(), 2);
        assert!(reader.join().unwrap() <= 2);
        assert_eq!(page.read(), 2);
    });
}

/// Another publisher takes over what a dead one left half-written.
#[test]
fn latch_of_a_second_writer_is_never_torn() {
    check(3, || {
        let page = Latched::new();
        let reader = thread::spawn({
            let page = page.clone();
            move || page.read_in_order(1)
        });
        let first = thread::spawn({
            let page = page.clone();
            move || {
                page.publish(1);
                page.die(2);
            }
        });
        first.join().unwrap();
        page.publish(3);
        assert_eq!(page.read(), 3);
        assert!(matches!(reader.join().unwrap(), 0 | 1 | 3));
    });
}

/// Nobody reads an update that was dropped, and the next one takes its place.
#[test]
fn latch_of_a_dropped_update_is_never_torn() {
    check(3, || {
        let page = Latched::new();
        let reader = thread::spawn({
            let page = page.clone();
            move || page.read_in_order(1)
        });
        page.publish(1);
        page.give_up(2);
        page.publish(3);
        assert_eq!(page.read(), 3);
        assert!(matches!(reader.join().unwrap(), 0 | 1 | 3));
    });
}

/// A read of what was sampled before: the copy is at least as new as the one that was published
/// when the sample was taken.
#[test]
fn latch_reads_nothing_older_than_its_sample() {
    check(3, || {
        let page = Latched::new();
        let published = Arc::new(AtomicU64::new(0));
        let writer = thread::spawn({
            let (page, published) = (page.clone(), published.clone());
            move || {
                for update in 1..=2 {
                    page.publish(update);
                    published.store(update, Ordering::Release);
                }
            }
        });
        let (sampled, read) = latch::read(
            &page.seq,
            || published.load(Ordering::Acquire),
            |sampled, copy| (sampled, page.copies[copy][0].load(Ordering::Relaxed)),
        );
        assert!(sampled <= read, "update {read} was read after {sampled} was seen");
        writer.join().unwrap();
    });
}

/// What the timekeeper stores and the image loads, of a line that is really one.
#[test]
fn latch_of_real_lines_is_never_torn() {
    check(2, || {
        let page = Arc::new((AtomicU32::new(0), [Line::new(), Line::new()]));
        let reader = thread::spawn({
            let page = page.clone();
            move || {
                let (view, offset) = latch::read(
                    &page.0,
                    || (),
                    |(), copy| {
                        let line = &page.1[copy];
                        ((line.load_cycle_last(), line.load_nanos()), line.load_offset())
                    },
                );
                let update = u64::from(view.0.high);
                let is_first = update == CounterView::UNUSABLE.cycle_last >> 32;
                let (nsec, sec) = if is_first { (0, 0) } else { (update, update) };
                assert_eq!((view.1.ns, offset.sec), (nsec, sec), "{TORN}");
            }
        });
        for update in 1..=2 {
            latch::write(&page.0, |_, spare| {
                page.1[spare].store_counter_view(&counter_view(update));
                page.1[spare].store_transform(&transform(update));
            });
        }
        reader.join().unwrap();
    });
}

fn counter_view(update: u64) -> CounterView {
    CounterView {
        cycle_last: update << 32,
        stale_cycles: update,
        mult: Mult { whole: update, fraction: update },
        sec: update as i64,
        nanos: Nanos { ns: update, fraction: update },
    }
}

fn transform(update: u64) -> Transform {
    let time = Timespec { sec: update as i64, nsec: 0 };
    Transform { offset: time, base: time, rate: Rate::ONE }
}

/// Two words under the kernel's sequence lock, with the kernel as its writer.
struct KernelPage {
    seq: AtomicU32,
    mode: AtomicU32,
    words: [AtomicU64; 2],
}

impl KernelPage {
    fn new() -> Arc<Self> {
        let words = [AtomicU64::new(0), AtomicU64::new(0)];
        Arc::new(Self { seq: AtomicU32::new(0), mode: AtomicU32::new(1), words })
    }

    /// `vdso_write_begin`, the stores, `vdso_write_end`: odd, barrier, data, barrier, even.
    fn publish(&self, update: u64) {
        let seq = self.seq.load(Ordering::Relaxed);
        self.seq.store(seq + 1, Ordering::Relaxed);
        // The kernel's barrier, under the name by which it can be taken away.
        writer_fence();
        for word in &self.words {
            word.store(update, Ordering::Relaxed);
        }
        // Its second barrier and the store.
        self.seq.store(seq + 2, Ordering::Release);
    }

    /// Which update is published, `None` in a time namespace.
    fn read(&self) -> Option<u64> {
        self.read_unless(|| self.mode.load(Ordering::Relaxed) == 0)
    }

    fn read_unless(&self, never_even: impl Fn() -> bool) -> Option<u64> {
        let words = seqlock::read(
            &self.seq,
            never_even,
            || (),
            |()| self.words.each_ref().map(|word| word.load(Ordering::Relaxed)),
        );
        words.map(|[first, second]| {
            assert_eq!(first, second, "{TORN}");
            first
        })
    }

    /// The same in one try; `None` also if a write was in the way.
    fn try_read(&self) -> Option<u64> {
        let words = || self.words.each_ref().map(|word| word.load(Ordering::Relaxed));
        let [first, second] = seqlock::try_read(&self.seq, words)?;
        assert_eq!(first, second, "{TORN}");
        Some(first)
    }

    fn read_in_order(&self, times: usize) -> u64 {
        let mut last = 0;
        for _ in 0..times {
            let now = self.read().expect("the number becomes even again");
            assert!(last <= now, "update {now} was read after {last}");
            last = now;
        }
        last
    }
}

/// Runs a thread of `reads` reads beside the updates 1 to `updates`.
fn seqlock_model(updates: u64, reads: usize) {
    let page = KernelPage::new();
    let reader = thread::spawn({
        let page = page.clone();
        move || page.read_in_order(reads)
    });
    for update in 1..=updates {
        page.publish(update);
    }
    assert!(reader.join().unwrap() <= updates);
    assert_eq!(page.read(), Some(updates), "whoever comes after the updates sees the last");
}

#[test]
fn seqlock_of_two_updates_is_never_torn() {
    check(3, || seqlock_model(2, 1));
}

#[test]
fn seqlock_read_twice_is_never_torn() {
    check(3, || seqlock_model(1, 2));
}

/// Two threads that wait could let each other wait without end, which is not a thing to be checked
/// here: so these give up.
#[test]
fn seqlock_of_two_readers_is_never_torn() {
    check(3, || {
        let page = KernelPage::new();
        let readers = [(); 2].map(|()| {
            let page = page.clone();
            thread::spawn(move || {
                let waits = Cell::new(0);
                page.read_unless(|| waits.replace(waits.get() + 1) == 1)
            })
        });
        page.publish(1);
        for reader in readers {
            assert!(matches!(reader.join().unwrap(), None | Some(0 | 1)));
        }
        assert_eq!(page.read(), Some(1));
    });
}

/// A process enters a time namespace while it reads: the page turns odd for good, and the reader
/// ends.
#[test]
fn seqlock_that_stays_odd_ends() {
    check(3, || {
        let page = KernelPage::new();
        let reader = thread::spawn({
            let page = page.clone();
            move || page.read()
        });
        page.mode.store(0, Ordering::Relaxed);
        page.seq.store(1, Ordering::Release);
        assert!(matches!(reader.join().unwrap(), None | Some(0)));
        assert_eq!(page.read(), None);
    });
}

#[test]
fn seqlock_tried_once_is_never_torn() {
    check(3, || {
        let page = KernelPage::new();
        let reader = thread::spawn({
            let page = page.clone();
            move || page.try_read()
        });
        page.publish(1);
        page.publish(2);
        assert!(matches!(reader.join().unwrap(), None | Some(0..=2)));
        assert_eq!(page.try_read(), Some(2));
    });
}

/// A counter of which every read gets a later value, and a clock over it that is steered: its line is
/// continued at the counter value of an update, at another slope.
struct Steered {
    counter: AtomicU64,
    seq: AtomicU32,
    /// Of the sequence lock: time at the counter's zero, and slope. Of the latch: two of those, and the
    /// counter value at which each begins.
    start: [AtomicI64; latch::COPIES],
    slope: [AtomicI64; latch::COPIES],
    from: [AtomicI64; latch::COPIES],
}

/// At the counter's zero.
const START: i64 = 1000;
const SLOPE: i64 = 1;
const STEEPER: i64 = 10;

impl Steered {
    fn new() -> Arc<Self> {
        let both = |value| [AtomicI64::new(value), AtomicI64::new(value)];
        Arc::new(Self {
            counter: AtomicU64::new(0),
            seq: AtomicU32::new(0),
            start: both(START),
            slope: both(SLOPE),
            from: both(0),
        })
    }

    /// In order, as the processor's is.
    fn cycles(&self) -> i64 {
        self.counter.fetch_add(1, Ordering::AcqRel) as i64
    }

    fn store(&self, copy: usize, now: i64) {
        // The two lines meet at the update.
        let start = START + now * SLOPE - now * STEEPER;
        self.start[copy].store(start, Ordering::Relaxed);
        self.slope[copy].store(STEEPER, Ordering::Relaxed);
        self.from[copy].store(now, Ordering::Relaxed);
    }

    fn at(&self, copy: usize, cycles: i64) -> i64 {
        let start = self.start[copy].load(Ordering::Relaxed);
        start + cycles * self.slope[copy].load(Ordering::Relaxed)
    }

    /// As the kernel: the counter first, then the lock.
    fn update_as_kernel(&self) {
        let now = self.cycles();
        self.seq.store(1, Ordering::Relaxed);
        writer_fence();
        self.store(0, now);
        self.seq.store(2, Ordering::Release);
    }

    fn update_as_timekeeper(&self) {
        let now = self.cycles();
        latch::write(&self.seq, |_, spare| self.store(spare, now));
    }

    fn kernels(&self) -> i64 {
        seqlock::read(&self.seq, || false, || self.cycles(), |cycles| self.at(0, cycles)).unwrap()
    }

    fn kernels_at_once(&self) -> Option<i64> {
        seqlock::try_read_at(&self.seq, || self.cycles(), |cycles| Some(self.at(0, cycles)))
    }

    /// A line of ours is not used before it begins.
    fn timekeepers(&self) -> i64 {
        let at = |cycles: i64, copy: usize| {
            self.at(copy, cycles.max(self.from[copy].load(Ordering::Relaxed)))
        };
        latch::read(&self.seq, || self.cycles(), at)
    }
}

/// One reader reads twice while an update comes; another one of the same clock comes after it.
fn steered_model(
    update: impl Fn(&Steered) + Sync + Send + 'static,
    read: impl Fn(&Steered) -> i64 + Sync + Send + Copy + 'static,
) {
    check(3, move || {
        let page = Steered::new();
        let reader = thread::spawn({
            let page = page.clone();
            move || {
                let times = [read(&page), read(&page)];
                assert!(times[0] <= times[1], "{TORN}, and time went back: {times:?}");
                times[1]
            }
        });
        update(&page);
        let after = reader.join().unwrap();
        assert!(after <= read(&page), "{TORN}, and time went back");
    });
}

#[test]
fn seqlock_of_a_steered_clock_is_never_torn() {
    steered_model(Steered::update_as_kernel, Steered::kernels);
}

/// Whoever tries once asks again here, as the image does in its slower function.
#[test]
fn seqlock_of_a_steered_clock_tried_once_is_never_torn() {
    let read = |page: &Steered| page.kernels_at_once().unwrap_or_else(|| page.kernels());
    steered_model(Steered::update_as_kernel, read);
}

/// The latch's sample comes first, which is right for lines that begin at their update.
#[test]
fn latch_of_a_steered_clock_does_not_go_back() {
    steered_model(Steered::update_as_timekeeper, Steered::timekeepers);
}

/// The model misses the order: the sample first, on a page that does not say when it was updated.
#[test]
fn a_sample_before_the_number_goes_back_on_a_kernels_page() {
    let first = |page: &Steered| {
        let sampled = page.cycles();
        seqlock::read(&page.seq, || false, || (), |()| page.at(0, sampled)).unwrap()
    };
    let found = catch_unwind(AssertUnwindSafe(|| {
        steered_model(Steered::update_as_kernel, first);
    }));
    assert!(found.is_err(), "the model does not find it");
}
