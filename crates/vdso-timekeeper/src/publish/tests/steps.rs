//! What a single update, a successor and a start write.

use super::*;

/// What a successor makes of each kind of page.
#[test]
fn a_line_is_taken_over_as_far_as_it_is_good() {
    let page = OwnPage::new();
    let id = clock::MONOTONIC as usize;
    let world = World::new();
    let keeper = timekeeper(&page, &world, [Transform::IDENTITY; clock::LINES]);
    let place = |now| keeper.place(&keeper.views()[id], now);
    assert_eq!(place(1 << 40), None, "an unusable line is none");

    let line = Line { cycles: 1 << 40, start: 2_000_000 * MS, slope: SLOPE };
    let stale_cycles = 1 << 34;
    latch::write(&page.header.seq, |_, spare| {
        page.copy(spare)[id].store_counter_view(&line.view(stale_cycles));
    });
    assert_eq!(place(line.cycles), Some(Place::On(line)));
    assert_eq!(place(line.cycles + stale_cycles), Some(Place::On(line)));
    let start = line.at(line.cycles + stale_cycles);
    let past = |now| Some(Place::Past(Line { cycles: now, start, slope: 0 }));
    let now = line.cycles + stale_cycles + 1;
    assert_eq!(place(now), past(now));
    // The counter was reset, by a snapshot's restoration for example.
    assert_eq!(place(5), past(5));
}

/// Where nobody is below, a line has no end; and where the counter began anew, no clock is as far ahead as one that had
/// been read until then.
#[test]
fn a_line_without_end_moves_no_clock_far_ahead() {
    for (name, rate) in RATES {
        let (page, world) = (OwnPage::new(), World::new());
        world.leave_alone();
        let mut keeper = timekeeper(&page, &world, moved(rate, 7));
        for _ in 0..20 {
            let due = follow(&mut keeper, sample(&world));
            world.advance_to(world.cycles() + due);
        }
        for id in clock::HIGH_RESOLUTION_IDS {
            assert_eq!(keeper.views()[id as usize].stale_cycles, ENDLESS_CYCLES, "rate {name}");
        }
        world.set_counter(5);
        follow(&mut keeper, sample(&world));
        for id in clock::HIGH_RESOLUTION_IDS {
            let gained = world.slope(id) * u128::from(keeper.cycles_in(INTERVAL + GRACE));
            let most = steering::transformed_slope(&keeper.transforms[id as usize], gained) >> 32;
            let ahead = ahead(&keeper, &world, id);
            assert!(ahead <= most as Fixed + MS, "rate {name}, clock {id}: {} ns", ahead >> 32);
        }
    }
}

/// A clock that was set back before its next publisher began is set back by that one, also from a line without end.
#[test]
fn a_line_without_end_is_taken_over_by_the_time_it_was_set_to() {
    let (page, world) = (OwnPage::new(), World::new());
    world.leave_alone();
    let unmoved = [Transform::IDENTITY; clock::LINES];
    follow(&mut timekeeper(&page, &world, unmoved), sample(&world));
    world.set_realtime(-3600 * 1000 * MS);
    let mut successor = timekeeper(&page, &world, unmoved);
    follow(&mut successor, sample(&world));
    let off = ahead(&successor, &world, clock::REALTIME).abs();
    assert!(off <= MS, "{} ns", off >> 32);
}

/// An update that has come too late for its lines leaves readers where they are.
#[test]
fn a_late_update_is_not_published() {
    let page = OwnPage::new();
    let world = World::new();
    let mut keeper = timekeeper(&page, &world, [Transform::IDENTITY; clock::LINES]);
    let seq = || page.header.seq.load(Ordering::Relaxed);
    for late in [OVERLAP_CYCLES + 1, 1 << 40] {
        let sample = sample(&world);
        world.stand_still(late);
        assert_eq!(keeper.follow(sample), None);
        assert_eq!((seq(), keeper.report().updates), (0, 0));
    }
    let sample = sample(&world);
    world.stand_still(OVERLAP_CYCLES);
    assert_eq!(keeper.follow(sample), Some(FIRST_INTERVAL));
    assert_eq!((seq(), keeper.report().updates), (1, 1));
}

/// Where a line ends while its successor is made, readers are at the reference's time, which may be ahead of
/// both: so there the update is late, however long its own lines would be above the old ones.
#[test]
fn an_update_behind_the_end_of_the_line_before_is_late() {
    for hz in [24_000_000, 2_500_000_000] {
        let (world, page) = (World::of_hz(hz), OwnPage::new());
        let mut keeper = timekeeper(&page, &world, [Transform::IDENTITY; clock::LINES]);
        follow(&mut keeper, sample(&world));
        let life_cycles = keeper.cycles_in(FIRST_INTERVAL + GRACE);
        // The line is behind.
        world.slew(500);
        world.advance_to(world.cycles() + life_cycles - 1000);
        let before = sample(&world);
        world.stand_still(1001);
        assert_eq!(keeper.follow(before), None, "{hz} Hz: the line has ended");
        assert_eq!(keeper.follow(sample(&world)), Some(FIRST_INTERVAL * 2), "{hz} Hz: anew");
    }
}

/// A machine that was suspended, or whose time was set, may have been copied meanwhile.
#[test]
fn keys_are_renewed_after_a_standstill_alone() {
    let page = OwnPage::new();
    let world = World::new();
    let mut keeper = timekeeper(&page, &world, [Transform::IDENTITY; clock::LINES]);
    let generation = || page.header.random_generation.load(Ordering::Relaxed);
    let mut random = Random::new(5);
    follow(&mut keeper, sample(&world));
    for _ in 0..100 {
        let before = generation();
        world.slew_at_random(&mut random);
        world.advance_to(world.cycles() + 1000 * CYCLES_PER_MS);
        follow(&mut keeper, sample(&world));
        assert_eq!(generation(), before, "the clocks were slewed");
    }
    let disturbances: [fn(&World); 2] =
        [|world| world.set_realtime(3_600_000 * MS), |world| world.suspend_with_counter(50 * MS)];
    for disturb in disturbances {
        let before = generation();
        disturb(&world);
        world.advance_to(world.cycles() + 1000 * CYCLES_PER_MS);
        follow(&mut keeper, sample(&world));
        assert_eq!(generation(), before + 1);
    }
}

/// The machine that stood still may come back with another counter.
#[test]
fn keys_are_renewed_when_the_counter_is_given_up() {
    let page = OwnPage::new();
    let world = World::new();
    let mut keeper = timekeeper(&page, &world, [Transform::IDENTITY; clock::LINES]);
    let generation = || page.header.random_generation.load(Ordering::Relaxed);
    let before = generation();
    keeper.give_up_counter();
    assert_eq!(generation(), before, "it has not followed any");
    follow(&mut keeper, sample(&world));
    assert_eq!(generation(), before);
    keeper.give_up_counter();
    assert_eq!(generation(), before + 1);
    keeper.give_up_counter();
    assert_eq!(generation(), before + 1, "once");
}

#[test]
fn a_page_is_initialised_with_what_needs_no_timekeeper() {
    let page = OwnPage::new();
    let transforms = std::array::from_fn(|id| Transform {
        offset: Timespec { sec: id as i64, nsec: 5 },
        ..Transform::IDENTITY
    });
    let resolutions = Resolutions { fine_ns: 3, coarse_ns: 5_000_000 };
    initialise(&page, resolutions, &transforms);
    for copy in 0..latch::COPIES {
        for (line, transform) in page.copy(copy).iter().zip(&transforms) {
            assert_eq!(line.load_transform(), *transform);
            assert_eq!(line.load_counter_view(), CounterView::UNUSABLE);
        }
    }
    assert_eq!(page.header.seq.load(Ordering::Relaxed), 0);
    assert_eq!(page.header.hrtimer_res_ns.load(Ordering::Relaxed), 3);
    assert_eq!(page.header.coarse_res_ns.load(Ordering::Relaxed), 5_000_000);
}

/// Every update writes the whole copy, and the intervals grow to the longest.
#[test]
fn an_update_writes_every_line_of_the_spare_copy() {
    let page = OwnPage::new();
    let transforms = moved(Rate { whole: 2, fraction: 0 }, 9);
    let world = World::new();
    let mut keeper = timekeeper(&page, &world, transforms);
    let mut interval = FIRST_INTERVAL;
    for update in 1..12u32 {
        assert_eq!(keeper.interval, interval);
        let waits = follow(&mut keeper, sample(&world));
        assert_eq!(page.header.seq.load(Ordering::Relaxed), update);
        for (id, line) in page.copy(update as usize % 2).iter().enumerate() {
            assert_eq!(line.load_transform(), transforms[id]);
            let view = line.load_counter_view();
            if clock::is_in(id as u32, clock::HIGH_RESOLUTION) {
                assert_eq!(view.cycle_last, world.cycles());
                // Until the next update, and half a second.
                assert_eq!(view.stale_cycles, keeper.cycles_in(interval + GRACE));
            } else {
                assert_eq!(view, CounterView::UNUSABLE);
            }
        }
        world.advance_to(world.cycles() + waits);
        interval = (interval * 2).min(Duration::from_millis(1024));
    }
    assert_eq!(keeper.report().updates, 11);
}

/// Whoever writes to a page, and whatever is asked for: nothing is reckoned that does not fit.
#[test]
fn no_page_and_no_transform_makes_a_panic() {
    let mut random = Random::new(9);
    let page = OwnPage::new();
    let world = World::new();
    let mut keeper = timekeeper(&page, &world, [Transform::IDENTITY; clock::LINES]);
    for _ in 0..5_000 {
        let mut any = || match random.below(4) {
            0 => u64::MAX,
            1 => i64::MAX as u64,
            2 => 0,
            _ => random.bits() >> random.below(64),
        };
        keeper.transforms = std::array::from_fn(|_| Transform {
            offset: Timespec { sec: any() as i64, nsec: any() as i64 },
            base: Timespec { sec: any() as i64, nsec: any() as i64 },
            rate: Rate { whole: any(), fraction: any() },
        });
        for line in page.copy(0).iter().chain(page.copy(1)) {
            line.store_counter_view(&CounterView {
                cycle_last: any(),
                stale_cycles: any(),
                mult: Mult { whole: any(), fraction: any() },
                sec: any() as i64,
                nanos: Nanos { ns: any(), fraction: any() },
            });
        }
        let start = any();
        for passed in [0, 1, 1 << 40, any()] {
            let sample = Sample { cycles: start.wrapping_add(passed), ..sample(&world) };
            world.set_counter(sample.cycles);
            let _ = keeper.follow(sample);
        }
        if any() == 0 {
            keeper.give_up_counter();
        }
    }
}
