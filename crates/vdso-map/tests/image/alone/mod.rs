//! An image of the `own` source where no Linux is below, and nobody answers system calls: in a process whose filter
//! ends it at the first one, every function answers every clock, as a model of the clocks says.
//!
//! What the calls say is left in memory that is shared with the test, which looks at it in peace.

mod calls;
mod model;

use std::arch::is_x86_feature_detected;
use std::ffi::{c_int, c_void};
use std::{mem, ptr};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use test_support::{Lacking, skip};
use vdso_data::arithmetic::{Rate, Timespec, Transform};
use vdso_data::own::{CounterView, OwnPage};
use vdso_data::process::{
    FLAG_AVX2, FLAG_NO_LINUX, FLAG_NO_SYSTEM_CALLS, FLAG_RDPID, FLAG_RDRAND, Template,
};
use vdso_data::{clock, latch};
use vdso_host::counter;
use vdso_image::Source;
use vdso_timekeeper::steering::{self, Line};
use vdso_timekeeper::{Reference, Timekeeper, initialise};

use self::calls::*;
use self::model::{Model, TICK_NS};
use crate::support::*;

const ALONE: u32 = FLAG_NO_LINUX | FLAG_NO_SYSTEM_CALLS;

/// An image with pages of the model's.
struct Alone {
    mapped: Mapped,
    model: Model,
    transforms: Transforms,
    getrandom: Getrandom,
}

/// What this processor has of what an image may use.
fn processor_flags() -> u32 {
    let all = host().template(&vdso_image::FORWARDED).flags & (FLAG_RDPID | FLAG_AVX2);
    if is_x86_feature_detected!("rdrand") { all | FLAG_RDRAND } else { all }
}

impl Alone {
    /// With the processor's flags and these.
    fn new(flags: u32, transforms: Transforms) -> Self {
        let template = Template { flags, ..Template::default() };
        let mapped = Mapped::with(Source::Own, &transforms, &template, 0);
        let model = Model::now();
        initialise(mapped.page(), model.resolutions(), &transforms);
        let address = mapped.image.function("__vdso_getrandom").expect("x86-64 has it");
        // SAFETY: the address of a function of this type, mapped as long as the image.
        let getrandom = unsafe { mem::transmute::<usize, Getrandom>(address) };
        Self { mapped, model, transforms, getrandom }
    }

    fn publish(&self) {
        let mut timekeeper = Timekeeper::new(self.mapped.page(), self.model, self.transforms);
        // An update that comes too late is none.
        while timekeeper.report().updates == 0 {
            timekeeper.update();
        }
    }

    /// The image's clock where the model's is `fixed`.
    fn moved(&self, id: u32, fixed: i128) -> i128 {
        steering::transformed(&self.transforms[id as usize], fixed) >> 32
    }

    /// All that any function says in a process that ends at the first system call.
    fn answers(&self, answers: &Shared<Answers>) -> WaitStatus {
        let (functions, getrandom) = (self.mapped.functions(), self.getrandom);
        let state = page_of_memory();
        let out = answers.as_ptr();
        // SAFETY: the child makes few system calls, allocates nothing, and ends without unwinding.
        match unsafe { fork() }.expect("a process can be forked") {
            ForkResult::Child => {
                let is_forbidden = forbid_system_calls();
                if is_forbidden {
                    // SAFETY: the child is alone with that memory until it has ended.
                    let out = unsafe { &mut *out };
                    // SAFETY: the image's functions, and a page that is the child's.
                    unsafe { ask_everything(functions, getrandom, state, out) };
                }
                // SAFETY: ends this process, by the one call that it may make.
                unsafe { libc::syscall(libc::SYS_exit_group, i32::from(!is_forbidden)) };
                unreachable!("it has ended")
            }
            ForkResult::Parent { child } => waitpid(child, None).expect("the child is ours"),
        }
    }
}

/// Whether a process without system calls may be had at all, and an image of the `own` source in it.
fn can_run(test: &str) -> bool {
    if !vdso_timekeeper::counter::is_usable() {
        skip(Lacking::Kernel, test, "this processor has no RDTSCP");
        return false;
    }
    true
}

impl Alone {
    /// Holds what was answered against the model.
    fn check(&self, answers: &Answers, what: &str) {
        for (id, answered) in PAGE_CLOCKS.into_iter().zip(&answers.times) {
            self.check_time(id, answered, what);
        }
        for (id, (answered, unwritten)) in PAGE_CLOCKS
            .into_iter()
            .zip(answers.resolutions.iter().zip(answers.no_resolution_written))
        {
            let nsec = if clock::is_in(id, clock::COARSE) { i64::from(TICK_NS) } else { 1 };
            let is_right = answered.time == Timespec { sec: 0, nsec };
            assert!(answered.result == 0 && is_right && unwritten == 0, "clock {id}: {answered:?}");
        }
        for (id, answered) in NO_CLOCKS
            .into_iter()
            .cycle()
            .zip(answers.no_times.iter().chain(&answers.no_resolutions))
        {
            let is_refused = answered.result == -i64::from(libc::EINVAL);
            assert!(is_refused && answered.time == UNWRITTEN, "clock {id}: {answered:?}");
        }
        self.check_days(answers, what);
    }

    fn check_time(&self, id: u32, answered: &Answered, what: &str) {
        let fine = clock::fine_twin(id);
        let [before, after] = [answered.before, answered.after]
            .map(|cycles| self.moved(fine, self.model.at(fine, cycles)));
        let now = answered.time.as_nanos();
        let tick_ns = if fine == id { 1 } else { i128::from(TICK_NS) };
        // Both are rounded down, at other places; a scaled one by whole nanoseconds of the model's.
        let rounding = if self.transforms[id as usize].is_offset_only() { 2 } else { 100 };
        let least = before - rounding - (tick_ns - 1);
        let is_right = (least..=after + rounding).contains(&now) && answered.result == 0;
        let is_on_tick = i128::from(answered.time.nsec) % tick_ns == 0;
        assert!(is_right && is_on_tick, "{what}, clock {id}: {answered:?}, {before} to {after}");
    }

    fn check_days(&self, answers: &Answers, what: &str) {
        let utc = Timezone::default();
        assert_eq!(answers.timeval_and_zone.1, utc);
        assert_eq!(answers.zone, (0, utc));
        assert_eq!(answers.nothing, 0);
        for answered in [answers.timeval, answers.timeval_and_zone.0] {
            // A microsecond has begun when the time is in it.
            let mut widened = answered;
            widened.before -= 100_000;
            self.check_time(clock::REALTIME, &widened, what);
        }
        let written = answers.seconds_written;
        assert_eq!(written.result, written.time.sec);
        for answered in [answers.seconds, written] {
            let [before, after] = [answered.before, answered.after].map(|cycles| {
                let fixed = self.model.at(clock::REALTIME, cycles);
                (self.moved(clock::REALTIME, fixed)).div_euclid(NSEC_PER_SEC) as i64
            });
            assert!((before..=after).contains(&answered.time.sec), "{what}: {answered:?}");
        }
    }
}

fn moves() -> [(&'static str, Transforms); 3] {
    let at_rate = |rate| {
        let offset = Timespec { sec: 86_400, nsec: 123_456_789 };
        [Transform { offset, base: seconds(3), rate }; clock::LINES]
    };
    [
        ("unmoved", offset_by(seconds(0))),
        ("moved", at_rate(Rate::ONE)),
        ("60 times as fast", at_rate(Rate { whole: 60, fraction: 0 })),
    ]
}

#[test]
fn every_function_answers_without_a_system_call() {
    const TEST: &str = "every_function_answers_without_a_system_call";
    if !can_run(TEST) {
        return;
    }
    let processor = processor_flags();
    for (what, transforms) in moves() {
        // On a processor without RDPID, RDTSCP has the same number.
        for flags in [processor, processor & !FLAG_RDPID] {
            let alone = Alone::new(flags | ALONE, transforms);
            alone.publish();
            let (pinned_to, node) = pin();
            let answers = Shared::zeroed();
            assert_good(alone.answers(&answers));
            // SAFETY: the child has ended; all of it was written, and any bytes are such answers.
            let answers = unsafe { &*answers.as_ptr() };
            alone.check(answers, what);
            assert_eq!(answers.cpu, (0, pinned_to, node));
            check_bytes(TEST, answers);
        }
    }
}

/// Keeps this thread, and its children, on one CPU, which is given with its node.
fn pin() -> (u32, u32) {
    let this_thread = Pid::from_raw(0);
    let allowed = sched_getaffinity(this_thread).expect("they can be read");
    let is_allowed = |&cpu: &usize| allowed.is_set(cpu).unwrap_or(false);
    let cpu = (0..CpuSet::count()).find(is_allowed).expect("it runs somewhere");
    let mut one = CpuSet::new();
    one.set(cpu).expect("it is in the set");
    sched_setaffinity(this_thread, &one).expect("it is allowed");
    let (mut cpu, mut node) = (0_u32, 0_u32);
    let none = ptr::null_mut::<c_void>();
    // SAFETY: writes to both words, which are ours.
    let result = unsafe { libc::syscall(libc::SYS_getcpu, &raw mut cpu, &raw mut node, none) };
    assert_eq!(result, 0);
    (cpu, node)
}

fn check_bytes(test: &str, answers: &Answers) {
    if !is_x86_feature_detected!("rdrand") {
        let name = format!("{test} getrandom");
        return skip(Lacking::Kernel, &name, "this processor has no RDRAND");
    }
    for (length, (result, bytes)) in RANDOM_LENGTHS.into_iter().zip(&answers.random) {
        assert_eq!(*result, length as isize);
        assert!(bytes[length..].iter().all(|&byte| byte == 0), "not beyond {length} bytes");
    }
    let [in_use, stateless, (refused, _)] = &answers.random_of_others;
    assert_eq!((in_use.0, stateless.0, *refused), (37, 37, -(libc::EINVAL as isize)));
    let tails = [&in_use.1[32..], &stateless.1[32..]];
    let is_one_byte = |tail: &&[u8]| tail.iter().all(|byte| byte == &tail[0]);
    assert!(!tails.iter().all(is_one_byte), "the last bytes are random, too: {tails:?}");
    let beginnings = answers.random.iter().map(|(_, bytes)| &bytes[..16]).skip(3);
    let mut beginnings: Vec<_> =
        beginnings.chain([&in_use.1[..16], &in_use.1[21..], &stateless.1[..16]]).collect();
    let last = &answers.random[RANDOM_LENGTHS.len() - 1].1;
    beginnings.push(&last[RANDOM_BYTES - 16..]);
    let count = beginnings.len();
    beginnings.sort_unstable();
    beginnings.dedup();
    assert_eq!(beginnings.len(), count, "bytes came twice");
}

/// A processor without random numbers, and nobody to ask for them.
#[test]
fn random_bytes_are_refused_where_nobody_has_any() {
    if !can_run("random_bytes_are_refused_where_nobody_has_any") {
        return;
    }
    let flags = processor_flags() & !FLAG_RDRAND | ALONE;
    let (alone, state) = (Alone::new(flags, offset_by(seconds(0))), page_of_memory());
    let mut bytes = [0; 32];
    for (state, state_bytes) in [(state, 640), (ptr::null_mut(), 0)] {
        // SAFETY: a getrandom; the buffer is ours, and so is the state.
        let answer = unsafe {
            (alone.getrandom)(bytes.as_mut_ptr(), bytes.len(), 0, state.cast(), state_bytes)
        };
        assert_eq!((answer, bytes), (-(libc::ENOSYS as isize), [0; 32]));
    }
}

/// Without the flag each of these calls is made, and the filter ends the process: so it would have been noticed.
#[test]
fn whoever_has_a_kernel_below_calls_it() {
    if !can_run("whoever_has_a_kernel_below_calls_it") {
        return;
    }
    for flags in [0, FLAG_NO_LINUX] {
        let alone = Alone::new(processor_flags() & !FLAG_RDPID | flags, offset_by(seconds(0)));
        alone.publish();
        let status = alone.answers(&Shared::zeroed());
        assert!(matches!(status, WaitStatus::Signaled(_, Signal::SIGSYS, _)), "{status:?}");
    }
}

/// A kernel that answers system calls but is not Linux: coarse clocks need none, and what is left is asked.
#[test]
fn a_kernel_that_is_not_linux_is_asked_for_the_rest() {
    if !can_run("a_kernel_that_is_not_linux_is_asked_for_the_rest") {
        return;
    }
    let alone = Alone::new(processor_flags() | FLAG_NO_LINUX, offset_by(seconds(0)));
    alone.publish();
    let functions = alone.mapped.functions();
    for id in PAGE_CLOCKS {
        let answered = Answered::of(|ts| {
            *ts = functions.read(id);
            0
        });
        alone.check_time(id, &answered, "by a kernel");
    }
    const CPU_TIME: u32 = libc::CLOCK_PROCESS_CPUTIME_ID as u32;
    let (before, now, after) = (kernels(CPU_TIME), functions.read(CPU_TIME), kernels(CPU_TIME));
    assert!(before <= now && now <= after, "{before:?} {now:?} {after:?}");
}

/// Publishes the same line for each of the fine clocks.
fn publish_line(page: &OwnPage, view: CounterView) {
    latch::write(&page.header.seq, |_, spare| {
        page.copy(spare).iter().for_each(|line| line.store_counter_view(&view));
    });
}

/// Whatever has become of the publisher, a clock says the last that is known of it.
#[test]
fn a_line_that_is_over_is_the_last_word() {
    if !can_run("a_line_that_is_over_is_the_last_word") {
        return;
    }
    let alone = Alone::new(processor_flags() | ALONE, offset_by(seconds(0)));
    let functions = alone.mapped.functions();
    for id in PAGE_CLOCKS {
        let mut now = UNWRITTEN;
        // SAFETY: a clock_gettime, and `now` is ours.
        let result = unsafe { (functions.clock_gettime)(id as c_int, &mut now) };
        assert_eq!(result, -libc::EINVAL, "clock {id} was never published");
    }
    let start = 5 * NSEC_PER_SEC + 777_777_777;
    // A nanosecond a cycle.
    let line = |cycles: u64| Line { cycles, start: start << 32, slope: 1 << 64 };
    let now = counter::read();
    for (what, view, expected) in [
        ("ended", line(now - (1 << 45)).view(1_000_000), start + 1_000_000),
        ("ended after seconds", line(now - (1 << 45)).view(1 << 35), start + (1 << 35)),
        ("to come", line(now + (1 << 45)).view(1 << 35), start),
        ("waiting", line(u64::MAX / 2).view(1), start),
    ] {
        publish_line(alone.mapped.page(), view);
        for id in PAGE_CLOCKS {
            let tick_ns = if clock::is_in(id, clock::COARSE) { i128::from(TICK_NS) } else { 1 };
            let within_second = expected.rem_euclid(NSEC_PER_SEC);
            let expected = expected - within_second % tick_ns;
            assert_eq!(functions.read_ns(id), expected, "{what}, clock {id}");
        }
    }
}

/// A page says anything of its tick: a coarse clock is a time in any case.
#[test]
fn any_tick_gives_a_time() {
    if !can_run("any_tick_gives_a_time") {
        return;
    }
    let alone = Alone::new(processor_flags() | ALONE, offset_by(seconds(0)));
    let start = 5 * NSEC_PER_SEC + 777_777_777;
    let standing = Line { cycles: counter::read(), start: start << 32, slope: 0 };
    publish_line(alone.mapped.page(), standing.view(i64::MAX as u64));
    let functions = alone.mapped.functions();
    for (tick_ns, nsec) in [
        (0, 777_777_777),
        (1, 777_777_777),
        (10_000_000, 770_000_000),
        (777_777_777, 777_777_777),
        (777_777_778, 0),
        (u32::MAX, 0),
    ] {
        let header = &alone.mapped.page().header;
        header.coarse_res_ns.store(tick_ns, vdso_data::sync::Ordering::Relaxed);
        for id in [clock::REALTIME_COARSE, clock::MONOTONIC_COARSE] {
            assert_eq!(functions.read(id), Timespec { sec: 5, nsec }, "tick {tick_ns}");
        }
        assert_eq!(functions.seconds(), 5);
    }
}
