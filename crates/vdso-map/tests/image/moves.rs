//! A page whose transforms and lines are changed while programs read it: each read is of one state or
//! of the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use vdso_data::arithmetic::{Rate, Timespec, Transform};
use vdso_data::clock;
use vdso_data::latch;
use vdso_data::own::OwnPage;
use vdso_host::counter;
use vdso_image::Source;
use vdso_timekeeper::steering::Line;

use super::kernel_page::FakeVvar;
use super::support::*;

const READS: u32 = 100_000;

fn publish(page: &OwnPage, transform: &Transform, line: Option<&Line>) {
    latch::write(&page.header.seq, |read, spare| {
        for (id, spare) in page.copy(spare).iter().enumerate() {
            let view = page.copy(read)[id].load_counter_view();
            spare.store_transform(transform);
            spare.store_counter_view(&line.map_or(view, |line| line.view(1 << 45)));
        }
    });
    page.store_seconds_offsets(&[*transform; clock::LINES]);
}

/// Changes `page` from one state to the other and back, for as long as `read` is at work.
fn while_changing(page: &OwnPage, change: impl Fn(&OwnPage, usize) + Sync, read: impl FnOnce()) {
    let is_done = AtomicBool::new(false);
    let before = page.header.seq.load(Ordering::Relaxed);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut update = 0;
            // Once at least each way, however soon the reads are done.
            while !is_done.load(Ordering::Relaxed) || update < 2 {
                change(page, update % 2);
                update += 1;
            }
            change(page, 0);
        });
        let reading = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
        is_done.store(true, Ordering::Relaxed);
        writer.join().expect("the writer has said why");
        if let Err(panic) = reading {
            std::panic::resume_unwind(panic);
        }
    });
    println!("{} updates", page.header.seq.load(Ordering::Relaxed).wrapping_sub(before));
}

/// Nanoseconds, seconds, base and rate all differ, and no mixture of the two makes either.
fn states() -> [Transform; 2] {
    let base = |id| kernels(id);
    [
        Transform {
            offset: Timespec { sec: 5_000_000, nsec: 1 },
            base: Timespec::default(),
            rate: Rate::ONE,
        },
        Transform {
            offset: Timespec { sec: -7_000_000, nsec: 999_999_999 },
            base: base(clock::REALTIME),
            rate: Rate { whole: 0, fraction: 1 << 60 },
        },
    ]
}

/// The host view: an offset's two words, and all six where the rate is not one. A kernel's page that
/// stands still makes every read exact.
#[test]
fn a_transform_is_changed_at_once() {
    let vvar = FakeVvar::new();
    let host = host();
    let offsets =
        [Timespec { sec: 5_000_000, nsec: 1 }, Timespec { sec: -7_000_000, nsec: 999_999_999 }];
    let state = |offset| Transform { offset, ..Transform::IDENTITY };
    let mapped =
        Mapped::with(Source::Host, &offset_by(offsets[0]), &vvar.template(host), host.vdso_addr);
    let functions = mapped.functions();
    // Before anything changes: what each clock is in either state.
    let now = |update: usize| {
        publish(mapped.page(), &state(offsets[update]), None);
        PAGE_CLOCKS.map(|id| functions.read(id))
    };
    let (second, first) = (now(1), now(0));
    while_changing(
        mapped.page(),
        |page, update| publish(page, &state(offsets[update]), None),
        || {
            for _ in 0..READS {
                for (at, id) in PAGE_CLOCKS.into_iter().enumerate() {
                    let now = functions.read(id);
                    let is_whole = now == first[at] || now == second[at];
                    assert!(is_whole, "clock {id} is torn: {now:?}");
                }
            }
        },
    );
}

/// The same by the kernel's own function, where the rate is in it: for every source.
#[test]
fn a_rate_is_changed_at_once() {
    for source in
        Source::ALL.into_iter().filter(|&source| is_usable("a_rate_is_changed_at_once", source))
    {
        let states = states();
        let mapped = Mapped::new(source, &[states[0]; clock::LINES]);
        let functions = mapped.functions();
        let change = |page: &OwnPage, update: usize| publish(page, &states[update], None);
        while_changing(mapped.page(), change, || {
            for _ in 0..READS / 10 {
                for id in [clock::REALTIME, clock::TAI] {
                    let before = kernels(id);
                    let now = functions.read(id);
                    let after = kernels(id);
                    let is_whole = states
                        .iter()
                        .any(|state| state.apply(before) <= now && now <= state.apply(after));
                    assert!(is_whole, "{mapped}, clock {id} is torn: {now:?}");
                }
            }
        });
    }
}

/// The counter view: two lines that stand still, of which no word is the same.
#[test]
fn a_line_is_changed_at_once() {
    let host = host();
    let template = template(host, Source::Chain);
    let mapped = Mapped::with(Source::Own, &offset_by(seconds(0)), &template, host.vdso_addr);
    let functions = mapped.functions();
    let time =
        [Timespec { sec: 1_000_000, nsec: 1 }, Timespec { sec: -2_000_000, nsec: 999_999_999 }];
    // The second one is old enough for the slow path.
    let start = counter::read().wrapping_sub(1 << 40);
    let line = [0, 1].map(|which: usize| Line {
        cycles: if which == 0 { counter::read() } else { start },
        start: time[which].as_nanos() << 32,
        slope: 0,
    });
    let change =
        |page: &OwnPage, update: usize| publish(page, &Transform::IDENTITY, Some(&line[update]));
    change(mapped.page(), 1);
    while_changing(mapped.page(), change, || {
        for _ in 0..READS {
            for id in clock::HIGH_RESOLUTION_IDS {
                let now = functions.read(id);
                assert!(time.contains(&now), "clock {id} is torn: {now:?}");
            }
            let now = functions.timeval().as_nanos();
            let is_whole = time.iter().any(|it| it.as_nanos().div_euclid(1000) * 1000 == now);
            assert!(is_whole, "gettimeofday is torn: {now}");
        }
    });
}

/// REALTIME and TAI are moved by the same update: a program that reads one, then the other, then the
/// first again, and finds that one unmoved, has read the other in the same state.
#[test]
fn realtime_and_tai_are_moved_together() {
    let host = host();
    let template = template(host, Source::Chain);
    let mapped = Mapped::with(Source::Own, &offset_by(seconds(0)), &template, host.vdso_addr);
    let functions = mapped.functions();
    let update = std::cell::Cell::new(0u32);
    let state = |id: usize, update: u32| {
        let leap_seconds = if id == clock::TAI as usize { 37 } else { 0 };
        let start = (i128::from(update) * 3600 + leap_seconds) * NSEC_PER_SEC;
        Line { cycles: counter::read() - 1000, start: start << 32, slope: 0 }
    };
    let change = |page: &OwnPage, update: u32| {
        latch::write(&page.header.seq, |_, spare| {
            for (id, line) in page.copy(spare).iter().enumerate() {
                line.store_counter_view(&state(id, update).view(1 << 45));
            }
        });
    };
    change(mapped.page(), 0);
    let counting = std::sync::atomic::AtomicU32::new(1);
    let changing = |page: &OwnPage, _| change(page, counting.fetch_add(1, Ordering::Relaxed));
    while_changing(mapped.page(), changing, || {
        for _ in 0..READS {
            let first = functions.read(clock::REALTIME);
            let tai = functions.read(clock::TAI);
            if functions.read(clock::REALTIME) == first {
                assert_eq!(tai.wrapping_sub(first), seconds(37));
                update.set(update.get() + 1);
            }
        }
    });
    println!("{} of {READS} reads of both were of one state", update.get());
}
