//! A timekeeper in the simulated world, with everything that can happen to it there.

mod accuracy;
mod monotony;
mod moved;
mod steps;

use std::time::Duration;

use vdso_data::arithmetic::{Mult, Nanos, Rate, Timespec};

use super::*;
use crate::simulated::{Random, Readers, World, read, settled};
use crate::steering::OVERLAP_CYCLES;

/// The simulated counter, 2.5 GHz.
const SLOPE: u128 = (1 << 64) * 4 / 10;
const CYCLES_PER_MS: u64 = 2_500_000;
const NS: Fixed = 1 << 32;
const MS: Fixed = 1_000_000 * NS;

fn moved(rate: Rate, offset_sec: i64) -> [Transform; clock::LINES] {
    let world = World::new();
    std::array::from_fn(|id| Transform {
        offset: Timespec { sec: offset_sec, nsec: 250_000_000 },
        base: Timespec::from_nanos(world.time(id as u32) >> 32).unwrap(),
        rate,
    })
}

type Keeper<'a> = Timekeeper<'a, &'a World>;

fn timekeeper<'a>(
    page: &'a OwnPage,
    world: &'a World,
    transforms: [Transform; clock::LINES],
) -> Keeper<'a> {
    Timekeeper::new(page, world, transforms)
}

fn sample(mut world: &World) -> Sample {
    world.sample().expect("it has a counter")
}

/// Publishes a sample that was just taken, and gives the cycles until the next is due.
fn follow(keeper: &mut Keeper<'_>, sample: Sample) -> u64 {
    let interval = keeper.follow(sample).expect("it comes at once");
    keeper.cycles_in(interval)
}

/// What happens to the host between two updates.
type Disturbance = fn(&World, &mut Random);

fn nothing(_: &World, _: &mut Random) {}

/// NTP finds another frequency.
const SLEWING: Disturbance = World::slew_at_random;

const ANYTHING: Disturbance = World::disturb;

/// The clocks that `ANYTHING` sets.
const SET: u32 = clock::SETTABLE;

/// Publishes `updates` times, with everything that may come in between, and gives the world as it is
/// then.
fn simulate(
    keeper: &mut Keeper<'_>,
    world: &World,
    updates: u32,
    random: &mut Random,
    (disturb, watched): (Disturbance, u32),
) {
    let page = keeper.page;
    follow(keeper, sample(world));
    let mut readers = Readers::of(world, watched);
    for _ in 0..updates {
        let due = keeper.cycles_in(keeper.interval / 2).max(CYCLES_PER_MS);
        // Late, as a busy machine makes it.
        let now = world.cycles() + due + random.below(due / 4);
        readers.read(page, world, now, random).unwrap();
        world.advance_to(now);
        disturb(world, random);
        let sample = sample(world);
        // Preempted between the sample and the publication.
        let longest = if random.one_in(4) { OVERLAP_CYCLES } else { 10_000 };
        let preempted = random.below(longest);
        readers.read(page, world, now + preempted, random).unwrap();
        follow(keeper, sample);
        // These have read the counter before, and the page only now.
        readers.read(page, world, now + preempted, random).unwrap();
        world.advance_to(now + preempted);
    }
}

const RATES: [(&str, Rate); 5] = [
    ("0", Rate::ZERO),
    ("0.5", Rate { whole: 0, fraction: 1 << 63 }),
    ("1", Rate::ONE),
    ("2", Rate { whole: 2, fraction: 0 }),
    ("1000", Rate { whole: 1000, fraction: 0 }),
];

/// How far `id` in the page is ahead of where it should be.
fn ahead(keeper: &Keeper<'_>, world: &World, id: u32) -> Fixed {
    let transform = &keeper.transforms[id as usize];
    let target = steering::transformed(transform, world.time(id));
    let copy = latch::read(&keeper.page.header.seq, || (), |(), copy| copy);
    let line = Line::from_view(&keeper.page.line(copy, id).load_counter_view());
    line.at(world.cycles()) - target
}

fn simulate_all_rates(disturb: Disturbance, watched: u32) {
    for (name, rate) in RATES {
        for seed in 0..20 {
            println!("rate {name}, seed {seed}");
            let page = OwnPage::new();
            let world = World::new();
            let mut keeper = timekeeper(&page, &world, moved(rate, 86_400));
            let random = &mut Random::new(seed);
            simulate(&mut keeper, &world, 100, random, (disturb, watched));
        }
    }
}
