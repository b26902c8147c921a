//! A page for a guest, whose counter is its host's, scaled and moved.

use std::time::Duration;

use proptest::prelude::*;
use vdso_data::arithmetic::Transform;
use vdso_data::clock;
use vdso_data::own::OwnPage;
use vdso_timekeeper::simulated::{Random, World, read};
use vdso_timekeeper::{Guest, Reference, Sample, Scaling, Timekeeper};

const UNMOVED: [Transform; clock::LINES] = [Transform::IDENTITY; clock::LINES];
const HOST_HZ: u64 = 2_500_000_000;

/// As hypervisors set it, from guests of old machines to those of newer ones.
fn scalings() -> [(u64, Scaling); 6] {
    let vmx = |hz| Scaling::between(HOST_HZ, hz, Scaling::VMX_FRACTION_BITS);
    let svm = |hz| Scaling::between(HOST_HZ, hz, Scaling::SVM_FRACTION_BITS);
    [
        (HOST_HZ, Scaling::NONE),
        (HOST_HZ, Scaling::offset((1u64 << 49).wrapping_neg())),
        (1_000_000_000, vmx(1_000_000_000)),
        (3_700_000_000, svm(3_700_000_000).meeting(1 << 50, 12)),
        (24_000_000, vmx(24_000_000).meeting(1 << 50, u64::MAX - 1_000_000)),
        (1_000_000, svm(1_000_000)),
    ]
}

/// To a cycle of the guest's, which is all it can see, and what steering adds to an undisturbed page.
#[test]
fn a_guest_reads_its_hosts_clocks() {
    for (hz, scaling) in scalings() {
        let (world, page, mut random) = (World::of_hz(HOST_HZ), OwnPage::new(), Random::new(hz));
        let mut timekeeper = Timekeeper::new(&page, Guest::new(&world, scaling), UNMOVED);
        let cycle_ns = (1_000_000_000 / hz + 1) as i128;
        for update in 0..40 {
            let due = world.cycles() + world.cycles_in(timekeeper.update());
            while world.cycles() < due {
                let step = random.below(world.cycles_in(Duration::from_millis(100)));
                world.advance_to((world.cycles() + step).min(due));
                let cycles = scaling.guest_cycles(world.cycles());
                for id in clock::HIGH_RESOLUTION_IDS {
                    let now = read(&page, id, cycles).expect("the line is good").as_nanos();
                    let ahead = now - (world.time(id) >> 32);
                    let range = -cycle_ns - 1..=1;
                    let what = format!("{hz} Hz, update {update}, clock {id}: {ahead} ns ahead");
                    assert!(range.contains(&ahead), "{what}");
                }
            }
        }
    }
}

/// From a fast host to a slow one, with another counter and another kind of scaling, on the same page: the guest's
/// counter goes on, and so do its clocks, the time on the way among it.
#[test]
fn a_guest_moves_to_another_host() {
    const GUEST_HZ: u64 = 2_000_000_000;
    for seed in 0..20 {
        let (old, new, page) =
            (World::of_hz(2_500_000_000), World::of_hz(1_800_000_000), OwnPage::new());
        let mut random = Random::new(seed);
        // They have the same clocks, as by NTP, but not the same counter.
        new.set_counter(random.bits() >> 12);
        let pass = |ms| [&old, &new].map(|world| world.pass(Duration::from_millis(ms)));
        let first = Scaling::between(2_500_000_000, GUEST_HZ, Scaling::VMX_FRACTION_BITS);
        let first = first.meeting(old.cycles(), 0);
        let mut timekeeper = Timekeeper::new(&page, Guest::new(&old, first), UNMOVED);
        for _ in 0..6 {
            let ms = timekeeper.update().as_millis() as u64;
            pass(ms);
        }
        let reads = |cycles| clock::HIGH_RESOLUTION_IDS.map(|id| read(&page, id, cycles));
        let before = reads(first.guest_cycles(old.cycles()));
        let (left_at, left) = (first.guest_cycles(old.cycles()), new.cycles());
        let away_ms = random.below(200);
        pass(away_ms);
        let away_cycles = GUEST_HZ / 1000 * away_ms;
        let second = Scaling::between(1_800_000_000, GUEST_HZ, Scaling::SVM_FRACTION_BITS);
        let second = second.meeting(new.cycles(), left_at + away_cycles);
        assert!(new.cycles() >= left);
        let mut timekeeper = Timekeeper::new(&page, Guest::new(&new, second), UNMOVED);
        timekeeper.update();
        let after = reads(second.guest_cycles(new.cycles()));
        for (index, id) in clock::HIGH_RESOLUTION_IDS.into_iter().enumerate() {
            let passed = after[index].unwrap().as_nanos() - before[index].unwrap().as_nanos();
            let off = passed - i128::from(away_ms) * 1_000_000;
            assert!((-5..=5).contains(&off), "seed {seed}, clock {id}: {off} ns off");
        }
    }
}

/// The manuals' formulas, with numbers.
#[test]
fn a_counter_is_scaled_as_processors_do_it() {
    let vmx = Scaling { ratio: 3 << 47, fraction_bits: 48, offset_cycles: 10 };
    assert_eq!(vmx.guest_cycles(7), 10 + 10);
    let svm = Scaling { ratio: 1 << 31, fraction_bits: 32, offset_cycles: 5u64.wrapping_neg() };
    assert_eq!(svm.guest_cycles(21), 5);
    assert_eq!(svm.guest_cycles(3), 4u64.wrapping_neg());
    // The product has more than 64 bits.
    assert_eq!(vmx.guest_cycles(1 << 63), (1 << 63) + (1 << 62) + 10);
    assert_eq!(Scaling::between(3, 1, 48).ratio, (1 << 48) / 3);
}

/// A guest whose counter does not count has no page of lines over it.
#[test]
fn a_counter_that_stands_still_is_none() {
    let (world, page) = (World::new(), OwnPage::new());
    let still = Scaling { ratio: 0, ..Scaling::NONE };
    assert_eq!(Guest::new(&world, still).sample(), None);
    let mut timekeeper = Timekeeper::new(&page, Guest::new(&world, still), UNMOVED);
    timekeeper.update();
    assert_eq!(read(&page, clock::MONOTONIC, 0), None);
    assert_eq!(timekeeper.report().updates, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the numbers are.
    #[test]
    fn no_scaling_makes_a_panic(ratio: u64, fraction_bits: u32, offset_cycles: u64, cycles: u64) {
        for fraction_bits in [fraction_bits, fraction_bits % 64] {
            for ratio in [ratio, ratio >> (fraction_bits % 64), 1, u64::MAX] {
                let world = World::new();
                world.set_counter(cycles);
                let scaling = Scaling { ratio, fraction_bits, offset_cycles };
                let mut guest = Guest::new(&world, scaling);
                let _ = (guest.slopes(), guest.counter());
                let sample: Option<Sample> = guest.sample();
                prop_assert_eq!(sample.map(|it| it.cycles), Some(scaling.guest_cycles(cycles)).filter(|_| ratio != 0));
                let page = OwnPage::new();
                Timekeeper::new(&page, guest, UNMOVED).update();
                prop_assert_eq!(scaling.meeting(cycles, 77).guest_cycles(cycles), 77);
            }
        }
    }
}
