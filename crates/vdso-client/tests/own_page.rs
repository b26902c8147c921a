//! Reads of an own page, inlined into the caller: the same as the image's own function gives, in every
//! state that a page can be in.

#![cfg(all(target_arch = "x86_64", not(miri)))]

mod support;

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use support::{OneAtATime, assert_between, kernels};
use test_support::{Lacking, skip};
use vdso_client::{
    Capabilities, ClockId, Errno, Instant, PageReader, SystemTime, Timespec, UnorderedInstant,
    Vdso, clock_getres, clock_gettime, gettimeofday, read_at_once, time,
};
use vdso_data::arithmetic::{Mult, Nanos, Rate, Transform};
use vdso_data::clock;
use vdso_data::latch;
use vdso_data::linux::{CLOCK_MODE_COUNTER, CLOCK_MODE_NONE, CLOCK_MODE_TIMENS};
use vdso_data::own::CounterView;
use vdso_data::process::{ClockTemplate, FLAG_NO_LINUX, FLAG_NO_SYSTEM_CALLS, Template};
use vdso_host::{Host, initialise};
use vdso_image::Source;
use vdso_map::{ImageFile, LocalImage};
use vdso_timekeeper::Timekeeper;

const FINE: [ClockId; 5] = [
    ClockId::REALTIME,
    ClockId::MONOTONIC,
    ClockId::MONOTONIC_RAW,
    ClockId::BOOTTIME,
    ClockId::TAI,
];
const COARSE: [ClockId; 2] = [ClockId::REALTIME_COARSE, ClockId::MONOTONIC_COARSE];
/// How far a published page may be from the kernel's clocks.
const TOLERANCE_NS: i128 = 1_000;
const SECOND_NS: i128 = 1_000_000_000;

/// An image of the `own` source that all calls go to. Mapped for good.
struct Mapped {
    file: Arc<ImageFile>,
    vdso: Vdso<'static>,
}

impl Mapped {
    /// As a launch makes it; `None` where there is no known kernel page to check the counter by.
    fn new(test: &str, offset_sec: i64) -> Option<Self> {
        let host = Host::find().expect("/proc is mounted");
        if let Err(reason) = &host.page {
            skip(Lacking::Kernel, test, &reason.to_string());
            return None;
        }
        let template = host.template(&vdso_image::FORWARDED);
        Some(Self::with(&host, offset_sec, &template, host.vdso_addr))
    }

    fn with(host: &Host, offset_sec: i64, template: &Template, vdso_addr: u64) -> Self {
        let bytes = vdso_image::tailor(Source::Own, &host.image).bytes;
        let file = Arc::new(ImageFile::create("own", &bytes).expect("an image has a file"));
        initialise(file.page(), &transforms(offset_sec));
        let image = LocalImage::map(&file, template, vdso_addr).expect("it can be mapped");
        let image: &'static LocalImage = Box::leak(Box::new(image));
        let address = ptr::with_exposed_provenance(image.image_addr());
        // SAFETY: an image of ours that is never unmapped.
        let vdso = unsafe { Vdso::from_ptr(address) }.expect("an image of ours");
        // SAFETY: the same, with its pages.
        unsafe { vdso_client::adopt(vdso) }.expect("an image in pages");
        Self { file, vdso }
    }

    /// Publishes once: good for more than a second.
    fn publish(&self, offset_sec: i64) {
        let host = Host::find().expect("/proc is mounted");
        Timekeeper::new(self.file.page(), host.sampler(), transforms(offset_sec)).update();
    }

    /// Writes the same line for every clock: 5 s, and a counter that began `age_cycles` ago.
    fn write_line(&self, age_cycles: u64, stale_cycles: u64, mult: Mult, ns: u64) {
        // SAFETY: this machine's own counter.
        let counter = unsafe { core::arch::x86_64::_rdtsc() };
        let view = CounterView {
            cycle_last: counter - age_cycles,
            stale_cycles,
            mult,
            sec: 5,
            nanos: Nanos { ns, fraction: 0 },
        };
        let page = self.file.page();
        latch::write(&page.header.seq, |_, copy| {
            (0..clock::LINES as u32).for_each(|id| page.line(copy, id).store_counter_view(&view));
        });
    }

    /// What the image's own function says.
    fn by_function(&self, id: ClockId) -> Timespec {
        let function = self.vdso.lookup("__vdso_clock_gettime", Some("LINUX_2.6"));
        type ClockGettime = unsafe extern "C" fn(i32, *mut Timespec) -> i32;
        // SAFETY: a function of this type.
        let function: ClockGettime = unsafe { std::mem::transmute(function.expect("it is there")) };
        let mut now = Timespec::default();
        // SAFETY: as above, and `now` is ours.
        assert_eq!(unsafe { function(id.raw(), &mut now) }, 0);
        now
    }
}

fn transforms(offset_sec: i64) -> [Transform; clock::LINES] {
    let offset = vdso_data::arithmetic::Timespec { sec: offset_sec, nsec: 0 };
    [Transform { offset, ..Transform::IDENTITY }; clock::LINES]
}

const FROZEN: Mult = Mult { whole: 0, fraction: 0 };
const LONG: u64 = 1 << 62;

#[test]
fn a_published_page_is_read_inline() {
    const TEST: &str = "a_published_page_is_read_inline";
    let _one = OneAtATime::begin();
    for offset_sec in [0, 2_592_000, -9_000] {
        let Some(mapped) = Mapped::new(TEST, offset_sec) else { return };
        mapped.publish(offset_sec);
        let shift_ns = i128::from(offset_sec) * SECOND_NS;
        assert!(Capabilities::probe().has_own_page());
        let reader = PageReader::get().expect("there is an own page");
        for id in FINE {
            assert_between(id, shift_ns, TOLERANCE_NS, || clock_gettime(id).expect("a clock"));
            assert_between(id, shift_ns, TOLERANCE_NS, || reader.read(id).expect("it knows"));
        }
        for id in COARSE {
            assert_between(id, shift_ns, 0, || clock_gettime(id).expect("a clock"));
            assert_between(id, shift_ns, 0, || reader.read(id).expect("it knows"));
        }
        let monotonic = ClockId::MONOTONIC;
        assert_between(monotonic, shift_ns, TOLERANCE_NS, || Instant::now().timespec());
        assert_between(monotonic, shift_ns, TOLERANCE_NS + 100_000, || {
            UnorderedInstant::now().assume_ordered().timespec()
        });
        let realtime = ClockId::REALTIME;
        assert_between(realtime, shift_ns, TOLERANCE_NS, || SystemTime::now().timespec());
        assert_between(realtime, shift_ns, TOLERANCE_NS + 1_000, || {
            let now = gettimeofday().expect("a time");
            Timespec { sec: now.sec, nsec: now.usec * 1_000 }
        });
        let before = kernels(ClockId::REALTIME_COARSE).sec + offset_sec;
        let now = time().expect("a time");
        let after = kernels(ClockId::REALTIME_COARSE).sec + offset_sec;
        assert!((before..=after).contains(&now), "{now}");
    }
}

#[test]
fn clocks_are_read_at_once_also_by_a_processs_first_call() {
    const TEST: &str = "clocks_are_read_at_once_also_by_a_processs_first_call";
    let _one = OneAtATime::begin();
    let Some(mapped) = Mapped::new(TEST, 0) else { return };
    mapped.write_line(0, LONG, FROZEN, 77);
    assert_eq!(read_at_once(FINE).expect("clocks").spread_ns, 0);
}

/// A frozen line can only have come from the page, and shows that every read does look there.
#[test]
fn every_kind_of_read_is_of_the_page() {
    let _one = OneAtATime::begin();
    let Some(mapped) = Mapped::new("every_kind_of_read_is_of_the_page", 0) else { return };
    let five = Timespec { sec: 5, nsec: 77 };
    mapped.write_line(0, LONG, FROZEN, 77);
    // The first call finds the page.
    let _ = clock_gettime(ClockId::MONOTONIC);
    assert_eq!(Instant::now().timespec(), five);
    assert_eq!(UnorderedInstant::now().assume_ordered().timespec(), five);
    assert_eq!(SystemTime::now().timespec(), five);
    assert_eq!(mapped.by_function(ClockId::MONOTONIC), five);
    let now = read_at_once(FINE).expect("clocks");
    assert_eq!(now.times, [five; 5]);
    assert_eq!(now.spread_ns, 0);
    let reader = PageReader::get().expect("there is an own page");
    assert_eq!(reader.read_at_once(FINE), Some([five; 5]));
    assert_eq!(reader.read_at_once([ClockId::MONOTONIC, ClockId::MONOTONIC_COARSE]), None);
    assert_eq!(reader.read(ClockId::PROCESS_CPUTIME), None);
}

#[test]
fn nanoseconds_are_carried_whatever_their_number() {
    let _one = OneAtATime::begin();
    let Some(mapped) = Mapped::new("nanoseconds_are_carried", 0) else { return };
    for (ns, sec, nsec) in [
        (999_999_999, 5, 999_999_999),
        (1_000_000_000, 6, 0),
        (1_999_999_999, 6, 999_999_999),
        (2_000_000_000, 7, 0),
        (7_123_456_789, 12, 123_456_789),
    ] {
        mapped.write_line(0, LONG, FROZEN, ns);
        assert_eq!(clock_gettime(ClockId::MONOTONIC), Ok(Timespec { sec, nsec }), "{ns}");
    }
}

#[test]
fn a_slow_counter_has_whole_nanoseconds() {
    let _one = OneAtATime::begin();
    let Some(mapped) = Mapped::new("a_slow_counter_has_whole_nanoseconds", 0) else { return };
    mapped.write_line(0, LONG, Mult { whole: 3, fraction: 1 << 63 }, 0);
    for _ in 0..1_000 {
        let before = mapped.by_function(ClockId::MONOTONIC);
        let now = clock_gettime(ClockId::MONOTONIC).expect("a clock");
        let after = mapped.by_function(ClockId::MONOTONIC);
        assert!(before <= now && now <= after, "{before:?} {now:?} {after:?}");
    }
}

/// A page that nobody publishes any more, and one that was never published.
#[test]
fn a_stale_line_is_left_to_the_image() {
    let _one = OneAtATime::begin();
    let Some(mapped) = Mapped::new("a_stale_line_is_left_to_the_image", 0) else { return };
    for id in FINE {
        assert_between(id, 0, 0, || clock_gettime(id).expect("a clock"));
    }
    // Beyond what the fast path can subtract, but not stale: the image goes on along the line.
    mapped.write_line(1 << 33, LONG, FROZEN, 77);
    assert_eq!(clock_gettime(ClockId::MONOTONIC), Ok(Timespec { sec: 5, nsec: 77 }));
    assert_eq!(PageReader::get().expect("a page").read(ClockId::MONOTONIC), None);
    // Stale: the kernel's time.
    mapped.write_line(1 << 33, 1 << 32, FROZEN, 77);
    for id in FINE {
        assert_between(id, 0, 0, || clock_gettime(id).expect("a clock"));
    }
    let now = read_at_once(FINE).expect("clocks");
    assert!(now.spread_ns > 0, "{now:?}");
}

/// The kernel's word that the counter is given up, or that the process is in a time namespace.
#[test]
fn a_counter_that_is_given_up_is_not_read() {
    /// The kernel's page as far as `seq` and `clock_mode`, which a test can change.
    #[repr(align(64))]
    struct KernelPage([AtomicU32; 64]);
    static KERNEL_PAGE: KernelPage = KernelPage([const { AtomicU32::new(0) }; 64]);

    let _one = OneAtATime::begin();
    let Some(_) = Mapped::new("a_counter_that_is_given_up_is_not_read", 0) else { return };
    let host = Host::find().expect("/proc is mounted");
    let at = |index: usize| {
        let address = KERNEL_PAGE.0[index].as_ptr().expose_provenance() as i64;
        address - host.vdso_addr as i64
    };
    let clock = ClockTemplate {
        seq: at(0),
        cycle_last: at(2),
        mult: at(4),
        basetime: at(6),
        max_cycles: u64::MAX,
    };
    let mut template = host.template(&vdso_image::FORWARDED);
    (template.hres, template.raw) = (Some(clock), Some(clock));
    KERNEL_PAGE.0[1].store(CLOCK_MODE_COUNTER, Ordering::Relaxed);
    let mapped = Mapped::with(&host, 0, &template, host.vdso_addr);
    mapped.write_line(0, LONG, FROZEN, 77);
    assert_eq!(clock_gettime(ClockId::MONOTONIC), Ok(Timespec { sec: 5, nsec: 77 }));
    let reader = PageReader::get().expect("a page");
    for mode in [CLOCK_MODE_NONE, CLOCK_MODE_TIMENS] {
        KERNEL_PAGE.0[1].store(mode, Ordering::Relaxed);
        assert_eq!(reader.read(ClockId::MONOTONIC), None);
        for id in FINE {
            assert_between(id, 0, 0, || clock_gettime(id).expect("a clock"));
        }
    }
    // A time namespace's page is odd for good, and its coarse clocks are elsewhere.
    assert_eq!(reader.read(ClockId::MONOTONIC_COARSE), Some(Timespec::default()));
    KERNEL_PAGE.0[0].store(1, Ordering::Relaxed);
    assert_eq!(reader.read(ClockId::MONOTONIC_COARSE), None);
    for id in COARSE {
        assert_between(id, 0, 0, || clock_gettime(id).expect("a clock"));
    }
}

/// Without the kernel's types nothing is known of its page: there is no address to read coarse clocks at.
#[test]
fn coarse_clocks_are_asked_for_where_the_kernels_page_is_unknown() {
    let _one = OneAtATime::begin();
    let host = Host::find().expect("/proc is mounted");
    let mut template = host.template(&vdso_image::FORWARDED);
    (template.hres, template.raw) = (None, None);
    let mapped = Mapped::with(&host, 3, &template, host.vdso_addr);
    mapped.write_line(0, LONG, FROZEN, 77);
    let reader = PageReader::get().expect("there is an own page");
    assert_eq!(reader.read(ClockId::MONOTONIC), Some(Timespec { sec: 5, nsec: 77 }));
    for id in COARSE {
        assert_eq!(reader.read(id), None);
        assert_between(id, 3 * SECOND_NS, 0, || clock_gettime(id).expect("a clock"));
    }
    let before = kernels(ClockId::REALTIME_COARSE).sec + 3;
    let now = time().expect("a time");
    let after = kernels(ClockId::REALTIME_COARSE).sec + 3;
    assert!((before..=after).contains(&now), "{now}");
}

/// Where no Linux is below, the page has coarse clocks, too, and the image no system call behind it.
#[test]
fn coarse_clocks_are_the_pages_own_where_no_linux_is_below() {
    const TICK_NS: u32 = 4_000_000;
    let _one = OneAtATime::begin();
    let host = Host::find().expect("/proc is mounted");
    let flags = FLAG_NO_LINUX | FLAG_NO_SYSTEM_CALLS;
    let mapped = Mapped::with(&host, 3, &Template { flags, ..Template::default() }, 0);
    mapped.file.page().header.coarse_res_ns.store(TICK_NS, Ordering::Relaxed);
    mapped.write_line(0, LONG, FROZEN, 777_777_777);
    let reader = PageReader::get().expect("there is an own page");
    let on_tick = Timespec { sec: 5, nsec: 776_000_000 };
    for id in COARSE {
        assert_eq!(reader.read(id), Some(on_tick));
        assert_eq!(clock_gettime(id), Ok(on_tick));
        assert_eq!(mapped.by_function(id), on_tick);
        assert_eq!(clock_getres(id), Ok(Timespec { sec: 0, nsec: i64::from(TICK_NS) }));
    }
    assert_eq!(time(), Ok(5));
    assert_eq!(clock_gettime(ClockId::PROCESS_CPUTIME), Err(Errno::EINVAL));
    // A line that is over is left to the image, which has its end.
    mapped.write_line(1 << 33, 1 << 32, FROZEN, 777_777_777);
    assert_eq!(reader.read(ClockId::MONOTONIC_COARSE), None);
    assert_eq!(clock_gettime(ClockId::MONOTONIC_COARSE), Ok(on_tick));
    // Whatever is done to it besides: the line has it.
    mapped.write_line(0, LONG, FROZEN, 777_777_777);
    let rate = Rate { whole: 2, fraction: 0 };
    let update = mapped.file.page().begin();
    for (line, of) in update.lines().iter().zip(update.published()) {
        line.store_counter_view(&of.load_counter_view());
        line.store_transform(&Transform { rate, ..Transform::IDENTITY });
    }
    update.commit();
    for id in COARSE {
        assert_eq!(reader.read(id), Some(on_tick));
        assert_eq!(mapped.by_function(id), on_tick);
    }
}

/// Inlined reads and the image's, in turns and while the page is published: none goes back.
#[test]
fn inlined_reads_and_the_images_are_one_clock() {
    const READS: u32 = 200_000;
    let _one = OneAtATime::begin();
    let Some(mapped) = Mapped::new("inlined_reads_and_the_images_are_one_clock", 0) else { return };
    mapped.publish(0);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let host = Host::find().expect("/proc is mounted");
            let mut timekeeper = Timekeeper::new(mapped.file.page(), host.sampler(), transforms(0));
            while !is_done.load(Ordering::Relaxed) {
                timekeeper.update();
            }
        });
        // However this ends, the publisher does, too.
        let _done = Done(&is_done);
        let mut last = Timespec::default();
        for read in 0..READS {
            let now = if read % 2 == 0 {
                Instant::now().timespec()
            } else {
                mapped.by_function(ClockId::MONOTONIC)
            };
            assert!(now >= last, "{now:?} after {last:?}");
            last = now;
        }
    });
}

/// Says so when it is dropped.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Only an image of the `own` source says that it has such a page.
#[test]
fn the_other_images_are_not_read_inline() {
    let _one = OneAtATime::begin();
    for source in Source::ALL {
        let image = vdso_elf::Image::parse(vdso_image::bytes(source)).expect("an image of ours");
        let is_ours = |note: &vdso_elf::Note<'_>| note.owner == vdso_data::note::OWNER;
        let notes: Vec<_> = image.notes().flatten().filter(is_ours).collect();
        let said: Vec<_> =
            notes.iter().map(|n| vdso_data::note::Pages::read(n.description)).collect();
        let expected = [Some(vdso_data::note::Pages::CURRENT)];
        assert_eq!(said, expected[..usize::from(source == Source::Own)], "{}", source.name());
    }
    support::Draft::new().adopt();
    assert!(!Capabilities::probe().has_own_page());
    assert!(PageReader::get().is_none());
}
