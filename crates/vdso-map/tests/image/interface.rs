//! What the functions return and write, whatever they are given: as the system calls.

use std::ffi::c_int;
use std::ptr;

use vdso_data::process::{self, Template};

use super::support::*;
use vdso_image::Source;

/// Ids around all that a kernel has, and clocks that are made up as one goes: of processes, threads
/// and files.
fn ids() -> Vec<c_int> {
    let pid = std::process::id() as c_int;
    // `CPUCLOCK_SCHED`, per process and per thread, and `CLOCKFD`: include/uapi/linux/time.h.
    let process = |pid: c_int| (!pid << 3) | 2;
    let thread = |tid: c_int| (!tid << 3) | 6;
    let file = |fd: c_int| (!fd << 3) | 3;
    let dynamic = [
        process(0),
        process(pid),
        process(pid) | 1,
        process(c_int::MAX >> 3),
        thread(0),
        thread(pid),
        thread(1),
        file(0),
        file(1),
        file(9999),
    ];
    let extremes = [c_int::MIN, c_int::MIN + 1, c_int::MAX - 1, c_int::MAX, 1 << 16, -(1 << 16)];
    (-10..=64).chain(extremes).chain(dynamic).collect()
}

/// Each image as the launcher maps it, and as it is where less is known of the kernel.
fn variants(test: &str) -> Vec<(String, Mapped, Option<Publisher>)> {
    let transforms = offset_by(seconds(0));
    let name = |mapped: &Mapped| format!("{mapped}, as launched");
    let mut variants: Vec<_> = images(test, &transforms)
        .into_iter()
        .map(|(it, publisher)| (name(&it), it, publisher))
        .collect();
    let host = host();
    for source in [Source::Own, Source::Chain] {
        let unpublished = Mapped::new(source, &transforms);
        let without_page =
            Mapped::with(source, &transforms, &template(host, Source::Chain), host.vdso_addr);
        let nothing = Template::default();
        let alone = Mapped::with(source, &transforms, &nothing, 0);
        for (how, mapped) in [
            ("page not published", unpublished),
            ("kernel's page unknown", without_page),
            ("no kernel vDSO", alone),
        ] {
            variants.push((format!("{source:?}, {how}"), mapped, None));
        }
    }
    variants
}

/// Same return value for every id; where there is a time, it is between two of the system call's.
#[test]
fn clock_gettime_answers_as_the_system_call() {
    for (name, mapped, _publisher) in variants("clock_gettime_answers_as_the_system_call") {
        let functions = mapped.functions();
        for id in ids() {
            let (error_before, before) = syscall_clock_gettime(id);
            let mut ours = UNWRITTEN;
            // SAFETY: a clock_gettime, and `ours` is ours.
            let error = unsafe { (functions.clock_gettime)(id, &mut ours) };
            let (_, after) = syscall_clock_gettime(id);
            assert_eq!(error, error_before, "{name}, clock {id}");
            // A line of ours is within some nanoseconds of the kernel's; see `bracketing`.
            let steered =
                mapped.source == Source::Own && id >= 0 && PAGE_CLOCKS.contains(&(id as u32));
            let slack = if steered { 1_000_000 } else { 0 };
            let range = before.as_nanos() - slack..=after.as_nanos() + slack;
            let context = format!("{name}, clock {id}: {before:?} {ours:?} {after:?}");
            match error {
                0 => assert!(range.contains(&ours.as_nanos()), "{context}"),
                _ => assert_eq!(ours, UNWRITTEN, "{context}"),
            }
            assert!(error != 0 || (0..1_000_000_000).contains(&ours.nsec), "{context}");
        }
    }
}

/// An offset moves the clocks of a page and no other.
#[test]
fn other_clocks_are_not_moved() {
    for (mapped, _publisher) in images("other_clocks_are_not_moved", &offset_by(seconds(86_400))) {
        let functions = mapped.functions();
        for id in ids().into_iter().filter(|id| !PAGE_CLOCKS.contains(&(*id as u32))) {
            let (error, before) = syscall_clock_gettime(id);
            let mut ours = UNWRITTEN;
            // SAFETY: a clock_gettime, and `ours` is ours.
            let our_error = unsafe { (functions.clock_gettime)(id, &mut ours) };
            let (_, after) = syscall_clock_gettime(id);
            assert_eq!(our_error, error, "{mapped}, clock {id}");
            assert!(before <= ours && ours <= after, "{mapped}, clock {id}: {ours:?}");
        }
    }
}

fn syscall_clock_getres(id: c_int, res: *mut vdso_data::arithmetic::Timespec) -> c_int {
    // SAFETY: the kernel checks the pointer.
    answer(unsafe { libc::syscall(libc::SYS_clock_getres, id, res) })
}

#[test]
fn clock_getres_answers_as_the_system_call() {
    for (name, mapped, _publisher) in variants("clock_getres_answers_as_the_system_call") {
        let functions = mapped.functions();
        for id in ids() {
            let (mut theirs, mut ours) = (UNWRITTEN, UNWRITTEN);
            let error = syscall_clock_getres(id, &mut theirs);
            // SAFETY: a clock_getres, and `ours` is ours.
            let our_error = unsafe { (functions.clock_getres)(id, &mut ours) };
            assert_eq!(our_error, error, "{name}, clock {id}");
            assert_eq!(ours, theirs, "{name}, clock {id}");
            let error = syscall_clock_getres(id, ptr::null_mut());
            // SAFETY: a clock_getres, which takes null.
            let our_error = unsafe { (functions.clock_getres)(id, ptr::null_mut()) };
            assert_eq!(our_error, error, "{name}, clock {id} without a pointer");
        }
    }
}

/// A page that nobody has initialised, as another timekeeper may hand out.
#[test]
fn clock_getres_without_published_resolutions_asks() {
    for source in Source::ALL.into_iter().filter(|&source| is_usable("clock_getres", source)) {
        let mapped = Mapped::new(source, &offset_by(seconds(0)));
        let header = &mapped.page().header;
        header.hrtimer_res_ns.store(0, vdso_data::sync::Ordering::Relaxed);
        header.coarse_res_ns.store(0, vdso_data::sync::Ordering::Relaxed);
        for id in PAGE_CLOCKS {
            let (mut theirs, mut ours) = (UNWRITTEN, UNWRITTEN);
            syscall_clock_getres(id as c_int, &mut theirs);
            // SAFETY: a clock_getres, and `ours` is ours.
            unsafe { (mapped.functions().clock_getres)(id as c_int, &mut ours) };
            assert_eq!(ours, theirs, "{mapped}, clock {id}");
        }
    }
}

fn syscall_gettimeofday(tv: *mut Timeval, tz: *mut Timezone) -> c_int {
    // SAFETY: the kernel checks the pointers.
    answer(unsafe { libc::syscall(libc::SYS_gettimeofday, tv, tz) })
}

#[test]
fn gettimeofday_takes_any_pointer_for_null() {
    const NO_TIME: Timeval = Timeval { sec: -77, usec: -77 };
    const NO_ZONE: Timezone = Timezone { minutes_west: -77, dst_time: -77 };
    for (name, mapped, _publisher) in variants("gettimeofday_takes_any_pointer_for_null") {
        let gettimeofday = mapped.functions().gettimeofday;
        for (with_time, with_zone) in [(true, true), (true, false), (false, true), (false, false)] {
            let name = format!("{name}, time {with_time}, zone {with_zone}");
            let (mut before, mut after, mut zone) = (NO_TIME, NO_TIME, NO_ZONE);
            assert_eq!(syscall_gettimeofday(&mut before, &mut zone), 0);
            let (mut our_time, mut our_zone) = (NO_TIME, NO_ZONE);
            let tv = if with_time { &raw mut our_time } else { ptr::null_mut() };
            let tz = if with_zone { &raw mut our_zone } else { ptr::null_mut() };
            // SAFETY: a gettimeofday, and the pointers are null or ours.
            assert_eq!(unsafe { gettimeofday(tv, tz) }, 0, "{name}");
            assert_eq!(syscall_gettimeofday(&mut after, ptr::null_mut()), 0);
            // As above: a line of ours may be some nanoseconds off.
            let slack = if mapped.source == Source::Own { 1_000_000 } else { 0 };
            let range = before.as_nanos() - slack..=after.as_nanos() + slack;
            let is_right =
                range.contains(&our_time.as_nanos()) && (0..1_000_000).contains(&our_time.usec);
            assert!(if with_time { is_right } else { our_time == NO_TIME }, "{name}: {our_time:?}");
            assert_eq!(our_zone, if with_zone { zone } else { NO_ZONE }, "{name}");
        }
    }
}

/// Another than the kernel's, as only the page can say it, with and without a time.
#[test]
fn gettimeofday_says_the_pages_time_zone() {
    let zone = vdso_data::gettimeofday::Timezone { minutes_west: -345, dst_time: 7 };
    let variants = variants("gettimeofday_says_the_pages_time_zone");
    // The host's publisher would take it back.
    for (name, mapped, _) in variants.into_iter().filter(|(.., publisher)| publisher.is_none()) {
        mapped.page().store_time_zone(Some(zone));
        let gettimeofday = mapped.functions().gettimeofday;
        let mut ours = Timezone { minutes_west: 0, dst_time: 0 };
        let mut now = Timeval { sec: -77, usec: -77 };
        for tv in [ptr::null_mut(), &raw mut now] {
            // SAFETY: a gettimeofday, and the pointers are null or ours.
            assert_eq!(unsafe { gettimeofday(tv, &mut ours) }, 0, "{name}");
            assert_eq!((ours.minutes_west, ours.dst_time), (-345, 7), "{name}");
        }
        assert_ne!(now.usec, -77, "{name}");
    }
}

fn syscall_time() -> i64 {
    // SAFETY: takes null.
    unsafe { libc::syscall(libc::SYS_time, ptr::null_mut::<i64>()) }
}

#[test]
fn time_returns_what_it_writes() {
    for (name, mapped, _publisher) in variants("time_returns_what_it_writes") {
        let functions = mapped.functions();
        let before = syscall_time();
        let mut written = -77;
        // SAFETY: a time, and `written` is ours.
        let returned = unsafe { (functions.time)(&mut written) };
        let without_pointer = functions.seconds();
        let after = syscall_time();
        assert_eq!(returned, written, "{name}");
        assert!(
            before <= returned && returned <= without_pointer && without_pointer <= after,
            "{name}"
        );
    }
}

/// Seconds of a clock that is not moved by whole ones.
#[test]
fn time_is_the_whole_seconds_of_the_moved_clock() {
    use vdso_data::arithmetic::Timespec;
    for offset in
        [seconds(-5), Timespec { sec: 7, nsec: 999_999_999 }, Timespec { sec: -1, nsec: 1 }]
    {
        for (mapped, _publisher) in images("time_is_the_whole_seconds", &offset_by(offset)) {
            let functions = mapped.functions();
            let coarse = || kernels(vdso_data::clock::REALTIME_COARSE).wrapping_add(offset).sec;
            let (before, ours, after) = (coarse(), functions.seconds(), coarse());
            assert!(
                before <= ours && ours <= after,
                "{mapped}, {offset:?}: {before} {ours} {after}"
            );
        }
    }
}

fn syscall_getcpu() -> (u32, u32) {
    let (mut cpu, mut node) = (u32::MAX, u32::MAX);
    // SAFETY: writes to `cpu` and `node`, which are ours.
    let result = unsafe {
        libc::syscall(libc::SYS_getcpu, &raw mut cpu, &raw mut node, ptr::null_mut::<u8>())
    };
    assert_eq!(answer(result), 0);
    (cpu, node)
}

/// Lets this thread run on `cpu` alone; whether it may.
fn pin_to(cpu: usize) -> bool {
    // SAFETY: a set of bits, which may all be zero.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: sets a bit of ours; the callers stay below its size.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: reads the set.
    unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) == 0 }
}

#[test]
fn getcpu_says_where_it_runs() {
    let mut variants = variants("getcpu_says_where_it_runs");
    let host = host();
    // As on a CPU without RDPID.
    let mut template = template(host, Source::Chain);
    template.flags &= !process::FLAG_RDPID;
    let old_cpu = Mapped::with(Source::Chain, &offset_by(seconds(0)), &template, host.vdso_addr);
    variants.push(("Chain, without RDPID".to_owned(), old_cpu, None));
    let getcpus: Vec<(&str, Getcpu)> =
        variants.iter().map(|(name, mapped, _)| (&**name, mapped.functions().getcpu)).collect();
    // On a thread of its own, as it is moved about.
    let cpus = std::thread::scope(|scope| {
        scope.spawn(|| getcpu_on_every_cpu(&getcpus)).join().expect("the thread has said why")
    });
    assert!(cpus > 0);
}

/// Gives the number of CPUs.
fn getcpu_on_every_cpu(getcpus: &[(&str, Getcpu)]) -> usize {
    const NOTHING: u32 = 0xdead_beef;
    let cpus: Vec<usize> = (0..libc::CPU_SETSIZE as usize).filter(|&cpu| pin_to(cpu)).collect();
    for &cpu in &cpus {
        assert!(pin_to(cpu));
        let expected = syscall_getcpu();
        assert_eq!(expected.0 as usize, cpu);
        // SAFETY: takes nothing.
        assert_eq!(unsafe { libc::sched_getcpu() }, cpu as c_int);
        for (name, getcpu) in getcpus {
            for (with_cpu, with_node) in
                [(true, true), (true, false), (false, true), (false, false)]
            {
                let (mut our_cpu, mut our_node) = (NOTHING, NOTHING);
                let cpu = if with_cpu { &raw mut our_cpu } else { ptr::null_mut() };
                let node = if with_node { &raw mut our_node } else { ptr::null_mut() };
                // SAFETY: a getcpu, and the pointers are null or ours.
                assert_eq!(unsafe { getcpu(cpu, node, ptr::null_mut()) }, 0, "{name}");
                let wanted_cpu = if with_cpu { expected.0 } else { NOTHING };
                let wanted_node = if with_node { expected.1 } else { NOTHING };
                assert_eq!((our_cpu, our_node), (wanted_cpu, wanted_node), "{name}");
            }
        }
    }
    cpus.len()
}

/// The host image needs a page of the kernel's for MONOTONIC_RAW as for the others; where there is
/// none, it must ask, not crash.
#[test]
fn the_host_image_without_a_kernel_page_asks_the_kernel() {
    let mapped = Mapped::with(Source::Host, &offset_by(seconds(0)), &Template::default(), 0);
    let functions = mapped.functions();
    for id in PAGE_CLOCKS {
        let status = in_child(|| {
            let (before, ours, after) = (kernels(id), functions.read(id), kernels(id));
            assert!(before <= ours && ours <= after);
        });
        println!("clock {id}: {status:?}");
        assert_good(status);
    }
}
