//! A counter's frequency, found on simulated machines: whatever comes in the way, a result is right or there is
//! none.

use std::cell::Cell;

use vdso_data::clock;
use vdso_timekeeper::calibration::{Calibrated, Error, Pace, Timer, Wanted, calibrate};
use vdso_timekeeper::simulated::{Hardware, Random, World};

const MS: u64 = 1_000_000;
const HPET: Pace = Pace::of_period_fs(69_841_279);

/// Timers as machines have them: rate, bits, and how many ns a read takes.
const TIMERS: [(&str, Pace, u32, u64); 6] = [
    ("PIT", Pace::PIT, 16, 2_500),
    ("ACPI PM", Pace::ACPI_PM, 24, 800),
    ("ACPI PM, 32 bits", Pace::ACPI_PM, 32, 800),
    ("HPET", HPET, 32, 500),
    ("a host's clock", Pace::NANOSECONDS, 64, 25),
    ("a tick of 1000 Hz", Pace::of_hz(1000), 64, 50),
];

const COUNTERS_HZ: [u64; 4] = [24_000_000, 1_000_000_000, 2_399_987_654, 4_700_000_001];

const WANTED: Wanted = Wanted { uncertainty_ppb: 200_000, at_most_ns: 400 * MS };

/// Reads the world's counter, which takes a few cycles.
fn counter(world: &World) -> impl Fn() -> u64 {
    move || {
        world.advance_to(world.cycles() + 30);
        world.cycles()
    }
}

fn assert_right(calibrated: Calibrated, hz: u64, what: &str) {
    let range = calibrated.hz_range();
    assert!(range.contains(&hz), "{what}: {hz} Hz is not in {range:?}");
    let most = calibrated.uncertainty_ppb();
    let off_ppb = u128::from(calibrated.hz().abs_diff(hz)) * 1_000_000_000 / u128::from(hz);
    assert!(off_ppb <= u128::from(most) + 1, "{what}: {off_ppb} of {most} ppb off");
}

/// As precise as it was wanted, and sooner than it was allowed.
#[test]
fn every_counter_is_found_by_every_timer() {
    for (name, pace, bits, read_ns) in TIMERS {
        for hz in COUNTERS_HZ {
            for seed in 0..5 {
                let what = format!("{hz} Hz by {name}, seed {seed}");
                let world = World::of_hz(hz);
                let begun = world.cycles();
                let read_cycles = hz / 1000 * read_ns / MS;
                let mut timer = Hardware::new(&world, pace, bits).seed(seed).taking(read_cycles);
                let calibrated = calibrate(counter(&world), &mut timer, WANTED);
                let calibrated = calibrated.unwrap_or_else(|error| panic!("{what}: {error}"));
                assert!(calibrated.uncertainty_ppb() <= WANTED.uncertainty_ppb);
                assert_right(calibrated, hz, &what);
                let took_ms = (world.cycles() - begun) / (hz / 1000);
                assert!(took_ms < 200, "{what} took {took_ms} ms");
            }
        }
    }
}

/// System management takes the processor at any place, for up to half a millisecond, in every tenth read.
#[test]
fn interruptions_are_left_out() {
    let wanted = Wanted { uncertainty_ppb: 500_000, ..WANTED };
    for (name, pace, bits, read_ns) in TIMERS {
        for seed in 0..20 {
            let (hz, what) = (2_500_000_000, format!("{name}, seed {seed}"));
            let world = World::of_hz(hz);
            let mut timer = Hardware::new(&world, pace, bits).seed(seed);
            // A tick is seen once in a millisecond alone, so there it is a matter of time.
            let one_in = if pace == Pace::of_hz(1000) { 10_000 } else { 20 };
            timer = timer.taking(hz / 1000 * read_ns / MS).interrupted(one_in, hz / 2000);
            let calibrated = calibrate(counter(&world), &mut timer, wanted);
            let calibrated = calibrated.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_right(calibrated, hz, &what);
        }
    }
}

/// A fifth of all steps is interrupted, and the result nearly as good as if none were.
#[test]
fn a_disturbed_reading_costs_no_precision() {
    let wanted = Wanted { uncertainty_ppb: 30_000, at_most_ns: 50 * MS };
    for seed in 0..40 {
        let world = World::new();
        let timer = Hardware::new(&world, Pace::ACPI_PM, 24).seed(seed).taking(2_000);
        let mut timer = timer.interrupted(5, 2_500_000 / 4);
        let calibrated = calibrate(counter(&world), &mut timer, wanted).unwrap();
        assert_right(calibrated, 2_500_000_000, &format!("seed {seed}"));
        // A tick shows a new number so seldom that there is one chance alone.
        let timer = Hardware::new(&world, Pace::of_hz(1000), 64).seed(seed).taking(100);
        let mut timer = timer.interrupted(2_000, 2_500_000 / 4);
        let calibrated = calibrate(counter(&world), &mut timer, wanted).unwrap();
        assert_right(calibrated, 2_500_000_000, &format!("a tick, seed {seed}"));
    }
}

/// Where nothing but disturbed readings is to be had, it is said how little is known.
#[test]
fn what_is_always_disturbed_is_not_precise() {
    for seed in 0..20 {
        let world = World::new();
        let timer = Hardware::new(&world, Pace::ACPI_PM, 24).seed(seed);
        let mut timer = timer.interrupted(1, 2_500_000_000 / 100);
        match calibrate(counter(&world), &mut timer, WANTED) {
            Err(Error::Imprecise(so_far)) => {
                assert!(so_far.uncertainty_ppb() > WANTED.uncertainty_ppb);
                assert_right(so_far, 2_500_000_000, &format!("seed {seed}"));
            }
            other => panic!("seed {seed}: {other:?}"),
        }
    }
}

/// The ACPI timer goes through zero at any moment of it, some times.
#[test]
fn a_timer_of_24_bits_wraps() {
    let world = World::new();
    let wanted = Wanted { uncertainty_ppb: 800, at_most_ns: 20_000 * MS };
    for before_zero in [0, 1, 2, 100, 5_000, 100_000] {
        let timer = Hardware::new(&world, Pace::ACPI_PM, 24);
        let mut timer = timer.starting_at((1 << 24) - before_zero).taking(20_000);
        let what = format!("{before_zero} before zero");
        let calibrated = calibrate(counter(&world), &mut timer, WANTED).expect(&what);
        assert_right(calibrated, 2_500_000_000, &what);
        // A round takes 4.7 s.
        let begun = world.cycles();
        let calibrated = calibrate(counter(&world), &mut timer, wanted).expect(&what);
        assert!(world.cycles() - begun > 2 * 2_500_000_000 * 47 / 10);
        assert_right(calibrated, 2_500_000_000, &what);
    }
}

/// The PIT goes around in 55 ms. A guest that stands still for longer, now and then, loses rounds.
#[test]
fn rounds_that_nobody_has_seen_make_no_wrong_result() {
    let (mut found, mut refused) = (0, 0);
    for one_in in [5, 50, 500, 3_000, 20_000] {
        for seed in 0..60 {
            let world = World::new();
            let timer = Hardware::new(&world, Pace::PIT, 16).seed(seed).taking(6_000);
            let mut timer = timer.interrupted(one_in, 2_500_000_000 / 1000 * 300);
            match calibrate(counter(&world), &mut timer, WANTED) {
                Ok(calibrated) => {
                    found += 1;
                    assert_right(calibrated, 2_500_000_000, &format!("{one_in}, seed {seed}"));
                }
                Err(Error::Imprecise(so_far)) => {
                    assert_right(so_far, 2_500_000_000, &format!("{one_in}, seed {seed}"));
                }
                Err(error) => {
                    assert_eq!(error, Error::Unsteady);
                    refused += 1;
                }
            }
        }
    }
    assert!(found > 50 && refused > 50, "{found} found, {refused} refused: nothing was tried");
}

#[test]
fn a_timer_that_stands_still_is_named() {
    for ns in [0, MS, 10 * MS] {
        let world = World::new();
        let mut timer = Hardware::new(&world, HPET, 64).stopping_after(ns);
        let result = calibrate(counter(&world), &mut timer, WANTED);
        assert_eq!(result, Err(Error::TimerStuck), "after {ns} ns");
    }
}

#[test]
fn a_counter_that_stands_still_is_named() {
    let world = World::new();
    let read = counter(&world);
    let mut timer = Hardware::new(&world, Pace::ACPI_PM, 24);
    let never = calibrate(|| 5, &mut timer, WANTED);
    assert_eq!(never, Err(Error::CounterStuck));
    // In the first milliseconds it did count.
    let stopped_at = world.cycles() + 5_000_000;
    let stopping = calibrate(|| read().min(stopped_at), &mut timer, WANTED);
    assert_eq!(stopping, Err(Error::CounterStuck));
}

#[test]
fn a_counter_that_goes_back_is_named() {
    // Before the timer is read, and after.
    for moved_at in [2_000, 2_001] {
        let (world, reads) = (World::new(), Cell::new(0));
        let read = counter(&world);
        let mut timer = Hardware::new(&world, Pace::ACPI_PM, 24);
        // The process is moved to a processor whose counter is behind.
        let two = || {
            reads.set(reads.get() + 1);
            read() - if reads.get() > moved_at { 1 << 20 } else { 0 }
        };
        assert_eq!(calibrate(two, &mut timer, WANTED), Err(Error::CounterWentBack));
    }
}

/// As of processors that count with their clock.
#[test]
fn a_counter_that_changes_its_rate_is_refused() {
    for seed in 0..10 {
        let (world, mut random) = (World::new(), Random::new(seed));
        let read = counter(&world);
        let mut timer = Hardware::new(&world, HPET, 32).seed(seed);
        let begun = world.cycles();
        let half = 250_000 + random.below(500_000);
        // By turns of some 100 us it is half as fast.
        let throttled = || {
            let passed = read() - begun;
            let (turns, rest) = (passed / (2 * half), passed % (2 * half));
            turns * (half + half / 2) + rest.min(half) + rest.saturating_sub(half) / 2
        };
        let wanted = Wanted { uncertainty_ppb: 1_000, at_most_ns: 200 * MS };
        let result = calibrate(throttled, &mut timer, wanted);
        assert_eq!(result, Err(Error::Unsteady), "seed {seed}");
    }
}

/// A number that nobody has counted to, as some ACPI timers show while they carry.
#[test]
fn a_timer_that_glitches_makes_no_wrong_result() {
    for one_in in [10, 1_000, 100_000] {
        for seed in 0..20 {
            let world = World::new();
            let mut timer = Hardware::new(&world, Pace::ACPI_PM, 24).seed(seed).glitching(one_in);
            match calibrate(counter(&world), &mut timer, WANTED) {
                Ok(calibrated) => {
                    assert_right(calibrated, 2_500_000_000, &format!("{one_in}, seed {seed}"));
                }
                Err(error) => assert_eq!(error, Error::Unsteady, "{one_in}, seed {seed}"),
            }
        }
    }
}

/// A host's clock in whole microseconds, of which two processors have each their own, one number apart.
struct HostsClock<'a> {
    world: &'a World,
    random: Random,
    pauses: u32,
}

impl Timer for HostsClock<'_> {
    fn read(&mut self) -> u64 {
        self.world.advance_to(self.world.cycles() + 100);
        let now = (self.world.time(clock::MONOTONIC_RAW) >> 32) as u64 / 1000;
        now + self.random.below(2)
    }

    fn pace(&self) -> Pace {
        Pace::of_hz(1_000_000)
    }

    fn bits(&self) -> u32 {
        64
    }

    fn jitter_ticks(&self) -> u64 {
        1
    }

    fn pause(&mut self, at_most_ns: u64) {
        self.pauses += 1;
        self.world.pass(std::time::Duration::from_nanos(at_most_ns));
    }
}

#[test]
fn a_clock_that_jitters_is_good_for_what_it_is() {
    for seed in 0..20 {
        let world = World::of_hz(2_000_000_000);
        let mut timer = HostsClock { world: &world, random: Random::new(seed), pauses: 0 };
        let calibrated = calibrate(counter(&world), &mut timer, WANTED).unwrap();
        assert_right(calibrated, 2_000_000_000, &format!("seed {seed}"));
        assert!(timer.pauses >= 4, "it is let rest");
    }
}

/// A PIT of which a read takes more than half of its round.
struct SlowPit<'a>(&'a World);

impl Timer for SlowPit<'_> {
    fn read(&mut self) -> u64 {
        self.0.pass(std::time::Duration::from_millis(40));
        let ns = (self.0.time(clock::MONOTONIC_RAW) >> 32) as u64;
        (ns / 88_000 * 105) & 0xffff
    }

    fn pace(&self) -> Pace {
        Pace::PIT
    }

    fn bits(&self) -> u32 {
        16
    }
}

#[test]
fn a_timer_that_is_read_too_seldom_is_refused() {
    let world = World::new();
    let result = calibrate(counter(&world), &mut SlowPit(&world), WANTED);
    assert_eq!(result, Err(Error::Unsteady));
}

/// Whatever a timer says of itself: no panic, and no loop without end.
#[test]
fn nonsense_is_answered() {
    let (world, mut random) = (World::new(), Random::new(3));
    for _ in 0..300 {
        let mut any = |most: u32| match random.below(4) {
            0 => 0,
            1 => 1,
            _ => random.bits() >> (64 - random.below(u64::from(most)) as u32 - 1),
        };
        let pace = Pace { ticks: any(10), ns: any(64) };
        let wanted = Wanted { uncertainty_ppb: any(64), at_most_ns: any(20) };
        let mut timer = Nonsense { pace, bits: any(32) as u32, next: any(64) };
        let _ = calibrate(counter(&world), &mut timer, wanted);
    }
    assert_eq!(Error::Unsteady.to_string(), "the counter and the timer do not run at one rate");
}

struct Nonsense {
    pace: Pace,
    bits: u32,
    next: u64,
}

impl Timer for Nonsense {
    fn read(&mut self) -> u64 {
        self.next = self.next.wrapping_add(1 << 40 | 1 << 10 | 1);
        self.next
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn bits(&self) -> u32 {
        self.bits
    }
}
