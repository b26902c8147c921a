//! Readers of an `own` page whose lines are old, ended, in the future or unusable, and what they read
//! when a publisher comes back.
//!
//! The lines are written by hand: so any age can be had at once, and nothing waits.

use vdso_data::arithmetic::{Rate, Timespec, Transform};
use vdso_data::clock::{self, HIGH_RESOLUTION_IDS};
use vdso_data::latch;
use vdso_data::linux::CLOCK_MODE_NONE;
use vdso_data::own::{CounterView, OwnPage};
use vdso_host::{Host, PageError, counter};
use vdso_image::Source;
use vdso_timekeeper::Timekeeper;
use vdso_timekeeper::steering::Line;

use super::kernel_page::FakeVvar;
use super::support::*;

/// What the image's fast path is good for.
const FAST_CYCLES: u64 = 1 << 32;

const MS: i128 = 1_000_000;

/// An `own` image whose counter is said to be usable, whatever this machine's kernel uses.
fn own_image(transforms: &Transforms) -> Mapped {
    // As where the kernel's page is not known: then the mode is the process page's own.
    let host = host();
    Mapped::with(Source::Own, transforms, &template(host, Source::Chain), host.vdso_addr)
}

fn unmoved() -> Mapped {
    own_image(&offset_by(seconds(0)))
}

/// Publishes a line for each of the fine clocks.
fn publish(page: &OwnPage, view: impl Fn(u32) -> CounterView) {
    latch::write(&page.header.seq, |read, spare| {
        for (id, line) in page.copy(spare).iter().enumerate() {
            line.store_transform(&page.copy(read)[id].load_transform());
            line.store_counter_view(&view(id as u32));
        }
    });
}

/// A line that started `age` cycles ago, may be used for `stale_cycles`, and does not move.
fn standing(time_ns: i128, age: u64, stale_cycles: u64) -> CounterView {
    let cycles = counter::read().wrapping_sub(age);
    Line { cycles, start: time_ns << 32, slope: 0 }.view(stale_cycles)
}

/// Asserts that `id` is read as the kernel's time, moved.
#[track_caller]
fn assert_kernels(functions: &Functions, id: u32, transform: &Transform) {
    let host = hosts(id, transform);
    let before = transform.apply(kernels(host));
    let now = functions.read(id);
    let after = transform.apply(kernels(host));
    assert!(before <= now && now <= after, "clock {id}: {now:?}, not {before:?} to {after:?}");
}

#[test]
fn a_page_that_nobody_publishes_is_the_kernels_time() {
    for rate in [Rate::ONE, Rate { whole: 3, fraction: 1 << 62 }, Rate::ZERO] {
        let transforms = rate_from_now(rate, Timespec { sec: -12, nsec: 345_678_901 });
        let mapped = own_image(&transforms);
        for id in PAGE_CLOCKS {
            assert_kernels(&mapped.functions(), id, &transforms[id as usize]);
        }
    }
}

/// From the line's start to its end, by the fast path and by the slow one.
#[test]
fn a_line_is_read_for_as_long_as_it_lives() {
    let mapped = unmoved();
    let functions = mapped.functions();
    // In the last, more than an i64 of nanoseconds: seconds are apart from them.
    for time_ns in
        [0, 5, 1_700_000_000 * NSEC_PER_SEC + 999_999_999, -1, i128::from(i64::MAX) * 1000]
    {
        for age in [0, 1 << 31, FAST_CYCLES + 1, FAST_CYCLES * 7, 1 << 50] {
            let is_alive = age + (1 << 45);
            publish(mapped.page(), |_| standing(time_ns, age, is_alive));
            for id in HIGH_RESOLUTION_IDS {
                assert_eq!(functions.read_ns(id), time_ns, "clock {id} after {age} cycles");
            }
            let micros = time_ns.div_euclid(1000) * 1000;
            assert_eq!(functions.timeval().as_nanos(), micros);
        }
    }
}

/// A line that runs: what is read lies between what it was at the counter before and after.
#[test]
fn a_line_runs_over_the_counter() {
    let mapped = unmoved();
    let functions = mapped.functions();
    for (name, slope) in [
        ("slow", 1u128),
        ("half a nanosecond a cycle", 1 << 63),
        ("12.7 ns a cycle", 127 * (1 << 64) / 10),
        ("a million times a second", 400_000 << 64),
    ] {
        for age in [0, 1 << 30, FAST_CYCLES + 5, FAST_CYCLES * 9] {
            let cycles = counter::read() - age;
            let line = Line { cycles, start: (123 * NSEC_PER_SEC + 999_999_999) << 32, slope };
            publish(mapped.page(), |_| line.view(1 << 45));
            for id in HIGH_RESOLUTION_IDS {
                let before = line.at(counter::read()) >> 32;
                let now = functions.read_ns(id);
                let after = line.at(counter::read()) >> 32;
                assert!(
                    before <= now && now <= after,
                    "{name}, clock {id}: {before} {now} {after}"
                );
            }
        }
    }
}

/// The reader read the counter just before the line was published: the line's start stands for that.
#[test]
fn a_line_from_just_now_is_read_at_its_start() {
    let mapped = unmoved();
    let time_ns = 99 * NSEC_PER_SEC;
    for ahead in [1 << 20, 1 << 30, FAST_CYCLES - (1 << 30)] {
        // It would be years off anywhere but at its start.
        let slope = 1 << 90;
        let cycles = counter::read() + ahead;
        // Done before the counter gets there, however slow: or else the first is tried no more.
        publish(mapped.page(), |_| Line { cycles, start: time_ns << 32, slope }.view(1 << 45));
        for id in HIGH_RESOLUTION_IDS {
            let now = mapped.functions().read_ns(id);
            let has_passed = counter::read() >= cycles;
            assert!(now == time_ns || has_passed, "clock {id}, {ahead} cycles before: {now}");
        }
    }
}

/// A line from further ahead: the counter was reset, as by a restored snapshot. Nobody knows how far
/// the readers were.
#[test]
fn a_line_from_another_life_of_the_counter_is_not_used() {
    let mapped = unmoved();
    for ahead in [FAST_CYCLES * 4, 1 << 50, 1 << 62] {
        let time_ns = 99 * NSEC_PER_SEC;
        publish(mapped.page(), |_| {
            Line { cycles: counter::read() + ahead, start: time_ns << 32, slope: 0 }.view(1 << 40)
        });
        for id in HIGH_RESOLUTION_IDS {
            assert_kernels(&mapped.functions(), id, &Transform::IDENTITY);
        }
    }
}

/// The publisher has died, and the host is past the line's end.
#[test]
fn a_stale_line_that_is_behind_is_the_kernels_time() {
    for rate in [Rate::ONE, Rate { whole: 0, fraction: 1 << 63 }, Rate { whole: 7, fraction: 9 }] {
        let transforms = rate_from_now(rate, seconds(86_400));
        let mapped = own_image(&transforms);
        publish(mapped.page(), |_| standing(5 * NSEC_PER_SEC, FAST_CYCLES * 3, FAST_CYCLES * 2));
        for id in HIGH_RESOLUTION_IDS {
            assert_kernels(&mapped.functions(), id, &transforms[id as usize]);
        }
    }
}

/// The publisher has died, and the line was ahead of the host: no reader gets less than the line's
/// end, where others may have been.
#[test]
fn a_stale_line_that_is_ahead_is_read_at_its_end() {
    let mapped = unmoved();
    let functions = mapped.functions();
    for ahead in [3600 * NSEC_PER_SEC, 10 * NSEC_PER_SEC] {
        let slope = 1 << 63;
        let (age, stale_cycles) = (FAST_CYCLES * 3, FAST_CYCLES * 2);
        let view = |id| {
            let grown = (i128::from(stale_cycles) * slope) >> 64;
            let start = (kernels(id).as_nanos() + ahead - grown) << 32;
            let line = Line { cycles: counter::read() - age, start, slope: slope as u128 };
            line.view(stale_cycles)
        };
        let views: Vec<_> =
            (0..clock::LINES as u32)
                .map(|id| {
                    if HIGH_RESOLUTION_IDS.contains(&id) { view(id) } else { CounterView::UNUSABLE }
                })
                .collect();
        publish(mapped.page(), |id| views[id as usize]);
        for id in HIGH_RESOLUTION_IDS {
            let view = views[id as usize];
            let end = Line::from_view(&view).at(view.cycle_last + stale_cycles) >> 32;
            if clock::is_in(id, clock::SETTABLE) {
                // Somebody has set it back meanwhile.
                assert_kernels(&functions, id, &Transform::IDENTITY);
            } else {
                for _ in 0..3 {
                    assert_eq!(functions.read_ns(id), end, "clock {id}, {ahead} ns ahead");
                }
            }
        }
    }
}

/// A settable clock that is ahead of the host by less than a millisecond was steered there.
#[test]
fn a_settable_clock_that_was_only_steered_does_not_go_back() {
    let mapped = unmoved();
    for id in [clock::REALTIME, clock::TAI] {
        for ahead in [1, 1000, 900_000] {
            let end = kernels(id).as_nanos() + ahead;
            publish(mapped.page(), |_| standing(end, FAST_CYCLES * 3, FAST_CYCLES * 2));
            let now = mapped.functions().read_ns(id);
            let after = kernels(id).as_nanos();
            assert!((end..=after.max(end)).contains(&now), "clock {id}: {now}, {end} to {after}");
        }
    }
}

/// An `own` image whose kernel is a page of ours, which can give up the counter.
fn image_on(vvar: &FakeVvar) -> Mapped {
    let host = host();
    Mapped::with(Source::Own, &offset_by(seconds(0)), &vvar.template(host), host.vdso_addr)
}

/// The kernel gives up the counter: readers who were ahead stay where they were, from that very read
/// on. What the timekeeper publishes then, `vdso_timekeeper`'s tests hold against the same rule.
#[test]
fn without_a_counter_nobody_goes_back() {
    let vvar = FakeVvar::new();
    let mapped = image_on(&vvar);
    let functions = mapped.functions();
    let reached = kernels(clock::MONOTONIC).as_nanos() + 3600 * NSEC_PER_SEC;
    publish(mapped.page(), |_| standing(reached, 1000, 1 << 45));
    assert_eq!(functions.read_ns(clock::MONOTONIC), reached);
    vvar.set_mode(CLOCK_MODE_NONE);
    assert!(functions.read_ns(clock::MONOTONIC) >= reached);
}

/// And readers who were where the kernel is do not jump to where the line would have ended.
#[test]
fn without_a_counter_nobody_jumps_ahead() {
    let vvar = FakeVvar::new();
    let mapped = image_on(&vvar);
    let stale_cycles = FAST_CYCLES * 4;
    // A nanosecond a cycle, which is faster than any counter: a line's end in the far future.
    let line = |id| {
        let start = kernels(id).as_nanos() << 32;
        Line { cycles: counter::read(), start, slope: 1 << 64 }.view(stale_cycles)
    };
    publish(mapped.page(), |id| match HIGH_RESOLUTION_IDS.contains(&id) {
        true => line(id),
        false => CounterView::UNUSABLE,
    });
    vvar.set_mode(CLOCK_MODE_NONE);
    for id in HIGH_RESOLUTION_IDS {
        let copy = latch::read(&mapped.page().header.seq, || (), |(), copy| copy);
        let line = Line::from_view(&mapped.page().line(copy, id).load_counter_view());
        let before = kernels(id).as_nanos();
        let now = mapped.functions().read_ns(id);
        let after = kernels(id).as_nanos().max(line.at(counter::read()) >> 32);
        assert!(before <= now && now <= after, "clock {id} jumps ahead by {} ns", now - after);
    }
}

/// What a reader has seen, for each fine clock.
struct Seen([i128; clock::LINES]);

impl Seen {
    fn nothing() -> Self {
        Self([i128::MIN; clock::LINES])
    }

    /// Reads clocks that may not go back.
    #[track_caller]
    fn read(&mut self, functions: &Functions, when: &str) {
        for id in [clock::MONOTONIC, clock::BOOTTIME, clock::MONOTONIC_RAW] {
            let now = functions.read_ns(id);
            let last = &mut self.0[id as usize];
            assert!(*last <= now, "clock {id} goes back {when}: by {} ns", *last - now);
            *last = now;
        }
    }
}

/// A line, its end, the kernel's time behind it, and a new publisher: one after the other.
#[test]
fn a_clock_goes_on_from_publisher_to_publisher() {
    if !is_usable("a_clock_goes_on_from_publisher_to_publisher", Source::Own) {
        return;
    }
    let host = host();
    let transforms = offset_by(seconds(0));
    let mapped = Mapped::new(Source::Own, &transforms);
    let functions = mapped.functions();
    let (mut seen, mut random) = (Seen::nothing(), Random(7));
    for round in 0..300 {
        let mut timekeeper = Timekeeper::new(mapped.page(), host.sampler(), transforms);
        for update in 0..random.below(3) + 1 {
            timekeeper.update();
            seen.read(&functions, &format!("at update {update} of publisher {round}"));
        }
        // It dies, having been ahead or behind by up to a millisecond; long ago or just now.
        let copy = latch::read(&mapped.page().header.seq, || (), |(), copy| copy);
        let by = random.below(2 * MS as u64) as i128 - MS;
        let ago = [0, 1 << 20, FAST_CYCLES, FAST_CYCLES * 6][random.below(4) as usize];
        let views = std::array::from_fn::<_, { clock::LINES }, _>(|id| {
            let mut line = Line::from_view(&mapped.page().copy(copy)[id].load_counter_view());
            // The same line, described from another start; moved, if no reader is on it by then.
            let start = line.cycles.wrapping_sub(ago);
            line = Line { cycles: start, start: line.at(start) + (by.max(0) << 32), ..line };
            line.view(ago + FAST_CYCLES)
        });
        publish(mapped.page(), |id| match HIGH_RESOLUTION_IDS.contains(&id) {
            true => views[id as usize],
            false => CounterView::UNUSABLE,
        });
        seen.read(&functions, &format!("on the moved line {round}"));
        // Ended: it was good for as long as readers have used it.
        let now = counter::read();
        publish(mapped.page(), |id| match HIGH_RESOLUTION_IDS.contains(&id) {
            true => {
                let line = Line::from_view(&views[id as usize]);
                // As old as the slow path wants it.
                let start = now.wrapping_sub(2 * FAST_CYCLES);
                Line { cycles: start, start: line.at(start), ..line }.view(2 * FAST_CYCLES)
            }
            false => CounterView::UNUSABLE,
        });
        seen.read(&functions, &format!("at the end of line {round}"));
        seen.read(&functions, &format!("behind the end of line {round}"));
    }
}

/// A timekeeper that may not read the kernel's page, and samples by calls. How close it gets is
/// `vdso_timekeeper`'s matter; it must not be somewhere else.
#[test]
fn a_publisher_without_a_kernel_page_is_close() {
    if !is_usable("a_publisher_without_a_kernel_page_is_close", Source::Own) {
        return;
    }
    let transforms = offset_by(seconds(-7));
    let mapped = own_image(&transforms);
    let mut blind = Host::find().unwrap();
    blind.page = Err(PageError::NoVvar);
    let mut timekeeper = Timekeeper::new(mapped.page(), blind.sampler(), transforms);
    let mut seen = Seen::nothing();
    for _ in 0..5 {
        let wanted = timekeeper.update();
        seen.read(&mapped.functions(), "after an update by calls");
        for id in HIGH_RESOLUTION_IDS {
            let moved = |time: Timespec| time.wrapping_add(seconds(-7)).as_nanos();
            let before = moved(kernels(id));
            let now = mapped.functions().read_ns(id);
            let range = before - MS..=moved(kernels(id)) + MS;
            assert!(range.contains(&now), "clock {id}: {now} is not in {range:?}");
        }
        std::thread::sleep(wanted);
    }
}

/// For ever, with and without a publisher, and to the nanosecond.
#[test]
fn a_frozen_clock_stands_still() {
    let offset = Timespec { sec: 1_000_000, nsec: 999_999_999 };
    let transforms = rate_from_now(Rate::ZERO, offset);
    let expected = |id: u32| transforms[id as usize].base.wrapping_add(offset);
    for (mapped, publisher) in images("a_frozen_clock_stands_still", &transforms)
        .into_iter()
        .chain([(own_image(&transforms), None)])
    {
        // The kernel's page has no rate: the launcher takes another source.
        let is_published = publisher.is_some();
        for id in PAGE_CLOCKS {
            for _ in 0..1000 {
                let now = mapped.functions().read(id);
                assert_eq!(now, expected(id), "{mapped}, clock {id}, published: {is_published}");
            }
        }
        let time = expected(clock::REALTIME_COARSE).sec;
        assert_eq!(mapped.functions().seconds(), time, "{mapped}");
    }
}

/// A frozen line never grows stale: whoever publishes may die.
#[test]
fn a_frozen_line_outlives_its_publisher() {
    if !is_usable("a_frozen_line_outlives_its_publisher", Source::Own) {
        return;
    }
    let transforms = rate_from_now(Rate::ZERO, seconds(1));
    let mapped = Mapped::new(Source::Own, &transforms);
    Timekeeper::new(mapped.page(), host().sampler(), transforms).update();
    let copy = latch::read(&mapped.page().header.seq, || (), |(), copy| copy);
    for id in HIGH_RESOLUTION_IDS {
        let view = mapped.page().line(copy, id).load_counter_view();
        assert_eq!(view.mult, vdso_data::arithmetic::Mult::default());
        assert!(view.stale_cycles > 1 << 62, "{}", view.stale_cycles);
    }
}

/// A scaled clock is the kernel's, scaled: to a few nanoseconds of the host's for `own`, exactly for
/// `chain`, which `bracketing` shows.
#[test]
fn a_scaled_clock_runs_at_its_rate() {
    for rate in [
        Rate { whole: 0, fraction: 1 << 63 },
        Rate { whole: 2, fraction: 0 },
        Rate { whole: 1000, fraction: 0 },
        Rate { whole: 0, fraction: 1 },
    ] {
        let transforms = rate_from_now(rate, seconds(-3));
        let start = std::time::Instant::now();
        for (mapped, _publisher) in images("a_scaled_clock_runs_at_its_rate", &transforms) {
            let functions = mapped.functions();
            for id in HIGH_RESOLUTION_IDS {
                let moved = || transforms[id as usize].apply(kernels(id)).as_nanos();
                let (before, now, after) = (moved(), functions.read_ns(id), moved());
                // Since the line was published.
                let close = (200 + slewed_ns(start.elapsed())) * i128::from(rate.whole + 1);
                let range = before - close..=after + close;
                assert!(range.contains(&now), "{mapped}, clock {id}: {before} {now} {after}");
            }
        }
    }
}
