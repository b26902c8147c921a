//! The pages: what a program of another language or another version may rely on, and that values
//! come out of a line as they went in.
#![cfg(not(loom))]

use std::mem::{align_of, offset_of, size_of};

use proptest::prelude::*;
use vdso_data::arithmetic::{Mult, NSEC_PER_SEC, Nanos, Rate, Timespec, Transform};
use vdso_data::gettimeofday::Timezone;
use vdso_data::own::{self, CounterView, Halves, Header, Line, NOT_ONLY_OFFSET, OwnPage};
use vdso_data::process::{
    self, ClockTemplate, Functions, KernelClock, ProcessPage, RandomData, SystemCalls, Template,
};
use vdso_data::sync::Ordering::Relaxed;
use vdso_data::{PAGE_BYTES, clock, latch, linux};

fn config() -> ProptestConfig {
    let cases = if cfg!(miri) { 16 } else { 2048 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn timespec() -> impl Strategy<Value = Timespec> {
    (any::<i64>(), 0..NSEC_PER_SEC as i64).prop_map(|(sec, nsec)| Timespec { sec, nsec })
}

fn rate() -> impl Strategy<Value = Rate> {
    let any_rate =
        (any::<u64>(), any::<u64>()).prop_map(|(whole, fraction)| Rate { whole, fraction });
    let near_one = prop_oneof![
        Just(Rate::ONE),
        Just(Rate::ZERO),
        Just(Rate { whole: 1, fraction: 1 }),
        Just(Rate { whole: 0, fraction: u64::MAX }),
        Just(Rate { whole: 2, fraction: 0 }),
    ];
    prop_oneof![any_rate, near_one]
}

fn transform() -> impl Strategy<Value = Transform> {
    (timespec(), timespec(), rate()).prop_map(|(offset, base, rate)| Transform {
        offset,
        base,
        rate,
    })
}

fn counter_view() -> impl Strategy<Value = CounterView> {
    (any::<[u64; 6]>(), any::<i64>()).prop_map(|(words, sec)| CounterView {
        cycle_last: words[0],
        stale_cycles: words[1],
        mult: Mult { whole: words[2], fraction: words[3] },
        sec,
        nanos: Nanos { ns: words[4], fraction: words[5] },
    })
}

fn halves(cycles: u64) -> Halves {
    Halves { low: cycles as u32, high: (cycles >> 32) as u32 }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_counter_view_comes_out_as_it_went_in(first in counter_view(), second in counter_view()) {
        let line = Line::new();
        for view in [first, second] {
            line.store_counter_view(&view);
            prop_assert_eq!(line.load_counter_view(), view);
            prop_assert_eq!(line.load_cycle_last().joined(), view.cycle_last);
            prop_assert_eq!(line.load_mult(), view.mult);
            prop_assert_eq!(line.load_nanos(), view.nanos);
        }
        prop_assert_eq!(line.load_transform(), Transform::IDENTITY);
    }

    #[test]
    fn a_transform_comes_out_as_it_went_in(first in transform(), second in transform()) {
        let line = Line::new();
        for transform in [first, second] {
            line.store_transform(&transform);
            prop_assert_eq!(line.load_transform(), transform);
        }
        prop_assert_eq!(line.load_counter_view(), CounterView::UNUSABLE);
    }

    #[test]
    fn an_offset_says_whether_it_is_all(transform in transform()) {
        let line = Line::new();
        line.store_transform(&transform);
        let offset = line.load_offset();
        prop_assert_eq!(offset.is_all(), transform.rate == Rate::ONE);
        prop_assert_eq!(offset.is_all(), transform.is_offset_only());
        prop_assert_eq!(offset.sec as i64, transform.offset.sec);
        prop_assert_eq!((offset.nsec & !NOT_ONLY_OFFSET) as i64, transform.offset.nsec);
        if offset.is_all() {
            let host = Timespec { sec: 1, nsec: 999_999_999 };
            let added = Timespec::carried(
                (host.sec as u64).wrapping_add(offset.sec),
                host.nsec as u64 + offset.nsec,
            );
            prop_assert_eq!(added, transform.apply(host));
        }
    }

    #[test]
    fn a_difference_by_halves_is_that_of_the_whole(
        now in any::<u64>(),
        back in prop_oneof![
            any::<u64>(),
            0..1u64 << 34,
            (-3i64..=3).prop_map(|by| (1u64 << 32).wrapping_add_signed(by)),
            (-3i64..=3).prop_map(|by| 0u64.wrapping_add_signed(by)),
        ],
    ) {
        let start = now.wrapping_sub(back);
        let (low, beyond) = halves(now).since(halves(start));
        prop_assert_eq!(low, back & u64::from(u32::MAX));
        prop_assert_eq!(u64::from(beyond), back >> 32);
        prop_assert_eq!(beyond == 0, back < 1 << 32);
        prop_assert_eq!(halves(now).joined(), now);
    }

    #[test]
    fn a_set_of_clocks_answers_for_any_id(id in any::<u32>(), near in 0u32..70) {
        for id in [id, near] {
            let fine = clock::HIGH_RESOLUTION_IDS.contains(&id);
            prop_assert_eq!(clock::is_in(id, clock::HIGH_RESOLUTION), fine);
            let coarse = id == clock::REALTIME_COARSE || id == clock::MONOTONIC_COARSE;
            prop_assert_eq!(clock::is_in(id, clock::COARSE), coarse);
            let settable = id == clock::REALTIME || id == clock::TAI;
            prop_assert_eq!(clock::is_in(id, clock::SETTABLE), settable);
        }
    }
}

/// Byte offsets of our page, as in `docs/DATAPAGE.md`. A reader of version 1 has them built in.
#[test]
fn our_page_has_version_1s_layout() {
    assert_eq!(own::VERSION, 1, "another version needs other offsets here");
    assert_eq!(size_of::<OwnPage>(), 4096);
    assert_eq!(PAGE_BYTES, 4096);
    assert_eq!(offset_of!(OwnPage, header), 0);
    let header = [
        (offset_of!(Header, magic), 0),
        (offset_of!(Header, version), 8),
        (offset_of!(Header, size_bytes), 12),
        (offset_of!(Header, seq), 16),
        (offset_of!(Header, hrtimer_res_ns), 20),
        (offset_of!(Header, coarse_res_ns), 24),
        (offset_of!(Header, reserved), 28),
        (offset_of!(Header, seconds_offset), 0x40),
        (offset_of!(Header, random_generation), 0xa0),
        (offset_of!(Header, time_zone), 0xa8),
        (offset_of!(Header, reserved_too), 0xb0),
    ];
    let line = [
        (offset_of!(Line, cycle_last_low), 0),
        (offset_of!(Line, cycle_last_high), 4),
        (offset_of!(Line, stale_cycles), 8),
        (offset_of!(Line, mult_whole), 16),
        (offset_of!(Line, mult_fraction), 24),
        (offset_of!(Line, sec), 32),
        (offset_of!(Line, nsec), 40),
        (offset_of!(Line, fraction), 48),
        (offset_of!(Line, offset_sec), 56),
        (offset_of!(Line, offset_nsec), 64),
        (offset_of!(Line, rate_whole), 72),
        (offset_of!(Line, rate_fraction), 80),
        (offset_of!(Line, base_sec), 88),
        (offset_of!(Line, base_nsec), 96),
        (offset_of!(Line, reserved), 104),
    ];
    for (at, documented) in header.into_iter().chain(line) {
        assert_eq!(at, documented);
    }
    assert_eq!((size_of::<Header>(), size_of::<Line>()), (512, 128));
}

/// The first copy's line n at 512 + 128 n, the second's 2048 bytes on.
#[test]
fn the_lines_of_both_copies_stand_where_they_should() {
    let page = OwnPage::new();
    let within = |line: &Line| std::ptr::from_ref(line).addr() - std::ptr::from_ref(&page).addr();
    for copy in 0..latch::COPIES {
        for id in 0..clock::LINES {
            let documented = 512 + 2048 * copy + 128 * id;
            assert_eq!(within(&page.copy(copy)[id]), documented, "copy {copy}, clock {id}");
            assert_eq!(within(page.line(copy, id as u32)), documented, "copy {copy}, clock {id}");
        }
        for id in [clock::LINES as u32, 31, 32, u32::MAX] {
            assert_eq!(within(page.line(copy, id)), 512 + 2048 * copy, "no line of {id}");
        }
    }
}

#[test]
fn our_page_describes_itself() {
    let page = OwnPage::new();
    assert!(page.is_readable());
    assert_eq!(page.header.magic.load(Relaxed).to_be_bytes(), *b"vdsopage");
    assert_eq!(page.header.size_bytes.load(Relaxed), 4096);
    page.header.version.store(own::VERSION + 1, Relaxed);
    assert!(!page.is_readable(), "a page of the next version");
    page.header.version.store(own::VERSION, Relaxed);
    page.header.magic.store(process::MAGIC, Relaxed);
    assert!(!page.is_readable(), "another kind of page");
}

/// A new page is right for every clock without any publisher: the host's time, by the kernel.
#[test]
fn a_new_page_leads_to_the_host() {
    let page = OwnPage::new();
    for copy in 0..latch::COPIES {
        for line in page.copy(copy) {
            assert_eq!(line.load_transform(), Transform::IDENTITY);
            assert_eq!(line.load_counter_view(), CounterView::UNUSABLE);
            assert!(line.load_offset().is_all());
        }
    }
    assert_eq!(page.header.hrtimer_res_ns.load(Relaxed), 0);
}

/// Ready, and never of generation zero, which is that of memory that was wiped.
#[test]
fn a_new_page_has_a_generation_of_keys() {
    let page = OwnPage::new();
    assert_eq!(page.header.random_generation.load(Relaxed), 1);
    page.renew_keys();
    assert_eq!(page.header.random_generation.load(Relaxed), 2);
    let process = process::ProcessPage::new();
    assert_eq!(process.always_ready.generation.load(Relaxed), 0);
    assert_eq!(process.always_ready.is_ready.load(Relaxed), 1);
}

#[test]
fn seconds_are_added_where_that_is_all() {
    let page = OwnPage::new();
    let half = Timespec { sec: 5, nsec: 500_000_000 };
    let transforms = std::array::from_fn(|id| match id {
        0 => Transform { offset: Timespec { sec: -7, nsec: 0 }, ..Transform::IDENTITY },
        1 => Transform { offset: half, ..Transform::IDENTITY },
        2 => Transform { rate: Rate::ZERO, ..Transform::IDENTITY },
        _ => Transform::IDENTITY,
    });
    page.store_seconds_offsets(&transforms);
    // Also a clock's first second, and one that the host has not reached.
    for sec in [-1, 0, 1, 1 << 40] {
        assert_eq!(page.moved_by_seconds(0, sec), Some(sec - 7));
        assert_eq!(page.moved_by_seconds(1, sec), None, "at {sec}");
        assert_eq!(page.moved_by_seconds(2, sec), None, "at {sec}");
        assert_eq!(page.moved_by_seconds(3, sec), Some(sec));
    }
}

/// As a kernel may have it, and none.
#[test]
fn a_time_zone_comes_out_as_it_went_in() {
    let page = OwnPage::new();
    assert_eq!(page.time_zone(), None, "a new page has none");
    for minutes_west in [0, -1, 1, -840, 900, (1 << 30) - 1, -(1 << 30)] {
        for dst_time in [0, 1, -1, i32::MIN, i32::MAX] {
            let zone = Some(Timezone { minutes_west, dst_time });
            page.store_time_zone(zone);
            assert_eq!(page.time_zone(), zone);
            page.store_time_zone(None);
            assert_eq!(page.time_zone(), None);
        }
    }
}

/// All of it, or nothing.
#[test]
fn an_update_is_seen_when_it_is_committed() {
    let page = OwnPage::new();
    let view = |sec| CounterView { sec, ..CounterView::UNUSABLE };
    let transform = |sec| Transform { offset: Timespec { sec, nsec: 0 }, ..Transform::IDENTITY };
    let write = |sec| {
        let update = page.begin();
        for line in update.lines() {
            line.store_counter_view(&view(sec));
            line.store_transform(&transform(sec));
        }
        update
    };
    let seen = || {
        let both = |line: &Line| (line.load_counter_view(), line.load_transform());
        (page.read(|| (), |(), lines| lines.each_ref().map(both)), page.moved_by_seconds(0, 0))
    };
    let update_of = |sec| ([(view(sec), transform(sec)); clock::LINES], Some(sec));
    for sec in 1..6 {
        write(sec).commit();
        assert_eq!(seen(), update_of(sec));
        let dropped = write(-sec);
        assert_eq!(dropped.published()[0].load_counter_view(), view(sec));
        drop(dropped);
        assert_eq!(seen(), update_of(sec), "an update that was dropped");
    }
    assert_eq!(page.header.seq.load(Relaxed), 5);
}

/// Every field that is written about stands where it is said to.
#[test]
#[cfg(not(miri))]
fn the_document_has_the_layout() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/DATAPAGE.md");
    let document = std::fs::read_to_string(path).expect("the repository has docs/DATAPAGE.md");
    let own_page = part(&document, "## The own page", "A line has two views");
    let line = part(&document, "A line has two views", "**The counter view**");
    let process_page = part(&document, "## The process page", "## The kernel's page");
    macro_rules! documented {
        ($text:ident, $type:ident: $($field:ident)*) => {
            $(assert_eq!(offset_in($text, stringify!($field)), offset_of!($type, $field));)*
        };
    }
    documented!(own_page, Header: magic version size_bytes seq hrtimer_res_ns coarse_res_ns);
    documented!(own_page, Header: seconds_offset random_generation time_zone);
    documented!(line, Line: cycle_last_low cycle_last_high stale_cycles mult_whole mult_fraction);
    documented!(line, Line: sec nsec fraction offset_sec offset_nsec rate_whole rate_fraction);
    documented!(line, Line: base_sec base_nsec);
    documented!(process_page, ProcessPage: magic version flags clock_mode_addr counter_mode);
    documented!(process_page, ProcessPage: never_even_seq never_even_mode hres raw functions);
    documented!(process_page, ProcessPage: steering random_data_addr always_ready);
    documented!(process_page, ProcessPage: counts_table_addr counts_addr);
    let functions = offset_of!(ProcessPage, functions);
    let forwarded = functions + offset_of!(Functions, forwarded);
    assert_eq!(offset_in(process_page, "forwarded"), forwarded);
}

fn part<'a>(document: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = document.split_once(start).unwrap_or_else(|| panic!("no {start:?}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end:?} after {start:?}")).0
}

/// From a row like ``| 0x008 | u32 | `version` | ...``.
fn offset_in(table: &str, field: &str) -> usize {
    let field = format!("`{field}`");
    let mut rows = table.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let row = rows.find(|cells| cells.get(3) == Some(&field.as_str()));
    let row = row.unwrap_or_else(|| panic!("no row about {field}"));
    let offset = row[1].strip_prefix("0x").and_then(|hex| usize::from_str_radix(hex, 16).ok());
    offset.unwrap_or_else(|| panic!("no offset of {field}: {}", row[1]))
}

/// No counter that counts from zero gets near an unusable line in the fast path's reach.
#[test]
fn an_unusable_line_is_beyond_the_fast_path() {
    let start = halves(CounterView::UNUSABLE.cycle_last);
    // Two centuries at 1 GHz.
    for cycles in [0, 1, u64::from(u32::MAX), 1 << 40, 200 * 365 * 86_400 * NSEC_PER_SEC] {
        let (_, beyond) = halves(cycles).since(start);
        assert_ne!(beyond, 0, "counter at {cycles}");
    }
    assert_eq!(CounterView::UNUSABLE.stale_cycles, 0);
}

/// Byte offsets of the process page: injection writes it by these from outside.
#[test]
fn the_process_page_has_version_1s_layout() {
    assert_eq!(process::VERSION, 1, "another version needs other offsets here");
    let page = [
        (offset_of!(ProcessPage, magic), 0),
        (offset_of!(ProcessPage, version), 8),
        (offset_of!(ProcessPage, flags), 12),
        (offset_of!(ProcessPage, clock_mode_addr), 16),
        (offset_of!(ProcessPage, counter_mode), 24),
        (offset_of!(ProcessPage, never_even_seq), 28),
        (offset_of!(ProcessPage, never_even_mode), 32),
        (offset_of!(ProcessPage, call_mark), 36),
        (offset_of!(ProcessPage, hres), 40),
        (offset_of!(ProcessPage, raw), 80),
        (offset_of!(ProcessPage, functions), 120),
        (offset_of!(ProcessPage, steering), 0xb0),
        (offset_of!(ProcessPage, random_data_addr), 0xc0),
        (offset_of!(ProcessPage, always_ready), 0xc8),
        (offset_of!(ProcessPage, counts_table_addr), 0xd8),
        (offset_of!(ProcessPage, counts_addr), 0xe0),
    ];
    let clock = [
        (offset_of!(KernelClock, seq_addr), 0),
        (offset_of!(KernelClock, cycle_last_addr), 8),
        (offset_of!(KernelClock, mult_addr), 16),
        (offset_of!(KernelClock, basetime_addr), 24),
        (offset_of!(KernelClock, max_cycles), 32),
    ];
    let functions = [
        (offset_of!(Functions, clock_gettime), 0),
        (offset_of!(Functions, gettimeofday), 8),
        (offset_of!(Functions, getcpu), 16),
        (offset_of!(Functions, forwarded), 24),
    ];
    for (at, documented) in page.into_iter().chain(clock).chain(functions) {
        assert_eq!(at, documented);
    }
    assert_eq!(process::COUNTER_MODE, 24);
    assert_eq!(process::NEVER_EVEN_SEQ, 28);
    assert_eq!(process::CLOCK_MODE_ADDR, 16);
    assert_eq!(process::ALWAYS_READY, 0xc8);
    // As in the kernel's structure.
    assert_eq!(offset_of!(RandomData, generation), 0);
    assert_eq!(offset_of!(RandomData, is_ready), 8);
    assert_eq!(process::HRES_SEQ_ADDR, 40);
    assert!(size_of::<ProcessPage>() <= PAGE_BYTES);
    // Padding is not initialised, and injection reads every byte.
    assert_eq!(offset_of!(RandomData, unused) + 7, size_of::<RandomData>());
    let behind = process::ALWAYS_READY + size_of::<RandomData>();
    assert_eq!(behind, offset_of!(ProcessPage, counts_table_addr));
    assert_eq!(offset_of!(ProcessPage, unused) + 3 * 8, size_of::<ProcessPage>());
    assert_eq!(align_of::<ProcessPage>(), 64);
    // A reader that finds the odd number looks for the mode right behind it.
    assert_eq!(offset_of!(ProcessPage, never_even_mode), process::NEVER_EVEN_SEQ + 4);
}

fn clock_template(seq: i64) -> ClockTemplate {
    ClockTemplate { seq, cycle_last: seq + 8, mult: seq + 32, basetime: seq + 40, max_cycles: 77 }
}

fn template() -> Template {
    Template {
        flags: process::FLAG_RDPID,
        hres: Some(clock_template(-0x6000)),
        raw: Some(clock_template(-0x6000 + 0xe8)),
        clock_gettime: Some(0x100),
        gettimeofday: None,
        getcpu: Some(0x300),
        forwarded: [Some(0x400), None, None, Some(0x700)],
        random_data: Some(-0x4000),
        call_mark: 0x5eed_0001,
    }
}

#[test]
fn a_process_page_has_the_addresses_of_its_process() {
    let vdso_addr = 0x7fff_0000_0000;
    let page = template().page_for(vdso_addr);
    let vvar = vdso_addr - 0x6000;
    assert!(page.flags.load(Relaxed) & process::FLAG_RDPID != 0);
    assert_eq!(page.call_mark.load(Relaxed), 0x5eed_0001);
    assert_eq!(page.clock_mode_addr.load(Relaxed), vvar + 4);
    for (clock, at) in [(&page.hres, vvar), (&page.raw, vvar + 0xe8)] {
        assert_eq!(clock.seq_addr.load(Relaxed), at);
        assert_eq!(clock.cycle_last_addr.load(Relaxed), at + 8);
        assert_eq!(clock.mult_addr.load(Relaxed), at + 32);
        assert_eq!(clock.basetime_addr.load(Relaxed), at + 40);
        assert_eq!(clock.max_cycles.load(Relaxed), 77);
    }
    assert_eq!(page.functions.clock_gettime.load(Relaxed), vdso_addr + 0x100);
    assert_eq!(page.functions.gettimeofday.load(Relaxed), 0);
    assert_eq!(page.functions.getcpu.load(Relaxed), vdso_addr + 0x300);
    let forwarded = page.functions.forwarded.each_ref().map(|slot| slot.load(Relaxed));
    assert_eq!(forwarded, [vdso_addr + 0x400, 0, 0, vdso_addr + 0x700]);
    assert_eq!(page.random_data_addr.load(Relaxed), vdso_addr - 0x4000);
}

#[test]
fn addresses_of_a_process_page_wrap() {
    let template = Template { clock_gettime: Some(u64::MAX), ..template() };
    let page = template.page_for(0x6001);
    assert_eq!(page.clock_mode_addr.load(Relaxed), 5);
    assert_eq!(page.functions.clock_gettime.load(Relaxed), 0x6000);
    let page = template.page_for(0x5fff);
    assert_eq!(page.clock_mode_addr.load(Relaxed), 3);
}

/// Where the kernel's page is unknown, or half of it, the page names itself.
#[test]
fn a_process_page_names_itself_where_nothing_is_known() {
    let page_addr = 0x7fff_1000_0000;
    let (mode, odd) = (process::COUNTER_MODE as u64, process::NEVER_EVEN_SEQ as u64);
    let page = ProcessPage::at(page_addr);
    assert_eq!(page.clock_mode_addr.load(Relaxed), page_addr + mode);
    for clock in [&page.hres, &page.raw] {
        assert_eq!(clock.seq_addr.load(Relaxed), page_addr + odd);
    }
    let vdso_addr = 0x7fff_0000_0000;
    let page = Template { raw: None, ..template() }.page_for(vdso_addr);
    page.place_at(page_addr);
    assert_eq!(page.clock_mode_addr.load(Relaxed), vdso_addr - 0x6000 + 4);
    assert_eq!(page.hres.seq_addr.load(Relaxed), vdso_addr - 0x6000);
    assert_eq!(page.raw.seq_addr.load(Relaxed), page_addr + odd);
}

/// Where no Linux is below, keys of random bytes are the page's own matter, too.
#[test]
fn a_process_page_without_linux_says_so() {
    let page_addr = 0x7fff_1000_0000;
    let always_ready_addr = page_addr + process::ALWAYS_READY as u64;
    for (system_calls, flags) in [
        (SystemCalls::Answered, process::FLAG_NO_LINUX),
        (SystemCalls::Unanswered, process::FLAG_NO_LINUX | process::FLAG_NO_SYSTEM_CALLS),
    ] {
        let page = ProcessPage::without_linux(page_addr, system_calls);
        assert_eq!(page.flags.load(Relaxed), flags);
        assert_eq!(page.random_data_addr.load(Relaxed), always_ready_addr);
        assert_eq!(page.clock_mode_addr.load(Relaxed), page_addr + process::COUNTER_MODE as u64);
    }
    assert_eq!(ProcessPage::at(page_addr).random_data_addr.load(Relaxed), 0);
}

/// Each is a bit of its own.
#[test]
fn flags_differ() {
    use process::*;
    let x86_64 = [FLAG_RDPID, FLAG_AVX2, FLAG_NO_LINUX, FLAG_NO_SYSTEM_CALLS, FLAG_RDRAND];
    let others = [FLAG_CNTVCTSS, FLAG_CPU_IN_TOD];
    let all = x86_64.into_iter().chain(others).fold(0, |all, flag| {
        assert!(flag.is_power_of_two() && all & flag == 0);
        all | flag
    });
    assert_eq!(all, 0x7f);
}

/// Zero says "none" in every place; where a reader would follow it, injection must put its own.
#[test]
fn a_process_without_a_kernel_vdso_gets_no_addresses() {
    let page = template().page_for(0);
    assert!(
        page.flags.load(Relaxed) & process::FLAG_RDPID != 0,
        "this is the CPU's, not the vDSO's"
    );
    let functions = &page.functions;
    let addresses =
        [&page.clock_mode_addr, &page.hres.seq_addr, &page.raw.seq_addr, &page.random_data_addr];
    let entries = [&functions.clock_gettime, &functions.gettimeofday, &functions.getcpu];
    for word in addresses.into_iter().chain(entries).chain(&functions.forwarded) {
        assert_eq!(word.load(Relaxed), 0);
    }
    assert_eq!(page.counter_mode.load(Relaxed), linux::CLOCK_MODE_COUNTER);
    assert_eq!(page.never_even_seq.load(Relaxed) % 2, 1);
    assert_eq!(page.never_even_mode.load(Relaxed), linux::CLOCK_MODE_TIMENS);
}

#[test]
fn the_recognised_layouts_differ_from_each_other() {
    for (index, (name, layout)) in linux::LAYOUTS.iter().enumerate() {
        for (other_name, other) in &linux::LAYOUTS[..index] {
            assert_ne!(layout, other, "{name} and {other_name}");
        }
        // A page's clocks do not overlap.
        let clock_bytes = layout.basetime + clock::LINES * linux::BASETIME_BYTES;
        assert!(layout.hres + clock_bytes <= layout.raw, "{name}");
        assert!(layout.raw + clock_bytes <= PAGE_BYTES, "{name}");
    }
}
