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
