//! The latch and the sequence lock without a model checker: what they call, how often, and with
//! what. A write "in between" is made from within the read, so nothing depends on timing.
#![cfg(not(loom))]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::AtomicBool;
use std::thread;

use vdso_data::sync::Ordering::Relaxed;
use vdso_data::sync::{AtomicU32, AtomicU64, Ordering};
use vdso_data::{latch, seqlock};

/// Samples that tell which try they were taken for.
fn counting(tries: &Cell<u32>) -> impl FnMut() -> u32 {
    move || {
        tries.set(tries.get() + 1);
        tries.get()
    }
}

#[test]
fn a_latch_moves_its_readers_from_copy_to_copy() {
    let seq = AtomicU32::new(0);
    for update in 0..5 {
        assert_eq!(latch::read(&seq, || (), |(), copy| copy), update % 2);
        let copies = latch::write(&seq, |read, fill| (read, fill));
        assert_eq!(copies, (update % 2, (update + 1) % 2));
        assert_eq!(seq.load(Relaxed), update as u32 + 1);
    }
}

#[test]
fn a_latch_outlives_the_last_number() {
    let seq = AtomicU32::new(u32::MAX);
    assert_eq!(latch::read(&seq, || (), |(), copy| copy), 1);
    assert_eq!(latch::write(&seq, |read, fill| (read, fill)), (1, 0));
    assert_eq!(seq.load(Relaxed), 0);
    assert_eq!(latch::read(&seq, || (), |(), copy| copy), 0);
}

/// Each try has a sample of its own, taken before the copy is chosen.
#[test]
fn a_latch_reads_again_with_a_new_sample_after_every_update() {
    for updates in 0..4 {
        let seq = AtomicU32::new(0);
        let tries = Cell::new(0);
        let (sample, copy) = latch::read(&seq, counting(&tries), |sample, copy| {
            if sample <= updates {
                latch::write(&seq, |_, _| ());
            }
            (sample, copy)
        });
        assert_eq!(tries.get(), updates + 1);
        assert_eq!(sample, updates + 1, "the value of the last try is given");
        assert_eq!(copy, updates as usize % 2);
    }
}

#[test]
fn an_update_between_sample_and_read_costs_no_second_try() {
    let seq = AtomicU32::new(0);
    let tries = Cell::new(0);
    let sample = || {
        tries.set(tries.get() + 1);
        latch::write(&seq, |_, _| ());
    };
    assert_eq!(latch::read(&seq, sample, |(), copy| copy), 1);
    assert_eq!(tries.get(), 1);
}

/// Dies like a killed process: the closure never comes back.
fn die_in_write(seq: &AtomicU32, fill: impl FnOnce(usize)) {
    let death = catch_unwind(AssertUnwindSafe(|| {
        latch::write(seq, |_, spare| {
            fill(spare);
            resume_unwind(Box::new("killed"));
        });
    }));
    assert!(death.is_err());
}

#[test]
fn a_latch_whose_writer_died_is_read_and_taken_over() {
    let seq = AtomicU32::new(0);
    let copies = [AtomicU64::new(10), AtomicU64::new(10)];
    let read = || latch::read(&seq, || (), |(), copy| copies[copy].load(Relaxed));
    die_in_write(&seq, |spare| copies[spare].store(666, Relaxed));
    assert_eq!(read(), 10);
    latch::write(&seq, |_, spare| copies[spare].store(20, Relaxed));
    assert_eq!(read(), 20);
    die_in_write(&seq, |spare| copies[spare].store(667, Relaxed));
    assert_eq!(read(), 20);
}

fn endless() -> bool {
    panic!("asked whether the number stays odd, although it is even")
}

#[test]
fn a_seqlock_reads_once_where_nobody_writes() {
    let seq = AtomicU32::new(4);
    let tries = Cell::new(0);
    assert_eq!(seqlock::read(&seq, endless, counting(&tries), |sample| sample), Some(1));
    assert_eq!(tries.get(), 1);
}

/// A sample from before the write stands for no time of what was written.
#[test]
fn a_write_between_number_and_sample_costs_another_try() {
    let seq = AtomicU32::new(4);
    let tries = Cell::new(0);
    let sample = || {
        tries.set(tries.get() + 1);
        if tries.get() == 1 {
            seq.fetch_add(2, Ordering::Release);
        }
        tries.get()
    };
    assert_eq!(seqlock::read(&seq, endless, sample, |sample| sample), Some(2));
    let sample = || seq.fetch_add(2, Ordering::Release);
    assert_eq!(seqlock::try_read_at(&seq, sample, Some), None);
    assert_eq!(seqlock::try_read_at(&seq, || 5, Some), Some(5));
    assert_eq!(seqlock::try_read_at(&seq, || 5, |_| None::<u32>), None);
    seq.store(7, Relaxed);
    assert_eq!(seqlock::try_read_at(&seq, || panic!("odd"), Some::<u32>), None);
}

#[test]
fn a_seqlock_reads_again_with_a_new_sample_after_a_write() {
    for (name, step) in [("a whole write", 2), ("many writes", 64)] {
        let seq = AtomicU32::new(u32::MAX - 1);
        let tries = Cell::new(0);
        let value = seqlock::read(&seq, endless, counting(&tries), |sample| {
            if sample < 3 {
                seq.fetch_add(step, Ordering::Release);
            }
            sample
        });
        assert_eq!((value, tries.get()), (Some(3), 3), "{name}");
    }
}

/// The write that has begun ends while the reader waits for it: it asks each time whether it ever
/// will, and does not read meanwhile.
#[test]
fn a_seqlock_waits_for_a_write_that_has_begun() {
    let seq = AtomicU32::new(1);
    let asked = Cell::new(0);
    let never_even = || {
        asked.set(asked.get() + 1);
        if asked.get() == 3 {
            seq.store(2, Ordering::Release);
        }
        false
    };
    let tries = Cell::new(0);
    let reads = Cell::new(0);
    let value = seqlock::read(&seq, never_even, counting(&tries), |sample| {
        reads.set(reads.get() + 1);
        sample
    });
    assert_eq!(value, Some(1));
    assert_eq!((asked.get(), tries.get(), reads.get()), (3, 1, 1));
}

#[test]
fn a_seqlock_that_stays_odd_says_so_without_reading() {
    let seq = AtomicU32::new(1);
    let read = |()| panic!("the clocks are elsewhere");
    assert_eq!(seqlock::read(&seq, || true, || (), read), None);
    // A process that enters a time namespace in the middle of a read.
    let seq = AtomicU32::new(2);
    assert_eq!(seqlock::read(&seq, || true, || (), |()| seq.store(3, Relaxed)), None);
}

#[test]
fn a_latch_that_is_tried_once_gives_up_on_an_update() {
    let seq = AtomicU32::new(0);
    assert_eq!(latch::try_read(&seq, || 1, |sample, copy| Some((sample, copy))), Some((1, 0)));
    assert_eq!(latch::try_read(&seq, || (), |(), _| None::<()>), None);
    let updated = latch::try_read(
        &seq,
        || (),
        |(), copy| {
            latch::write(&seq, |_, _| ());
            Some(copy)
        },
    );
    assert_eq!(updated, None);
    assert_eq!(latch::try_read(&seq, || (), |(), copy| Some(copy)), Some(1));
}

#[test]
fn a_seqlock_that_is_tried_once_gives_up_on_a_write() {
    let seq = AtomicU32::new(4);
    assert_eq!(seqlock::try_read(&seq, || 1), Some(1));
    for (name, step) in [("a write that begins", 1), ("a whole write", 2)] {
        seq.store(6, Relaxed);
        assert_eq!(seqlock::try_read(&seq, || seq.fetch_add(step, Relaxed)), None, "{name}");
    }
    seq.store(7, Relaxed);
    let read = || panic!("the clocks are elsewhere");
    assert_eq!(seqlock::try_read(&seq, read), None, "a write that has begun");
}

/// The real thing on real threads; for Miri above all, which knows of weak memory.
#[test]
fn nobody_sees_half_an_update() {
    let updates: u64 = if cfg!(miri) { 50 } else { 20_000 };
    let seq = AtomicU32::new(0);
    let copies: [[AtomicU64; 8]; 2] = Default::default();
    let is_done = AtomicBool::new(false);
    let read = || {
        latch::read(&seq, || (), |(), copy| copies[copy].each_ref().map(|word| word.load(Relaxed)))
    };
    thread::scope(|scope| {
        let reader = || {
            let mut last = 0;
            loop {
                let was_done = is_done.load(Ordering::Acquire);
                let words = read();
                assert_eq!(words, [words[0]; 8]);
                assert!(last <= words[0], "{} after {last}", words[0]);
                last = words[0];
                if was_done {
                    break last;
                }
            }
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        for update in 1..=updates {
            latch::write(&seq, |_, spare| {
                copies[spare].iter().for_each(|word| word.store(update, Relaxed));
            });
        }
        is_done.store(true, Ordering::Release);
        for reader in readers {
            assert_eq!(reader.join().unwrap(), updates);
        }
    });
}
