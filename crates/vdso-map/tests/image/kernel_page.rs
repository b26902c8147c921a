//! The images on a kernel's page made by hand: namespaces, given-up counters, clocks that went
//! backwards, and a kernel that writes while they read.
//!
//! Its times are from another century than the real kernel's, so it shows which of the two was read.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::thread;

use vdso_data::PAGE_BYTES;
use vdso_data::arithmetic::{Timespec, Transform};
use vdso_data::clock::{self, HIGH_RESOLUTION_IDS};
use vdso_data::linux::{CLOCK_MODE_COUNTER, CLOCK_MODE_NONE, CLOCK_MODE_TIMENS, LINUX_6_15};
use vdso_data::process::{ClockTemplate, Template};
use vdso_host::Host;
use vdso_host::counter;
use vdso_image::Source;

use super::support::*;

/// Of the page's fine clocks.
pub const SHIFT: u32 = 20;

/// A page with Linux 6.15's layout, of which the tests are the kernel.
#[repr(align(4096))]
pub struct FakeVvar([AtomicU32; PAGE_BYTES / 4]);

impl FakeVvar {
    /// Clocks that stand still at [`time_of`].
    pub fn new() -> Box<Self> {
        let page = Box::new(Self([const { AtomicU32::new(0) }; PAGE_BYTES / 4]));
        for clock in [LINUX_6_15.hres, LINUX_6_15.raw] {
            page.set(clock + LINUX_6_15.seq + 4, CLOCK_MODE_COUNTER);
            page.set(clock + LINUX_6_15.mult + 4, SHIFT);
            page.set_double(clock + LINUX_6_15.cycle_last, counter::read());
        }
        for id in PAGE_CLOCKS {
            page.set_time(id, time_of(id));
        }
        page
    }

    pub fn set(&self, at: usize, value: u32) {
        self.0[at / 4].store(value, Ordering::Relaxed);
    }

    fn set_double(&self, at: usize, value: u64) {
        let (first, second) = if cfg!(target_endian = "little") { (0, 4) } else { (4, 0) };
        self.set(at + first, value as u32);
        self.set(at + second, (value >> 32) as u32);
    }

    /// Nanoseconds of fine clocks are shifted.
    pub fn set_time(&self, id: u32, time: Timespec) {
        let shift = if clock::is_in(id, clock::COARSE) { 0 } else { SHIFT };
        self.set_double(base(id), time.sec as u64);
        self.set_double(base(id) + 8, (time.nsec as u64) << shift);
    }

    pub fn set_mode(&self, mode: u32) {
        self.set(LINUX_6_15.hres + LINUX_6_15.seq + 4, mode);
        self.set(LINUX_6_15.raw + LINUX_6_15.seq + 4, mode);
    }

    fn set_seq(&self, seq: u32) {
        self.set(LINUX_6_15.hres + LINUX_6_15.seq, seq);
        self.set(LINUX_6_15.raw + LINUX_6_15.seq, seq);
    }

    pub fn set_mult(&self, mult: u32) {
        self.set(LINUX_6_15.hres + LINUX_6_15.mult, mult);
        self.set(LINUX_6_15.raw + LINUX_6_15.mult, mult);
    }

    pub fn set_cycle_last(&self, cycle_last: u64) {
        self.set_double(LINUX_6_15.hres + LINUX_6_15.cycle_last, cycle_last);
        self.set_double(LINUX_6_15.raw + LINUX_6_15.cycle_last, cycle_last);
    }

    /// `vdso_write_begin`.
    pub fn begin_update(&self) {
        self.set_seq(self.0[(LINUX_6_15.hres + LINUX_6_15.seq) / 4].load(Ordering::Relaxed) + 1);
        fence(Ordering::Release);
    }

    /// `vdso_write_end`.
    pub fn end_update(&self) {
        fence(Ordering::Release);
        self.set_seq(self.0[(LINUX_6_15.hres + LINUX_6_15.seq) / 4].load(Ordering::Relaxed) + 1);
    }

    /// What an image is told, with this page in the kernel's place.
    pub fn template(&self, host: &Host) -> Template {
        let page = std::ptr::from_ref(self).addr() as u64;
        let clock = |clock: usize| {
            let member =
                |at: usize| (page + (clock + at) as u64).wrapping_sub(host.vdso_addr) as i64;
            ClockTemplate {
                seq: member(LINUX_6_15.seq),
                cycle_last: member(LINUX_6_15.cycle_last),
                mult: member(LINUX_6_15.mult),
                basetime: member(LINUX_6_15.basetime),
                max_cycles: u64::from(u32::MAX),
            }
        };
        let mut template = template(host, Source::Host);
        (template.hres, template.raw) = (Some(clock(LINUX_6_15.hres)), Some(clock(LINUX_6_15.raw)));
        template
    }
}

/// Where the seconds of `basetime` are.
fn base(id: u32) -> usize {
    let clock = if id == clock::MONOTONIC_RAW { LINUX_6_15.raw } else { LINUX_6_15.hres };
    clock + LINUX_6_15.basetime + 16 * id as usize
}

/// Decades after what any kernel says, and different for each clock.
pub fn time_of(id: u32) -> Timespec {
    Timespec { sec: 10_000_000_000 + i64::from(id), nsec: 100_000_000 + i64::from(id) }
}

/// An image on the page, with everything that is the kernel's but that.
pub fn image_on(vvar: &FakeVvar, source: Source, transforms: &Transforms) -> Mapped {
    let host = host();
    assert_ne!(host.vdso_addr, 0, "the tests of a kernel's page need a kernel's vDSO");
    Mapped::with(source, transforms, &vvar.template(host), host.vdso_addr)
}

const OFFSET: Timespec = Timespec { sec: -1000, nsec: 900_000_000 };

#[track_caller]
fn assert_fake(mapped: &Mapped, ids: &[u32], offset: Timespec) {
    for &id in ids {
        let expected = time_of(id).wrapping_add(offset);
        assert_eq!(mapped.functions().read(id), expected, "{mapped}, clock {id}");
    }
}

#[track_caller]
fn assert_real(mapped: &Mapped, ids: &[u32], offset: Timespec) {
    for &id in ids {
        let (before, now, after) = (kernels(id), mapped.functions().read(id), kernels(id));
        let moved = |time: Timespec| time.wrapping_add(offset);
        let is_between = moved(before) <= now && now <= moved(after);
        assert!(is_between, "{mapped}, clock {id}: {now:?}, not {before:?} to {after:?}");
    }
}

const COARSE_IDS: [u32; 2] = [clock::REALTIME_COARSE, clock::MONOTONIC_COARSE];

#[test]
fn the_page_is_read_as_it_says() {
    let vvar = FakeVvar::new();
    let mapped = image_on(&vvar, Source::Host, &offset_by(OFFSET));
    assert_fake(&mapped, &PAGE_CLOCKS, OFFSET);
    let realtime = time_of(clock::REALTIME).wrapping_add(OFFSET).as_nanos();
    assert_eq!(mapped.functions().timeval().as_nanos(), realtime / 1000 * 1000);
    let coarse = time_of(clock::REALTIME_COARSE).wrapping_add(OFFSET).sec;
    assert_eq!(mapped.functions().seconds(), coarse);
    // Whole seconds are added to whole seconds.
    let mapped = image_on(&vvar, Source::Host, &offset_by(seconds(-5)));
    assert_eq!(mapped.functions().seconds(), time_of(clock::REALTIME).sec - 5);
}

/// Coarse clocks are the kernel page's in every source that knows it.
#[test]
fn coarse_clocks_come_from_the_page() {
    let vvar = FakeVvar::new();
    for source in [Source::Own, Source::Host, Source::Chain] {
        assert_fake(&image_on(&vvar, source, &offset_by(OFFSET)), &COARSE_IDS, OFFSET);
    }
}

/// A clock that runs: what is read lies between the counter before and after.
#[test]
fn the_page_is_a_line_over_the_counter() {
    let vvar = FakeVvar::new();
    // 2.75 ns a cycle; and no more than 2^32 cycles of it, as the launcher would say.
    let mult = 11 << (SHIFT - 2);
    vvar.set_mult(mult);
    let start = counter::read() - (1 << 31);
    vvar.set_cycle_last(start);
    let mapped = image_on(&vvar, Source::Host, &offset_by(OFFSET));
    for id in HIGH_RESOLUTION_IDS {
        let at = |cycles: u64| {
            let ns = i128::from(((cycles - start) * u64::from(mult)) >> SHIFT);
            time_of(id).wrapping_add(OFFSET).as_nanos() + ns
        };
        let before = counter::read();
        let now = mapped.functions().read_ns(id);
        let after = counter::read();
        assert!(at(before) <= now && now <= at(after), "clock {id}: {now}");
    }
}

/// The kernel has given up the counter: its own function is asked.
#[test]
fn without_a_counter_the_kernel_is_asked() {
    let vvar = FakeVvar::new();
    let mapped = image_on(&vvar, Source::Host, &offset_by(OFFSET));
    for mode in [CLOCK_MODE_NONE, 2, 3] {
        vvar.set_mode(mode);
        assert_real(&mapped, &HIGH_RESOLUTION_IDS, OFFSET);
        // These need no counter.
        assert_fake(&mapped, &COARSE_IDS, OFFSET);
    }
    vvar.set_mode(CLOCK_MODE_COUNTER);
    assert_fake(&mapped, &PAGE_CLOCKS, OFFSET);
}

/// In a time namespace the page is odd for good, and the kernel's function knows where to look.
#[test]
fn in_a_time_namespace_the_kernel_is_asked() {
    let vvar = FakeVvar::new();
    for source in [Source::Own, Source::Host] {
        let mapped = image_on(&vvar, source, &offset_by(OFFSET));
        vvar.set_seq(1);
        vvar.set_mode(CLOCK_MODE_TIMENS);
        assert_real(&mapped, &PAGE_CLOCKS, OFFSET);
        let moved = |id| kernels(id).wrapping_add(OFFSET);
        let before = moved(clock::REALTIME_COARSE).sec;
        let now = mapped.functions().seconds();
        assert!(before <= now && now <= moved(clock::REALTIME_COARSE).sec, "{mapped}: time");
        let before = moved(clock::REALTIME).as_nanos() / 1000 * 1000;
        let now = mapped.functions().timeval().as_nanos();
        assert!(
            before <= now && now <= moved(clock::REALTIME).as_nanos(),
            "{mapped}: gettimeofday"
        );
        vvar.set_seq(2);
        vvar.set_mode(CLOCK_MODE_COUNTER);
    }
}

/// A line of ours says the host's time, which is not that of a namespace: neither it nor its end.
#[test]
fn in_a_time_namespace_lines_are_not_used() {
    let vvar = FakeVvar::new();
    let mapped = image_on(&vvar, Source::Own, &offset_by(OFFSET));
    let far = vdso_timekeeper::steering::Line {
        cycles: counter::read(),
        start: (50_000_000_000 * NSEC_PER_SEC) << 32,
        slope: 0,
    };
    let page = mapped.page();
    vdso_data::latch::write(&page.header.seq, |read, spare| {
        for (id, line) in page.copy(spare).iter().enumerate() {
            line.store_transform(&page.copy(read)[id].load_transform());
            line.store_counter_view(&far.view(1 << 45));
        }
    });
    assert_eq!(mapped.functions().read(clock::MONOTONIC), seconds(50_000_000_000));
    vvar.set_seq(1);
    vvar.set_mode(CLOCK_MODE_TIMENS);
    assert_real(&mapped, &PAGE_CLOCKS, OFFSET);
}

/// More cycles than 64-bit arithmetic is good for, and a counter from before the update or from
/// another life: the kernel has the arithmetic for that.
#[test]
fn what_64_bits_cannot_do_the_kernel_is_asked() {
    let vvar = FakeVvar::new();
    let host = host();
    let mapped = image_on(&vvar, Source::Host, &offset_by(OFFSET));
    for ago in [1 << 33, 1 << 40, 1 << 50] {
        vvar.set_cycle_last(counter::read().wrapping_sub(ago));
        assert_real(&mapped, &HIGH_RESOLUTION_IDS, OFFSET);
    }
    for ahead in [1 << 40, 1 << 50, 1 << 62] {
        vvar.set_cycle_last(counter::read() + ahead);
        assert_real(&mapped, &HIGH_RESOLUTION_IDS, OFFSET);
    }
    // A fast-running clock, whose multiplication overflows early.
    let mut template = vvar.template(host);
    for clock in [&mut template.hres, &mut template.raw] {
        clock.as_mut().expect("the page is known").max_cycles = 1 << 20;
    }
    let mapped = Mapped::with(Source::Host, &offset_by(OFFSET), &template, host.vdso_addr);
    vvar.set_cycle_last(counter::read() - (1 << 20) - 1);
    assert_real(&mapped, &HIGH_RESOLUTION_IDS, OFFSET);
    vvar.set_cycle_last(counter::read() + (1 << 40));
    assert_real(&mapped, &HIGH_RESOLUTION_IDS, OFFSET);
}

/// A rate is not the page's to give: the `host` image still answers, by the kernel's function.
#[test]
fn a_rate_is_not_read_from_the_page() {
    use vdso_data::arithmetic::Rate;
    let vvar = FakeVvar::new();
    let transforms = rate_from_now(Rate { whole: 3, fraction: 0 }, OFFSET);
    let mapped = image_on(&vvar, Source::Host, &transforms);
    for id in HIGH_RESOLUTION_IDS {
        let transform: &Transform = &transforms[id as usize];
        let before = transform.apply(kernels(id));
        let now = mapped.functions().read(id);
        let after = transform.apply(kernels(id));
        assert!(before <= now && now <= after, "clock {id}: {now:?}");
    }
}

/// A kernel that writes without a pause: odd, barrier, data, barrier, even. What is read is one of the
/// two times in whole, for fine clocks, coarse ones and `gettimeofday`.
#[test]
fn no_reader_sees_half_an_update_of_the_kernels() {
    const READS: u32 = 100_000;
    let times = [
        Timespec { sec: 10_000_000_000, nsec: 0 },
        Timespec { sec: 20_000_000_000, nsec: 999_999_999 },
    ];
    let vvar = FakeVvar::new();
    let mapped = image_on(&vvar, Source::Host, &offset_by(seconds(0)));
    let functions = mapped.functions();
    let is_done = AtomicBool::new(false);
    let write = |seq: u32, time: Timespec| {
        vvar.set_seq(seq + 1);
        fence(Ordering::Release);
        PAGE_CLOCKS.into_iter().for_each(|id| vvar.set_time(id, time));
        fence(Ordering::Release);
        vvar.set_seq(seq + 2);
    };
    write(0, times[0]);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut seq = 2u32;
            while !is_done.load(Ordering::Relaxed) {
                write(seq, times[seq as usize / 2 % 2]);
                seq = seq.wrapping_add(2);
                // Readers wait while the number is odd, so there must be a pause as well.
                (0..50).for_each(|_| std::hint::spin_loop());
            }
        });
        let mut seen = [0u32; 2];
        for _ in 0..READS {
            for id in PAGE_CLOCKS {
                let now = functions.read(id);
                let which = times.iter().position(|&time| time == now);
                seen[which.unwrap_or_else(|| panic!("clock {id} is torn: {now:?}"))] += 1;
            }
            let now = functions.timeval().as_nanos();
            let is_whole = times.iter().any(|time| time.as_nanos() / 1000 * 1000 == now);
            assert!(is_whole, "gettimeofday is torn: {now}");
        }
        is_done.store(true, Ordering::Relaxed);
        writer.join().expect("the writer has said why");
        println!("{seen:?} reads of the two times");
    });
}
