//! No clock goes back, whatever happens to the host and to the timekeeper.

use super::*;

/// Whatever is done to the host, and however late or preempted the timekeeper is.
#[test]
fn no_reader_sees_a_clock_go_back_that_cannot_be_set() {
    simulate_all_rates(ANYTHING, !SET);
}

/// With a host that is slewed but not set, REALTIME and TAI do not go back either.
#[test]
fn slewing_sets_no_clock_back() {
    simulate_all_rates(SLEWING, u32::MAX);
}

/// A clock goes on from where it was when its rate is changed.
#[test]
fn a_change_of_rate_is_continuous() {
    for (from_name, from) in RATES {
        for (to_name, to) in RATES {
            let page = OwnPage::new();
            let world = World::new();
            let mut keeper = timekeeper(&page, &world, moved(from, 0));
            for _ in 0..12 {
                let interval = follow(&mut keeper, sample(&world));
                world.advance_to(world.cycles() + interval);
            }
            let now = |id| read(&page, id, world.cycles()).unwrap();
            let transforms = std::array::from_fn(|id| {
                let host = Timespec::from_nanos(world.time(id as u32) >> 32).unwrap();
                let offset = match clock::is_in(id as u32, clock::HIGH_RESOLUTION) {
                    true => now(id as u32).wrapping_sub(host),
                    false => Timespec::default(),
                };
                Transform { offset, base: host, rate: to }
            });
            let before = clock::HIGH_RESOLUTION_IDS.map(now);
            let mut successor = timekeeper(&page, &world, transforms);
            follow(&mut successor, sample(&world));
            for (id, before) in clock::HIGH_RESOLUTION_IDS.into_iter().zip(before) {
                let jump = read(&page, id, world.cycles()).unwrap().wrapping_sub(before).as_nanos();
                // Up to a millisecond of the host's.
                let limit = 1_000_000 * i128::from(from.whole.max(1));
                let is_small = (0..limit).contains(&jump);
                assert!(is_small, "{from_name} to {to_name}: clock {id} jumps by {jump} ns");
            }
        }
    }
}

/// Another timekeeper takes over a page of one that died, after any time.
#[test]
fn a_successor_does_not_set_a_clock_back() {
    for (name, rate) in RATES {
        for seed in 0..20 {
            let mut random = Random::new(seed);
            let page = OwnPage::new();
            let transforms = moved(rate, 3);
            let world = World::new();
            let mut keeper = timekeeper(&page, &world, transforms);
            simulate(
                &mut keeper,
                &world,
                1 + random.below(8) as u32,
                &mut random,
                (ANYTHING, !SET),
            );
            let dead_for = random.below(2 * keeper.life_cycles(clock::TAI as usize));
            world.advance_to(world.cycles() + dead_for);
            let now = |id| {
                let host = || settled(&page, id, world.cycles(), world.says(id, world.cycles()));
                read(&page, id, world.cycles()).unwrap_or_else(host).as_nanos() << 32
            };
            let last = clock::HIGH_RESOLUTION_IDS.map(now);
            let line = |id| {
                let copy = latch::read(&page.header.seq, || (), |(), copy| copy);
                page.line(copy, id).load_counter_view()
            };
            let mut successor = timekeeper(&page, &world, transforms);
            follow(&mut successor, sample(&world));
            for (id, last) in clock::HIGH_RESOLUTION_IDS.into_iter().zip(last) {
                let start = Line::from_view(&line(id)).at(world.cycles());
                let is_behind = (last - start) >> 32;
                assert!(is_behind <= 0, "rate {name}, seed {seed}: clock {id} {is_behind} ns back");
            }
            let ahead = clock::HIGH_RESOLUTION_IDS.map(|id| ahead(&successor, &world, id) / MS);
            assert!(ahead.iter().all(|&ms| ms >= -2), "rate {name}, seed {seed}: {ahead:?} ms");
        }
    }
}

/// Lets time pass, with readers at any time of it and a host that is slewed.
fn pass(world: &World, readers: &mut Readers, page: &OwnPage, cycles: u64, random: &mut Random) {
    let until = world.cycles() + cycles;
    while world.cycles() < until {
        let step = (1 + random.below(cycles / 3 + 1)).min(until - world.cycles());
        readers.read(page, world, world.cycles() + step, random).unwrap();
        world.advance_to(world.cycles() + step);
        world.slew_at_random(random);
    }
}

/// How long the timekeeper stands still at one place: mostly not at all.
fn standstill(random: &mut Random) -> u64 {
    match random.below(8) {
        0 => random.below(25_000) * CYCLES_PER_MS,
        1 => random.below(2_500) * CYCLES_PER_MS,
        2 => random.below(250) * CYCLES_PER_MS,
        _ => random.below(1000),
    }
}

/// As [`Timekeeper::update`], but the timekeeper may stand still between any two steps.
fn update_with_standstills(
    keeper: &mut Keeper<'_>,
    world: &World,
    readers: &mut Readers,
    random: &mut Random,
) {
    let page = keeper.page;
    for _ in 0..TRIES {
        keeper.nominal.steered = world.slope(clock::MONOTONIC);
        let sample = sample(world);
        pass(world, readers, page, standstill(random), random);
        if keeper.follow(sample).is_some() {
            return;
        }
    }
}

/// How far ahead of the host's a clock that may not go back may be, ns of the host's: what a line gains in
/// its life, and what it was slewed by.
const MOST_AHEAD: Fixed = 1_540 * MS;

/// The timekeeper may stand still at any place of its work before its last look at the counter, and for as long as it likes (a debugger, SIGSTOP,
/// a freezer) while the host is slewed: no clock goes back, nobody having set it, and none runs away.
#[test]
fn no_standstill_of_the_timekeeper_sets_a_clock_back() {
    for (name, rate) in RATES {
        for seed in 0..20 {
            let page = OwnPage::new();
            let world = World::new();
            let mut keeper = timekeeper(&page, &world, moved(rate, 86_400));
            let random = &mut Random::new(seed);
            let mut readers = Readers::of(&world, u32::MAX);
            // Nobody has the page before it is published for the first time.
            follow(&mut keeper, sample(&world));
            for _ in 0..40 {
                update_with_standstills(&mut keeper, &world, &mut readers, random);
                let cycles = keeper.cycles_in(keeper.interval / 2) + standstill(random);
                pass(&world, &mut readers, &page, cycles, random);
                // A successor takes over now and then.
                if random.one_in(10) {
                    let transforms = keeper.transforms;
                    keeper = timekeeper(&page, &world, transforms);
                }
                for id in clock::HIGH_RESOLUTION_IDS {
                    let Some(now) = readers.last(id) else { continue };
                    let host = keeper.transforms[id as usize].apply(world.says(id, world.cycles()));
                    let ahead = now.wrapping_sub(host).as_nanos() << 32;
                    let most = MS * i128::from(rate.whole + 1);
                    let is_far = now > host && ahead > most;
                    assert!(!is_far, "{name}, seed {seed}: clock {id} {} ns ahead", ahead >> 32);
                }
            }
        }
    }
}

/// The machine sleeps while its counter counts, as most do: MONOTONIC does not count that, for longer than
/// its line may be used, and BOOTTIME does.
#[test]
fn monotonic_does_not_count_a_suspend() {
    for (name, rate) in RATES {
        for seed in 0..20 {
            let page = OwnPage::new();
            let world = World::new();
            let mut keeper = timekeeper(&page, &world, moved(rate, 86_400));
            let random = &mut Random::new(seed);
            let mut readers = Readers::of(&world, u32::MAX);
            for _ in 0..12 {
                keeper.nominal.steered = world.slope(clock::MONOTONIC);
                let interval = follow(&mut keeper, sample(&world));
                pass(&world, &mut readers, &page, interval, random);
            }
            world.suspend([200, 5_000, 40_000_000][seed as usize % 3] * CYCLES_PER_MS);
            for _ in 0..4 {
                // Readers may be sooner than the timekeeper.
                let cycles = standstill(random).min(100 * CYCLES_PER_MS);
                pass(&world, &mut readers, &page, cycles, random);
                for id in clock::HIGH_RESOLUTION_IDS {
                    let host = world.says(id, world.cycles());
                    let host = keeper.transforms[id as usize].apply(host);
                    let now = read(&page, id, world.cycles()).unwrap_or_else(|| {
                        settled(&page, id, world.cycles(), world.says(id, world.cycles()))
                    });
                    let off = now.wrapping_sub(host).as_nanos() << 32;
                    let scaled = |fixed: Fixed| match rate.whole {
                        0 => fixed,
                        whole => fixed * i128::from(whole),
                    };
                    let range = match id {
                        clock::MONOTONIC | clock::MONOTONIC_RAW => -scaled(MS)..=scaled(MOST_AHEAD),
                        _ => -scaled(5 * MS)..=scaled(MOST_AHEAD),
                    };
                    assert!(
                        range.contains(&off),
                        "{name}, seed {seed}: clock {id} {} ns off",
                        off >> 32
                    );
                }
                keeper.nominal.steered = world.slope(clock::MONOTONIC);
                follow(&mut keeper, sample(&world));
            }
        }
    }
}
