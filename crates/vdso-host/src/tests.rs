//! A kernel's page made by hand, and the maps of processes.

use std::ptr;

use vdso_data::arithmetic::{Timespec, Transform};
use vdso_data::linux::{CLOCK_MODE_COUNTER, CLOCK_MODE_NONE, CLOCK_MODE_TIMENS, LINUX_6_15};
use vdso_data::own::OwnPage;
use vdso_data::sync::{AtomicU32, Ordering};
use vdso_data::{PAGE_BYTES, clock, latch};

use vdso_timekeeper::calibration::{Error, calibrate};
use vdso_timekeeper::steering::Line;
use vdso_timekeeper::{Reference, Slopes, Timekeeper};

use super::sample::{CALIBRATION, RawClock};
use super::*;

const SHIFT: u32 = 24;
/// Half a nanosecond a cycle.
const MULT: u32 = 1 << (SHIFT - 1);

/// A page with Linux 6.15's layout, of which this test is the kernel.
#[repr(align(4096))]
struct FakeVvar([AtomicU32; PAGE_BYTES / 4]);

impl FakeVvar {
    /// Clocks that read [`hours`] at the counter's value now.
    fn new() -> Box<Self> {
        let page = Box::new(Self([const { AtomicU32::new(0) }; PAGE_BYTES / 4]));
        let now = counter::read();
        for clock in [LINUX_6_15.hres, LINUX_6_15.raw] {
            page.set(clock + LINUX_6_15.seq + 4, CLOCK_MODE_COUNTER);
            page.set(clock + LINUX_6_15.mult, MULT);
            page.set(clock + LINUX_6_15.mult + 4, SHIFT);
            page.set_double(clock + LINUX_6_15.cycle_last, now);
        }
        for id in 0..clock::LINES as u32 {
            page.set_double(base(id), hours(id) * 3600);
        }
        page
    }

    fn set(&self, at: usize, value: u32) {
        self.0[at / 4].store(value, Ordering::Relaxed);
    }

    fn set_double(&self, at: usize, value: u64) {
        let bytes = value.to_ne_bytes();
        let (first, second) = bytes.split_at(4);
        for (at, half) in [(at, first), (at + 4, second)] {
            self.set(at, u32::from_ne_bytes(half.try_into().expect("a half")));
        }
    }

    fn set_mode(&self, mode: u32) {
        self.set(LINUX_6_15.hres + 4, mode);
    }

    /// Of the fine clocks but MONOTONIC_RAW.
    fn cycle_last(&self) -> u64 {
        let half = |at: usize| self.0[at / 4].load(Ordering::Relaxed).to_ne_bytes();
        let at = LINUX_6_15.hres + LINUX_6_15.cycle_last;
        let bytes = [half(at), half(at + 4)].concat();
        u64::from_ne_bytes(bytes.try_into().expect("two halves"))
    }

    fn mapping(&self) -> Mapping {
        let start = ptr::from_ref(self).addr() as u64;
        Mapping { start, end: start + PAGE_BYTES as u64 }
    }

    fn recognise(&self) -> Result<KernelPage, PageError> {
        let vdso_addr = self.mapping().end + 0x1000;
        KernelPage::recognise(vdso_addr, self.mapping(), &[("fake", LINUX_6_15)])
    }
}

/// Where the seconds of `basetime` are.
fn base(id: u32) -> usize {
    let clock = if id == clock::MONOTONIC_RAW { LINUX_6_15.raw } else { LINUX_6_15.hres };
    clock + LINUX_6_15.basetime + 16 * id as usize
}

/// Another time for each clock.
fn hours(id: u32) -> u64 {
    u64::from(id) + 1
}

/// How many nanoseconds later than at first clock `id` reads.
fn ns_later(fixed: i128, id: u32) -> i128 {
    (fixed >> 32) - i128::from(hours(id)) * 3_600_000_000_000
}

#[test]
fn a_page_is_recognised_by_what_it_holds() {
    let vvar = FakeVvar::new();
    let page = vvar.recognise().unwrap();
    assert_eq!((page.name(), page.layout()), ("fake", &LINUX_6_15));
    assert_eq!(page.displacement(), -0x2000);
    assert_eq!(page.mode(), CLOCK_MODE_COUNTER);
}

#[test]
fn a_page_that_is_no_clock_is_refused() {
    let vvar = FakeVvar::new();
    vvar.set_mode(CLOCK_MODE_TIMENS);
    assert!(matches!(vvar.recognise(), Err(PageError::TimeNamespace)));
    for mode in [CLOCK_MODE_NONE, 2, 3] {
        vvar.set_mode(mode);
        assert!(
            matches!(vvar.recognise(), Err(PageError::CounterUnused { mode: it }) if it == mode)
        );
    }
    vvar.set_mode(CLOCK_MODE_COUNTER);
    for clock in [LINUX_6_15.hres, LINUX_6_15.raw] {
        for (member, good, bad) in [(LINUX_6_15.mult, MULT, 0), (LINUX_6_15.mult + 4, SHIFT, 0)] {
            vvar.set(clock + member, bad);
            assert!(matches!(vvar.recognise(), Err(PageError::Implausible)), "{clock} {member}");
            vvar.set(clock + member, good);
        }
        vvar.set(clock + LINUX_6_15.mult + 4, 33);
        assert!(matches!(vvar.recognise(), Err(PageError::Implausible)), "a shift of 33");
        vvar.set(clock + LINUX_6_15.mult + 4, SHIFT);
    }
    assert!(vvar.recognise().is_ok());
    // A mapping that is too small for what the layout says.
    let mapping = Mapping { end: vvar.mapping().start + 256, ..vvar.mapping() };
    let small = KernelPage::recognise(0, mapping, &[("fake", LINUX_6_15)]);
    assert!(matches!(small, Err(PageError::TooSmall { bytes: 256, needed_bytes: 0x1d0 })));
}

/// What images are told of a page: where everything is, seen from the kernel's vDSO.
#[test]
fn a_template_has_the_places_of_the_page() {
    let vvar = FakeVvar::new();
    let host = host_of(&vvar);
    let template = host.template(&[]);
    for (clock, at) in [(template.hres, LINUX_6_15.hres), (template.raw, LINUX_6_15.raw)] {
        let clock = clock.expect("the page is known");
        let place = |member: usize| -0x2000 + (at + member) as i64;
        assert_eq!(clock.seq, place(LINUX_6_15.seq));
        assert_eq!(clock.cycle_last, place(LINUX_6_15.cycle_last));
        assert_eq!(clock.mult, place(LINUX_6_15.mult));
        assert_eq!(clock.basetime, place(LINUX_6_15.basetime));
        assert_eq!(clock.max_cycles, vvar.recognise().unwrap().max_cycles(at));
    }
}

/// Sums of what the kernel may have in its base and steer by must stay below 2^64.
#[test]
fn arithmetic_of_64_bits_is_good_for_max_cycles() {
    let vvar = FakeVvar::new();
    for (mult, shift) in [(MULT, SHIFT), (1, 1), (u32::MAX, 32), (u32::MAX, 1), (0xa0_0000, 24)] {
        vvar.set(LINUX_6_15.mult, mult);
        vvar.set(LINUX_6_15.mult + 4, shift);
        let max_cycles = u128::from(vvar.recognise().unwrap().max_cycles(LINUX_6_15.hres));
        assert!(max_cycles <= u128::from(u32::MAX));
        // 11 % of steering, a second of the kernel's base and one of an offset.
        let steered = u128::from(mult) * 111 / 100;
        let largest = max_cycles * steered + (2_000_000_000 << shift);
        assert!(largest < 1 << 64, "mult {mult}, shift {shift}");
        assert!(max_cycles > 1 << 30 || mult == u32::MAX, "{max_cycles} of mult {mult}");
    }
}

#[test]
fn a_snapshot_is_the_time_at_its_counter_value() {
    let vvar = FakeVvar::new();
    let page = vvar.recognise().unwrap();
    let last = vvar.cycle_last();
    vvar.set_double(base(1) + 8, (999_999_999 << SHIFT) | 5);
    let snapshot = page.snapshot(|| last + 10).unwrap();
    assert_eq!((snapshot.cycles, snapshot.mult, snapshot.shift), (last + 10, MULT, SHIFT));
    assert_eq!((snapshot.sec[0], snapshot.shifted_ns[0]), (3600, 5 << SHIFT));
    assert_eq!(snapshot.sec[1], 7200, "the carry is left to whoever asks");
    assert_eq!(snapshot.shifted_ns[1], ((999_999_999 + 5) << SHIFT) | 5);
    // The counter was read just before the kernel's update.
    let before = page.snapshot(|| last - 1000).unwrap();
    assert_eq!((before.cycles, before.shifted_ns[0]), (last, 0));
    vvar.set_mode(CLOCK_MODE_NONE);
    assert!(page.snapshot(|| last).is_none(), "the kernel has given up the counter");
    vvar.set_mode(CLOCK_MODE_TIMENS);
    vvar.set(LINUX_6_15.seq, 1);
    assert!(page.snapshot(|| last).is_none(), "the process has entered a time namespace");
}

#[test]
fn a_sample_has_all_clocks_at_one_counter_value() {
    let vvar = FakeVvar::new();
    let start = vvar.cycle_last();
    let host = host_of(&vvar);
    let mut sampler = Sampler::new(&host);
    assert_eq!(sampler.slopes(), Slopes { steered: 1 << 63, raw: 1 << 63 });
    let sample = sampler.sample().unwrap();
    assert!(sample.cycles >= start);
    let expected = i128::from(sample.cycles - start) / 2;
    for id in clock::HIGH_RESOLUTION_IDS {
        // MONOTONIC_RAW is brought back from a later counter value, and so rounded.
        let apart = ns_later(sample.fixed[id as usize], id) - expected;
        assert!(apart == 0 || id == clock::MONOTONIC_RAW && apart.abs() == 1, "{id}: {apart}");
    }
}

fn host_of(vvar: &FakeVvar) -> Host {
    Host { page: vvar.recognise(), ..Host::without_vdso() }
}

/// The line of `id` that is published.
fn published(page: &OwnPage, id: u32) -> Line {
    let copy = latch::read(&page.header.seq, || (), |(), copy| copy);
    Line::from_view(&page.line(copy, id).load_counter_view())
}

#[test]
fn a_timekeeper_publishes_what_the_page_says() {
    let vvar = FakeVvar::new();
    let start = vvar.cycle_last();
    let own = OwnPage::new();
    let host = host_of(&vvar);
    let mut keeper = Timekeeper::new(&own, host.sampler(), [Transform::IDENTITY; clock::LINES]);
    for update in 1..5 {
        keeper.update();
        assert_eq!(own.header.seq.load(Ordering::Relaxed), update);
        for id in [clock::REALTIME, clock::MONOTONIC, clock::BOOTTIME, clock::TAI] {
            let line = published(&own, id);
            // To what the rules of steering add: less than a nanosecond, and a millionth.
            assert!(line.slope.abs_diff(1 << 63) < (1 << 63) / 1_000_000, "clock {id}");
            let expected = i128::from(line.cycles - start) / 2;
            assert!((0..=1).contains(&(ns_later(line.start, id) - expected)), "clock {id}");
        }
    }
    assert_eq!(keeper.report().updates, 4);
    assert!(keeper.report().worst_deviation_ns() < 0.01);
    // Somebody sets the clock back by an hour.
    vvar.set_double(base(clock::REALTIME), 0);
    vvar.set_double(base(clock::TAI), 37);
    keeper.update();
    let (realtime, tai) = (published(&own, clock::REALTIME), published(&own, clock::TAI));
    assert_eq!(realtime.start >> 32, i128::from(realtime.cycles - start) / 2);
    assert_eq!(tai.start - realtime.start, 37_000_000_000 << 32);
}

/// However slow the counter is: a line may be used until the next update and half a second, and no longer.
#[test]
fn a_line_of_a_slow_counter_lives_no_longer() {
    for ns_a_cycle in [1, 16, 41] {
        let vvar = FakeVvar::new();
        for clock in [LINUX_6_15.hres, LINUX_6_15.raw] {
            vvar.set(clock + LINUX_6_15.mult, ns_a_cycle << SHIFT);
        }
        let own = OwnPage::new();
        let host = host_of(&vvar);
        let wait =
            Timekeeper::new(&own, host.sampler(), [Transform::IDENTITY; clock::LINES]).update();
        let copy = latch::read(&own.header.seq, || (), |(), copy| copy);
        let stale_cycles = own.line(copy, clock::MONOTONIC).load_counter_view().stale_cycles;
        let life_ns = u128::from(stale_cycles) * u128::from(ns_a_cycle);
        let grace_ns = life_ns - wait.as_nanos();
        assert!((511_000_000..=512_000_000).contains(&grace_ns), "{ns_a_cycle} ns: {grace_ns}");
    }
}

/// The kernel gives up the counter: the readers look at its mode themselves and ask the kernel from
/// then on. What they had from the line before may have been ahead of that.
#[test]
fn a_timekeeper_without_a_counter_keeps_what_was_reached() {
    let vvar = FakeVvar::new();
    let own = OwnPage::new();
    let host = host_of(&vvar);
    let ahead = Transform { offset: Timespec { sec: 1, nsec: 0 }, ..Transform::IDENTITY };
    // A page of one that ran a second ahead, which this one waits out.
    Timekeeper::new(&own, host.sampler(), [ahead; clock::LINES]).update();
    let mut keeper = Timekeeper::new(&own, host.sampler(), [Transform::IDENTITY; clock::LINES]);
    keeper.update();
    let reached = published(&own, clock::MONOTONIC);
    let reached = reached.at(counter::read());
    vvar.set_mode(CLOCK_MODE_NONE);
    keeper.update();
    let copy = latch::read(&own.header.seq, || (), |(), copy| copy);
    let view = own.line(copy, clock::MONOTONIC).load_counter_view();
    // The image answers with the kernel's time, but not with less than the line's end, if it has one.
    let end = Line::from_view(&view).at(view.cycle_last.wrapping_add(view.stale_cycles));
    assert!(view.stale_cycles != 0 && end >= reached, "MONOTONIC goes back by a second: {view:?}");
}

/// What this process says of itself, against what its kernel told it.
#[test]
fn this_process_is_found_out() {
    let host = Host::find().unwrap();
    // SAFETY: reads the auxiliary vector.
    let vdso_addr = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
    assert_eq!(host.vdso_addr, vdso_addr);
    if vdso_addr == 0 {
        return test_support::skip(
            test_support::Lacking::Kernel,
            "vdso",
            "this kernel gives no vDSO",
        );
    }
    assert!(host.image.starts_with(b"\x7fELF"));
    let function = host.function("__vdso_clock_gettime").expect("every kernel's vDSO has it");
    assert!((function as usize) < host.image.len());
    assert_eq!(host.function("no_such_function"), None);
    let forwarded = ["__vdso_clock_gettime", "no_such_function"];
    let template = host.template(&forwarded);
    assert_eq!(template.clock_gettime, Some(function));
    assert_eq!(template.forwarded, [Some(function), None, None, None]);
    assert_eq!(template.hres.is_some(), host.page.is_ok());
    assert_eq!(template.raw.is_some(), host.page.is_ok());
    match &host.page {
        Ok(page) => assert_eq!(page.mode(), CLOCK_MODE_COUNTER),
        Err(error) => {
            let reason = format!("the kernel's page is not read: {error}");
            test_support::skip(test_support::Lacking::Kernel, "kernel-page", &reason);
        }
    }
}

/// Its fields are public.
#[test]
fn a_layout_that_cannot_be_is_told_as_any_other() {
    let layout = Layout { hres: usize::MAX, raw: 0, seq: 0, cycle_last: 0, mult: 0, basetime: 0 };
    assert!(PageError::UnknownLayout { layout }.to_string().contains("clocks of 0x1 bytes"));
}

/// Where the kernel's page may not be read, the counter is measured, and where it may it tells what that must
/// give.
#[test]
fn a_calibrated_counter_is_as_fast_as_the_kernels() {
    let host = Host::find().unwrap();
    let Ok(page) = &host.page else {
        return test_support::skip(
            test_support::Lacking::Kernel,
            "calibrated-counter",
            "the kernel's page is not read",
        );
    };
    let kernels_hz = (10u128.pow(9) << 64) / Sampler::Page(*page).slopes().raw;
    // However busy the machine is: then it is the more uncertain.
    match calibrate(counter::read, &mut RawClock, CALIBRATION) {
        Ok(calibrated) | Err(Error::Imprecise(calibrated)) => {
            let range = calibrated.hz_range();
            assert!(range.contains(&(kernels_hz as u64)), "{kernels_hz} is not in {range:?}");
        }
        Err(error) => panic!("{error}"),
    }
    let blind = Host { page: Err(PageError::NoVvar), ..Host::without_vdso() };
    let slopes = blind.sampler().slopes();
    assert_eq!(slopes.steered, slopes.raw);
}
