//! Each read of ours lies between two of the kernel's, moved as our page says: for each source, clock
//! and offset, and none outside.
//!
//! `VDSO_BRACKET_READS` says how many reads each clock of each source gets; the long run is
//! `VDSO_BRACKET_READS=100000000 cargo test --release -p vdso-map --test image bracketing`.

use std::time::Duration;

use vdso_data::arithmetic::{Rate, Timespec, Transform};
use vdso_image::Source;

use super::support::*;

/// How long a page of `own` may take to follow a host that is steered: the life of a line.
const OWN_FOLLOWS_WITHIN: Duration = Duration::from_secs(4);

const DEFAULT_READS: u64 = 100_000;

fn reads() -> u64 {
    number_from("VDSO_BRACKET_READS", DEFAULT_READS)
}

/// Counts reads outside of their bracket, and keeps the first of them and the furthest.
#[derive(Default)]
struct Outside {
    reads: u64,
    outside: u64,
    first: String,
    furthest_ns: i128,
}

impl Outside {
    fn note(&mut self, before: i128, ours: i128, after: i128) {
        self.reads += 1;
        let by = (before - ours).max(ours - after);
        if by <= 0 {
            return;
        }
        if self.outside == 0 {
            self.first =
                format!("{ours} is not between {before} and {after} at read {}", self.reads);
        }
        self.outside += 1;
        self.furthest_ns = self.furthest_ns.max(by);
    }

    #[track_caller]
    fn assert_none(&self, name: &str) {
        self.assert_within(0, name);
    }

    #[track_caller]
    fn assert_within(&self, close_ns: i128, name: &str) {
        let Self { reads, outside, first, furthest_ns } = self;
        println!(
            "{name}: {reads} reads, {outside} outside, by up to {furthest_ns} of {close_ns} ns"
        );
        assert!(
            *furthest_ns <= close_ns,
            "{name}: {outside} of {reads}, by up to {furthest_ns} of {close_ns} ns; first {first}"
        );
    }
}

/// The kernel's own reads: by its vDSO where there is one, as that is the narrowest bracket.
fn kernels_functions() -> impl Fn(u32) -> Timespec {
    let functions = Functions::of_kernel();
    move |id| functions.as_ref().map_or_else(|| kernels(id), |it| it.read(id))
}

/// How far off the host a clock may be: not at all, unless its page has to follow a host that is steered.
fn close_ns(mapped: &Mapped, steering: &Steering) -> i128 {
    let follows = mapped.source == Source::Own && steering.is_seen();
    if follows { slewed_ns(OWN_FOLLOWS_WITHIN) } else { 0 }
}

fn bracket(mapped: &Mapped, transforms: &Transforms, reads: u64) {
    let (kernel, ours) = (kernels_functions(), mapped.functions());
    let mut steering = Steering::watch();
    for id in PAGE_CLOCKS {
        let transform: &Transform = &transforms[id as usize];
        let mut outside = Outside::default();
        for read in 0..reads {
            if read % 64 == 0 {
                steering.look();
            }
            let host = hosts(id, transform);
            let before = kernel(host);
            let now = ours.read(id);
            let after = kernel(host);
            let moved = |host| transform.apply(host).as_nanos();
            outside.note(moved(before), now.as_nanos(), moved(after));
        }
        outside.assert_within(
            close_ns(mapped, &steering),
            &format!("{mapped}, clock {id}, {:?}", transform.offset),
        );
    }
}

/// Microseconds and seconds are brackets of their own.
fn bracket_other_functions(mapped: &Mapped, offset: Timespec, reads: u64) {
    let (kernel, ours) = (kernels_functions(), mapped.functions());
    let mut outside = Outside::default();
    let mut seconds = Outside::default();
    let mut steering = Steering::watch();
    for read in 0..reads {
        if read % 64 == 0 {
            steering.look();
        }
        let moved = |id| kernel(id).wrapping_add(offset);
        let micros = |time: Timespec| time.as_nanos().div_euclid(1000) * 1000;
        let before = micros(moved(vdso_data::clock::REALTIME));
        let now = ours.timeval().as_nanos();
        outside.note(before, now, micros(moved(vdso_data::clock::REALTIME)));
        let before = moved(vdso_data::clock::REALTIME_COARSE).sec;
        let now = ours.seconds();
        let after = moved(vdso_data::clock::REALTIME_COARSE).sec;
        seconds.note(before.into(), now.into(), after.into());
    }
    let close_ns = close_ns(mapped, &steering);
    outside.assert_within(close_ns, &format!("{mapped}, gettimeofday, {offset:?}"));
    seconds.assert_none(&format!("{mapped}, time, {offset:?}"));
}

fn bracket_source(source: Source, offset: Timespec) {
    if !is_usable("bracketing", source) {
        return;
    }
    let transforms = offset_by(offset);
    let mapped = Mapped::new(source, &transforms);
    let publisher = (source == Source::Own).then(|| Publisher::start(&mapped.file, transforms));
    bracket(&mapped, &transforms, reads());
    bracket_other_functions(&mapped, offset, reads());
    drop(publisher);
}

/// Years ahead; and back, by what is carried.
const OFFSETS: [Timespec; 3] = [
    Timespec { sec: 0, nsec: 0 },
    Timespec { sec: 500_000_000, nsec: 0 },
    Timespec { sec: -1_000_000_000, nsec: 999_999_999 },
];

#[test]
fn own() {
    for offset in OFFSETS {
        bracket_source(Source::Own, offset);
    }
}

#[test]
fn host() {
    for offset in OFFSETS {
        bracket_source(Source::Host, offset);
    }
}

#[test]
fn chain() {
    for offset in OFFSETS {
        bracket_source(Source::Chain, offset);
    }
}

/// Rates are exact for `chain`, which scales each of the kernel's reads.
#[test]
fn chain_with_a_rate() {
    let half_more = Rate { whole: 1, fraction: 1 << 63 };
    for rate in [Rate::ZERO, half_more, Rate { whole: 1000, fraction: 7 }] {
        let transforms = rate_from_now(rate, Timespec { sec: -40, nsec: 123_456_789 });
        let mapped = Mapped::new(Source::Chain, &transforms);
        bracket(&mapped, &transforms, reads() / 4);
    }
}

/// An `own` page before its publisher comes: the kernel's time, exactly.
#[test]
fn own_without_a_publisher() {
    if !is_usable("bracketing", Source::Own) {
        return;
    }
    for offset in OFFSETS {
        let transforms = offset_by(offset);
        bracket(&Mapped::new(Source::Own, &transforms), &transforms, reads() / 4);
    }
}

/// The check itself: it must see what is a nanosecond off.
#[test]
fn a_nanosecond_is_noticed() {
    let mut outside = Outside::default();
    outside.note(5, 5, 5);
    outside.note(5, 6, 7);
    assert_eq!(outside.outside, 0);
    outside.note(5, 4, 7);
    outside.note(5, 9, 7);
    assert_eq!((outside.outside, outside.furthest_ns), (2, 2));
}
