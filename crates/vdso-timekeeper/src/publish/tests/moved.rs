//! Clocks that are moved otherwise while they are read.

use vdso_data::gettimeofday::Timezone;

use super::*;

#[test]
fn a_clock_that_is_moved_is_there_with_the_next_update() {
    let page = OwnPage::new();
    let world = World::new();
    let mut transforms = moved(Rate::ONE, 0);
    let mut keeper = timekeeper(&page, &world, transforms);
    let ids = [clock::REALTIME, clock::TAI];
    // Less than what is slewed away otherwise, too, and back.
    for by_ns in [5_000_000_000_i64, 300_000, -300_000, -7_000_000_000, 1] {
        for _ in 0..10 {
            let interval = follow(&mut keeper, sample(&world));
            world.advance_to(world.cycles() + interval);
        }
        let monotonic = read(&page, clock::MONOTONIC, world.cycles()).unwrap();
        for id in ids {
            let offset = &mut transforms[id as usize].offset;
            *offset = Timespec::from_nanos(offset.as_nanos() + i128::from(by_ns)).unwrap();
        }
        keeper.move_clocks(&Moved { transforms, zone: None, how: How::Set });
        follow(&mut keeper, sample(&world));
        for id in ids {
            let ahead = ahead(&keeper, &world, id);
            assert!(ahead.abs() <= NS, "clock {id}, moved by {by_ns}: {ahead}");
        }
        let after = read(&page, clock::MONOTONIC, world.cycles()).unwrap();
        assert!(after.wrapping_sub(monotonic).as_nanos() <= 300, "{after:?}");
    }
}

#[test]
fn a_clock_that_is_slewed_goes_on_without_a_jump() {
    let page = OwnPage::new();
    let world = World::new();
    let mut transforms = moved(Rate::ONE, 0);
    let mut keeper = timekeeper(&page, &world, transforms);
    let realtime = clock::REALTIME as usize;
    for ppm in [500_u64, 0, 100] {
        for _ in 0..10 {
            let interval = follow(&mut keeper, sample(&world));
            world.advance_to(world.cycles() + interval);
        }
        let host = Timespec::from_nanos(sample(&world).fixed[realtime] >> 32).unwrap();
        let shows = transforms[realtime].apply(host);
        let rate = Rate { whole: 1, fraction: u64::MAX / 1_000_000 * ppm };
        let slewed = Transform { base: host, offset: shows.wrapping_sub(host), rate };
        transforms[realtime] = slewed;
        let before = read(&page, clock::REALTIME, world.cycles()).unwrap();
        keeper.move_clocks(&Moved { transforms, zone: None, how: How::Slewed });
        follow(&mut keeper, sample(&world));
        let after = read(&page, clock::REALTIME, world.cycles()).unwrap();
        // A slower line begins above the faster one for as long as publishing takes.
        let gone = after.wrapping_sub(before).as_nanos();
        assert!((0..=500).contains(&gone), "{ppm} ppm: {gone}");
    }
}

#[test]
fn a_page_that_nobody_publishes_is_moved_as_a_whole() {
    let page = OwnPage::new();
    let resolutions = Resolutions { fine_ns: 1, coarse_ns: 4_000_000 };
    initialise(&page, resolutions, &[Transform::IDENTITY; clock::LINES]);
    let zone = Some(Timezone { minutes_west: -60, dst_time: 1 });
    for sec in [7, -9] {
        let whole = |it: Transform| Transform { offset: Timespec { nsec: 0, ..it.offset }, ..it };
        let transforms = moved(Rate::ONE, sec).map(whole);
        move_clocks(&page, &Moved { transforms, zone, how: How::Set });
        for (id, transform) in transforms.iter().enumerate() {
            let line = page.read(|| (), |(), lines| lines[id].load_transform());
            assert_eq!(line, *transform);
            assert_eq!(page.moved_by_seconds(id as u32, 100), Some(100 + sec));
        }
        assert_eq!(page.time_zone(), zone);
    }
}
