//! Two threads that tell each other what they have read: whoever reads after having been told must not
//! read less. A counter that is not read in order shows here as nowhere else.
//!
//! `VDSO_ORDER_READS` says how many reads each thread makes of each clock.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use vdso_data::clock;
use vdso_image::Source;

use super::support::*;

const DEFAULT_READS: u64 = 200_000;

const CLOCKS: [u32; 4] = [clock::MONOTONIC, clock::REALTIME, clock::BOOTTIME, clock::MONOTONIC_RAW];

/// Runs two threads of `reads` reads each, and gives how often a thread read less than it had been
/// told before, and by how much at most.
fn violations(reads: u64, read: impl Fn() -> i64 + Sync) -> (u64, i64) {
    let (told, count, worst) = (AtomicI64::new(i64::MIN), AtomicU64::new(0), AtomicI64::new(0));
    let is_running = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = || {
            // Neither is done before the other has begun.
            while !is_running.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            for _ in 0..reads {
                // Acquire: what was read before it was told happened before what follows.
                let told_before = told.load(Ordering::Acquire);
                let now = read();
                // Only ever raised, so that it stays what somebody has read at the latest.
                told.fetch_max(now, Ordering::AcqRel);
                if now < told_before {
                    count.fetch_add(1, Ordering::Relaxed);
                    worst.fetch_max(told_before - now, Ordering::Relaxed);
                }
            }
        };
        scope.spawn(reader);
        scope.spawn(reader);
        is_running.store(true, Ordering::Relaxed);
    });
    (count.into_inner(), worst.into_inner())
}

fn check(source: Source) {
    let reads = number_from("VDSO_ORDER_READS", DEFAULT_READS);
    if !is_usable("ordering", source) {
        return;
    }
    let transforms = offset_by(seconds(1000));
    let mapped = Mapped::new(source, &transforms);
    // Far more often than a timekeeper does, as it is the updates that must not show.
    let often = |_| Duration::from_micros(50);
    let publisher =
        (source == Source::Own).then(|| Publisher::start_with(&mapped.file, transforms, often));
    let functions = mapped.functions();
    for id in CLOCKS {
        let read = || functions.read_ns(id) as i64;
        let (count, worst_ns) = violations(reads, read);
        println!("{mapped}, clock {id}: 2 x {reads} reads, {count} violations");
        assert_eq!(count, 0, "{mapped}, clock {id}: by up to {worst_ns} ns");
    }
    drop(publisher);
}

#[test]
fn own() {
    check(Source::Own);
}

#[test]
fn host() {
    check(Source::Host);
}

#[test]
fn chain() {
    check(Source::Chain);
}

/// The check itself: a clock that goes back now and then is found out.
#[test]
fn a_clock_that_goes_back_is_found_out() {
    let reads = AtomicI64::new(0);
    let sawtooth = || {
        let read = reads.fetch_add(1, Ordering::Relaxed);
        if read % 1000 == 999 { read - 500 } else { read }
    };
    let (count, worst) = violations(10_000, sawtooth);
    assert!(count > 0 && worst > 0);
}
