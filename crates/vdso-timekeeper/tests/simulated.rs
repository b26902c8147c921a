//! The simulated machine as a stranger uses it: by what is public.

use std::cell::RefCell;

use vdso_data::arithmetic::{Rate, Timespec, Transform};
use vdso_data::clock;
use vdso_data::gettimeofday::Timezone;
use vdso_data::own::{CounterView, OwnPage};
use vdso_timekeeper::simulated::{Random, Readers, WentBack, World, alone, read, settled};
use vdso_timekeeper::steering::Line;
use vdso_timekeeper::{
    Guest, Reference, Resolutions, Sample, Scaling, Slopes, Timekeeper, initialise,
};

const UNMOVED: [Transform; clock::LINES] = [Transform::IDENTITY; clock::LINES];
/// As long as a line lives, and a bit.
const LONGEST_STANDSTILL_CYCLES: u64 = 5_000_000_000;

fn rates() -> [Rate; 4] {
    let half = Rate { whole: 0, fraction: 1 << 63 };
    [Rate::ZERO, half, Rate::ONE, Rate { whole: 60, fraction: 0 }]
}

/// From the world's first instant on.
fn at_rate(world: &World, rate: Rate) -> [Transform; clock::LINES] {
    std::array::from_fn(|id| {
        let base = world.says(id as u32, world.cycles());
        Transform { offset: Timespec { sec: 3600, nsec: 1 }, base, rate }
    })
}

/// A machine whose publisher is preempted between its sample and its last look at the counter, while a program
/// goes on reading the page.
struct Preempting<'a> {
    world: &'a World,
    page: &'a OwnPage,
    readers: RefCell<Readers>,
    random: RefCell<Random>,
}

impl Preempting<'_> {
    fn read_until(&self, due: u64) -> Result<(), WentBack> {
        let (mut readers, mut random) = (self.readers.borrow_mut(), self.random.borrow_mut());
        readers.read(self.page, self.world, due, &mut random)
    }

    fn below(&self, limit: u64) -> u64 {
        self.random.borrow_mut().below(limit)
    }
}

impl Reference for &Preempting<'_> {
    fn counter(&self) -> u64 {
        let longest = [64, 1 << 20, 1 << 29, LONGEST_STANDSTILL_CYCLES][self.below(4) as usize];
        let until = self.world.cycles() + self.below(longest);
        self.read_until(until).expect("nothing was published");
        self.world.advance_to(until);
        until
    }

    fn sample(&mut self) -> Option<Sample> {
        let mut world = self.world;
        world.sample()
    }

    fn slopes(&self) -> Slopes {
        self.world.slopes()
    }

    fn resolutions(&self) -> Resolutions {
        self.world.resolutions()
    }
}

/// Whatever happens to the clocks, and wherever the publisher stands still before it has looked at the counter.
#[test]
fn a_timekeeper_sets_no_clock_back() {
    for (rate, hz) in
        rates().into_iter().zip([24_000_000, 1_000_000_000, 2_500_000_000, 62_500_000])
    {
        for seed in 0..40 {
            let (world, page) = (&World::of_hz(hz), &OwnPage::new());
            let readers = RefCell::new(Readers::of(world, !clock::SETTABLE));
            let random = RefCell::new(Random::new(seed));
            let machine = Preempting { world, page, readers, random };
            let mut timekeeper = Timekeeper::new(page, &machine, at_rate(world, rate));
            for _ in 0..60 {
                let wait = timekeeper.update();
                let due = world.cycles() + world.cycles_in(wait);
                let read = machine.read_until(due);
                assert_eq!(read, Ok(()), "rate {rate:?}, {hz} Hz, seed {seed}");
                world.advance_to(due);
                world.disturb(&mut machine.random.borrow_mut());
            }
        }
    }
}

/// The counter is given up, and taken back by a successor.
#[test]
fn a_counter_that_is_given_up_sets_no_clock_back() {
    for seed in 0..40 {
        let (world, page, mut random) = (World::new(), OwnPage::new(), Random::new(seed));
        let mut readers = Readers::of(&world, u32::MAX);
        for _ in 0..4 {
            let mut timekeeper = Timekeeper::new(&page, &world, UNMOVED);
            for _ in 0..random.below(6) + 1 {
                let wait = timekeeper.update();
                let due = world.cycles() + world.cycles_in(wait);
                assert_eq!(readers.read(&page, &world, due, &mut random), Ok(()), "seed {seed}");
                world.advance_to(due);
                world.slew_at_random(&mut random);
            }
            world.give_up_counter();
            timekeeper.update();
            let until = world.cycles() + 1_000_000;
            assert_eq!(readers.read(&page, &world, until, &mut random), Ok(()), "seed {seed}");
            world.advance_to(until);
            world.take_counter_back();
        }
        // A page that nobody publishes any more says what the kernel says.
        world.pass(std::time::Duration::from_secs(10));
        let host = world.says(clock::MONOTONIC, world.cycles());
        assert_eq!(read(&page, clock::MONOTONIC, world.cycles()), None);
        assert_eq!(settled(&page, clock::MONOTONIC, world.cycles(), host), host);
    }
}

/// However late the page is published, and whatever happens to the clocks: where nobody is below, each one goes on, a
/// coarse clock is at or behind its fine twin by less than a tick, and back go only those that are set.
#[test]
fn clocks_of_a_page_alone_go_on_however_late_it_is_published() {
    const COARSE: [u32; 2] = [clock::REALTIME_COARSE, clock::MONOTONIC_COARSE];
    for (rate, tick_ns) in rates().into_iter().zip([1, 999_999_999, 4_000_000, 3_333_333]) {
        for seed in 0..40 {
            let (world, page, mut random) = (World::new(), OwnPage::new(), Random::new(seed));
            world.leave_alone();
            let transforms = at_rate(&world, rate);
            initialise(&page, Resolutions { fine_ns: 1, coarse_ns: tick_ns }, &transforms);
            let mut readers = Readers::of(&world, !clock::SETTABLE);
            let mut timekeeper = Timekeeper::new(&page, &world, transforms);
            let mut last = None;
            for _ in 0..60 {
                timekeeper.update();
                // In time, or hours late.
                let longest = [64, 1 << 20, 1 << 31, 1 << 45][random.below(4) as usize];
                let due = world.cycles() + random.below(longest);
                let read = readers.read(&page, &world, due, &mut random);
                assert_eq!(read, Ok(()), "rate {rate:?}, seed {seed}");
                world.advance_to(due);
                for id in COARSE {
                    let coarse = alone(&page, id, due).expect("it was published");
                    let fine = alone(&page, clock::fine_twin(id), due).expect("it was published");
                    let behind_ns = fine.wrapping_sub(coarse).as_nanos();
                    assert!((0..i128::from(tick_ns)).contains(&behind_ns), "{fine:?} {coarse:?}");
                    if id == clock::MONOTONIC_COARSE {
                        assert!(last.replace(coarse) <= Some(coarse), "seed {seed}: {coarse:?}");
                    }
                }
                world.disturb(&mut random);
            }
        }
    }
}

/// It follows its reference for hours without being published.
#[test]
fn a_page_alone_tells_the_time_for_hours() {
    let (world, page) = (World::new(), OwnPage::new());
    world.leave_alone();
    let mut timekeeper = Timekeeper::new(&page, &world, UNMOVED);
    timekeeper.update();
    world.pass(std::time::Duration::from_secs(36_000));
    for id in clock::HIGH_RESOLUTION_IDS {
        let page_says = alone(&page, id, world.cycles()).expect("it was published");
        let off_ns = world.says(id, world.cycles()).wrapping_sub(page_says).as_nanos();
        assert!(off_ns.abs() <= 2, "clock {id}: {off_ns} ns");
    }
    // Without a counter the clocks stand still, where they were.
    world.give_up_counter();
    let before = alone(&page, clock::MONOTONIC, world.cycles());
    timekeeper.update();
    for passed in [0, 1, 1 << 40] {
        world.advance_to(world.cycles() + passed);
        assert_eq!(alone(&page, clock::MONOTONIC, world.cycles()), before);
    }
    assert_eq!(alone(&page, 2, world.cycles()), None, "no page has the clocks of CPU time");
    assert_eq!(alone(&OwnPage::new(), clock::MONOTONIC, world.cycles()), None);
}

/// A reference may be lent, and talked to meanwhile.
#[test]
fn a_reference_is_lent() {
    let (mut world, page) = (&World::new(), OwnPage::new());
    let mut timekeeper = Timekeeper::new(&page, &mut world, UNMOVED);
    timekeeper.update();
    timekeeper.reference().slew(100);
    timekeeper.reference_mut().pass(std::time::Duration::from_millis(8));
    timekeeper.update();
    assert_eq!(timekeeper.report().updates, 2);
    assert_eq!(timekeeper.reference().counter(), world.cycles());
}

/// One that has none leaves it to the kernel below.
#[test]
fn a_time_zone_is_published() {
    let (world, page) = (World::new(), OwnPage::new());
    let mut timekeeper = Timekeeper::new(&page, &world, UNMOVED);
    timekeeper.update();
    assert_eq!(page.time_zone(), None);
    let zone = Timezone { minutes_west: -120, dst_time: 0 };
    world.set_time_zone(zone);
    timekeeper.update();
    assert_eq!(page.time_zone(), Some(zone));
    // Through the adapters.
    fn zone_of(reference: impl Reference) -> Option<Timezone> {
        reference.time_zone()
    }
    let mut guest = Guest::new(&world, Scaling::NONE);
    assert_eq!((zone_of(&mut guest), zone_of(guest)), (Some(zone), Some(zone)));
}

/// A publisher that sets each line to where the clock is, as one thinks of first: so the readers do notice.
#[test]
fn readers_notice_lines_that_are_not_steered() {
    let noticed = (0..20).filter(|&seed| publish_unsteered(seed).is_err()).count();
    assert!(noticed > 15, "only {noticed} of 20");
}

fn publish_unsteered(seed: u64) -> Result<(), WentBack> {
    let (world, page, mut random) = (World::new(), OwnPage::new(), Random::new(seed));
    let mut readers = Readers::of(&world, !clock::SETTABLE);
    for _ in 0..200 {
        let update = page.begin();
        for (id, line) in update.lines().iter().enumerate() {
            let (cycles, id) = (world.cycles(), id as u32);
            let clock = Line { cycles, start: world.time(id), slope: world.slope(id) };
            let is_fine = clock::is_in(id, clock::HIGH_RESOLUTION);
            let view = if is_fine { clock.view(1 << 33) } else { CounterView::UNUSABLE };
            line.store_counter_view(&view);
            line.store_transform(&Transform::IDENTITY);
        }
        update.commit();
        world.slew_at_random(&mut random);
        let due = world.cycles() + 1_000_000_000;
        readers.read(&page, &world, due, &mut random)?;
        world.advance_to(due);
    }
    Ok(())
}
