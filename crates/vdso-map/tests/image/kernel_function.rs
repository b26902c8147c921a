//! The images with a function of the test's in the place of the kernel's: it says what the test wants,
//! so results are exact to the nanosecond, and it may let things happen meanwhile.

use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::sync::Arc;

use vdso_data::arithmetic::{Rate, Timespec, Transform};
use vdso_data::clock::{self, HIGH_RESOLUTION_IDS};
use vdso_data::latch;
use vdso_data::own::{CounterView, OwnPage};
use vdso_data::process::Template;
use vdso_host::{counter, initialise};
use vdso_image::Source;
use vdso_map::ImageFile;
use vdso_timekeeper::steering::Line;

use super::support::*;

thread_local! {
    /// What the kernel says on this thread, or the error that it gives.
    static ANSWER: Cell<Result<Timespec, c_int>> = const { Cell::new(Err(-1)) };
    /// A page to publish before the kernel answers.
    static TO_BE_PUBLISHED: RefCell<Option<Arc<ImageFile>>> = const { RefCell::new(None) };
}

extern "C" fn made_up_kernel(_: c_int, ts: *mut Timespec) -> c_int {
    TO_BE_PUBLISHED.with_borrow(|file| {
        if let Some(file) = file {
            publish_fresh_lines(file.page());
        }
    });
    match ANSWER.get() {
        Ok(now) => {
            // SAFETY: the image calls this with what it was called with, or with its own.
            unsafe { ts.write(now) };
            0
        }
        Err(error) => error,
    }
}

/// An image whose kernel is that function and nothing else.
fn image(source: Source, transforms: &Transforms) -> Mapped {
    let address = made_up_kernel as ClockGettime as usize as u64;
    // Functions are found by their distance from the kernel's vDSO.
    let template = Template { clock_gettime: Some(address - 1), ..Template::default() };
    Mapped::with(source, transforms, &template, 1)
}

/// Any time that a clock can have, and what is carried.
fn any_time(random: &mut Random) -> Timespec {
    let sec = match random.below(4) {
        0 => random.below(3) as i64 - 1,
        1 => random.below(1 << 62) as i64 - (1 << 61),
        _ => random.below(1 << 34) as i64 - (1 << 33),
    };
    let nsec = match random.below(4) {
        0 => 0,
        1 => 999_999_999,
        _ => random.below(1_000_000_000) as i64,
    };
    Timespec { sec, nsec }
}

fn any_transform(random: &mut Random) -> Transform {
    let rate = match random.below(4) {
        0 => Rate { whole: random.below(1000), fraction: random.below(u64::MAX) },
        1 => Rate::ZERO,
        _ => Rate::ONE,
    };
    let mut offset = any_time(random);
    // The usual one is of whole seconds.
    if random.below(2) == 0 {
        offset.nsec = 0;
    }
    Transform { offset, base: any_time(random), rate }
}

/// Whatever the kernel says, and however it is moved: the transform of that, to the nanosecond.
#[test]
fn the_kernels_answer_is_moved_exactly() {
    for source in [Source::Chain, Source::Own] {
        let mut random = Random(source as u64);
        let mapped = image(source, &offset_by(seconds(0)));
        let functions = mapped.functions();
        for _ in 0..1000 {
            let mut transforms = [(); clock::LINES].map(|()| any_transform(&mut random));
            // A coarse clock is moved as its twin is.
            transforms[clock::REALTIME_COARSE as usize] = transforms[clock::REALTIME as usize];
            transforms[clock::MONOTONIC_COARSE as usize] = transforms[clock::MONOTONIC as usize];
            // Nobody reads meanwhile.
            initialise(mapped.page(), &transforms);
            for id in PAGE_CLOCKS {
                let host = any_time(&mut random);
                ANSWER.set(Ok(host));
                let expected = transforms[id as usize].apply(host);
                assert_eq!(functions.read(id), expected, "{mapped}, clock {id}: {host:?}");
            }
            let host = any_time(&mut random);
            ANSWER.set(Ok(host));
            let expected = transforms[clock::REALTIME as usize].apply(host);
            let micros = Timeval { sec: expected.sec, usec: expected.nsec / 1000 };
            assert_eq!(functions.timeval(), micros, "{mapped}: {host:?}");
            let expected = transforms[clock::REALTIME_COARSE as usize].apply(host);
            assert_eq!(functions.seconds(), expected.sec, "{mapped}: {host:?}");
        }
    }
}

/// An error of the kernel's is the image's, for its own clocks as for others.
#[test]
fn the_kernels_error_is_passed_on() {
    for source in [Source::Chain, Source::Own] {
        for rate in [Rate::ONE, Rate { whole: 2, fraction: 0 }] {
            let transform = Transform { offset: seconds(5), base: seconds(1), rate };
            let mapped = image(source, &[transform; clock::LINES]);
            let functions = mapped.functions();
            for id in PAGE_CLOCKS.map(|id| id as c_int).into_iter().chain([2, 9, -6, 99]) {
                ANSWER.set(Err(-libc::EINVAL));
                let mut now = UNWRITTEN;
                // SAFETY: a clock_gettime, and `now` is ours.
                let error = unsafe { (functions.clock_gettime)(id, &mut now) };
                assert_eq!(error, -libc::EINVAL, "{mapped}, clock {id}");
                let is_pages = PAGE_CLOCKS.contains(&(id as u32));
                assert!(is_pages || now == UNWRITTEN, "{mapped}, clock {id}: {now:?}");
            }
            let mut now = Timeval::default();
            // SAFETY: a gettimeofday, and `now` is ours.
            let error = unsafe { (functions.gettimeofday)(&mut now, std::ptr::null_mut()) };
            assert_eq!((error, now), (-libc::EINVAL, Timeval::default()), "{mapped}");
            assert_eq!(functions.seconds(), -i64::from(libc::EINVAL), "{mapped}");
        }
    }
}

/// Lines of just now, of which the end is years ahead; no counter is faster than they are slow.
fn publish_fresh_lines(page: &OwnPage) {
    let line = |id| {
        let start = kernels(id).as_nanos() << 32;
        Line { cycles: counter::read(), start, slope: 1 << 60 }.view(1 << 62)
    };
    publish(page, |id| match HIGH_RESOLUTION_IDS.contains(&id) {
        true => line(id),
        false => CounterView::UNUSABLE,
    });
}

fn publish(page: &OwnPage, view: impl Fn(u32) -> CounterView) {
    latch::write(&page.header.seq, |_, spare| {
        for (id, line) in page.copy(spare).iter().enumerate() {
            line.store_counter_view(&view(id as u32));
        }
    });
}

/// A reader has found a page that nobody publishes, and asks the kernel; before it has the answer,
/// somebody publishes. The end of a fresh line is no time to answer with.
#[test]
fn a_publisher_that_comes_meanwhile_is_no_jump() {
    let mapped = image(Source::Own, &offset_by(seconds(0)));
    TO_BE_PUBLISHED.set(Some(mapped.file.clone()));
    let cycles = counter::read().wrapping_sub(3 << 32);
    let stale = Line { cycles, start: 0, slope: 0 }.view(2 << 32);
    for id in HIGH_RESOLUTION_IDS {
        for (how, view) in [("unusable", CounterView::UNUSABLE), ("stale", stale)] {
            publish(mapped.page(), |_| view);
            let before = kernels(id);
            // Later than any line by then.
            let answer = before.wrapping_add(seconds(1));
            ANSWER.set(Ok(answer));
            let now = mapped.functions().read(id);
            assert_eq!(now, answer, "clock {id}, {how}: {before:?} before");
        }
    }
}
