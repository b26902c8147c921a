//! An image of the `own` source where no Linux is below, and nobody answers system calls: in a process whose filter
//! ends it at the first one, every function answers every clock, as a model of the clocks says.
//!
//! What the calls say is left in memory that is shared with the test, which looks at it in peace.

use std::arch::is_x86_feature_detected;
use std::cell::UnsafeCell;
use std::ffi::{c_int, c_uint, c_void};
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
use vdso_timekeeper::{Fallback, Reference, Resolutions, Sample, Slopes, Timekeeper, initialise};

use super::support::*;

const TICK_NS: u32 = 4_000_000;
const ALONE: u32 = FLAG_NO_LINUX | FLAG_NO_SYSTEM_CALLS;

/// Ids that no page has: of CPU time, of hardware, none at all.
const NO_CLOCKS: [c_int; 10] = [2, 3, 8, 9, 10, 12, 31, -1, c_int::MIN, c_int::MAX];

/// A machine's clocks, each of which is another line over the counter.
#[derive(Clone, Copy)]
struct Model {
    booted_at_cycles: u64,
}

impl Model {
    fn now() -> Self {
        Self { booted_at_cycles: counter::read() - 777_777_777 }
    }

    fn slope(id: u32) -> u128 {
        let Slopes { steered, raw } = Self::slopes();
        if id == clock::MONOTONIC_RAW { raw } else { steered }
    }

    fn slopes() -> Slopes {
        Slopes { raw: Slopes::of_hz(2_000_100_000).raw, ..Slopes::of_hz(2_000_000_000) }
    }

    /// Units of 2^-32 ns.
    fn at(&self, id: u32, cycles: u64) -> i128 {
        let ahead_ns = match id {
            clock::REALTIME => 1_700_000_000 * NSEC_PER_SEC,
            clock::TAI => 1_700_000_037 * NSEC_PER_SEC,
            clock::BOOTTIME => 1_234 * NSEC_PER_SEC + 5,
            _ => 0,
        };
        let line =
            Line { cycles: self.booted_at_cycles, start: ahead_ns << 32, slope: Self::slope(id) };
        line.at(cycles)
    }
}

impl Reference for Model {
    fn counter(&self) -> u64 {
        counter::read()
    }

    fn sample(&mut self) -> Option<Sample> {
        let cycles = self.counter();
        let fixed = std::array::from_fn(|id| self.at(id as u32, cycles));
        Some(Sample { cycles, fixed })
    }

    fn slopes(&self) -> Slopes {
        Self::slopes()
    }

    fn resolutions(&self) -> Resolutions {
        Resolutions { fine_ns: 1, coarse_ns: TICK_NS }
    }

    fn fallback(&self) -> Fallback {
        Fallback::Nobody
    }
}

type Getrandom = unsafe extern "C" fn(*mut u8, usize, c_uint, *mut c_void, usize) -> isize;

/// One call's answer, between two looks at the counter.
#[derive(Clone, Copy, Debug)]
struct Answered {
    before: u64,
    after: u64,
    result: i64,
    time: Timespec,
}

impl Answered {
    fn of(call: impl FnOnce(&mut Timespec) -> i64) -> Self {
        let mut time = UNWRITTEN;
        let before = counter::read();
        let result = call(&mut time);
        Self { before, after: counter::read(), result, time }
    }
}

const RANDOM_LENGTHS: [usize; 8] = [0, 1, 7, 32, 480, 481, 4_000, 100_003];
const RANDOM_BYTES: usize = 100_003;

/// Everything that the process without system calls was told.
struct Answers {
    times: [Answered; PAGE_CLOCKS.len()],
    resolutions: [Answered; PAGE_CLOCKS.len()],
    no_resolution_written: [i64; PAGE_CLOCKS.len()],
    no_times: [Answered; NO_CLOCKS.len()],
    no_resolutions: [Answered; NO_CLOCKS.len()],
    timeval: Answered,
    timeval_and_zone: (Answered, Timezone),
    zone: (i64, Timezone),
    nothing: i64,
    seconds: Answered,
    seconds_written: Answered,
    cpu: (i64, u32, u32),
    random: [(isize, [u8; RANDOM_BYTES]); RANDOM_LENGTHS.len()],
    /// A signal handler's call, that of whoever has no state, and one that asks for what there is not.
    random_of_others: [(isize, [u8; 37]); 3],
}

/// Memory that a child process shares.
struct Shared<T>(*mut UnsafeCell<T>);

impl<T> Shared<T> {
    fn zeroed() -> Self {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: new memory at an address of the kernel's choice.
        let memory =
            unsafe { libc::mmap(ptr::null_mut(), mem::size_of::<T>(), protection, flags, -1, 0) };
        assert_ne!(memory, libc::MAP_FAILED);
        Self(memory.cast())
    }

    fn as_ptr(&self) -> *mut T {
        UnsafeCell::raw_get(self.0)
    }
}

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
        Timekeeper::new(self.mapped.page(), self.model, self.transforms).update();
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

fn page_of_memory() -> *mut u8 {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: new memory at an address of the kernel's choice.
    let memory = unsafe { libc::mmap(ptr::null_mut(), 4096, protection, flags, -1, 0) };
    assert_ne!(memory, libc::MAP_FAILED);
    memory.cast()
}

/// From now on every system call but exit_group ends this process, if that can be had. Source: seccomp(2).
fn forbid_system_calls() -> bool {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const IS: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const SAY: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let number = mem::offset_of!(libc::seccomp_data, nr) as u32;
    let mut steps = [
        step(LOAD, number, 0, 0),
        step(IS, libc::SYS_exit_group as u32, 0, 1),
        step(SAY, libc::SECCOMP_RET_ALLOW, 0, 0),
        step(SAY, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: changes only what this process may do.
    let given_up = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: as above; the program is read before the call returns.
    let filtered = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
    };
    given_up == 0 && filtered == 0
}

/// # Safety
/// The functions must be of these types and mapped, and `state` be a page of memory.
unsafe fn ask_everything(
    of: Functions,
    getrandom: Getrandom,
    state: *mut u8,
    answers: &mut Answers,
) {
    // SAFETY: functions of these types, here and below; what they write to is ours.
    let time = |id, ts: &mut Timespec| i64::from(unsafe { (of.clock_gettime)(id, ts) });
    // SAFETY: as above.
    let resolution = |id, ts: &mut Timespec| i64::from(unsafe { (of.clock_getres)(id, ts) });
    for (index, id) in PAGE_CLOCKS.into_iter().enumerate() {
        answers.times[index] = Answered::of(|ts| time(id as c_int, ts));
        answers.resolutions[index] = Answered::of(|ts| resolution(id as c_int, ts));
        // SAFETY: as above; null is allowed.
        let unwritten = unsafe { (of.clock_getres)(id as c_int, ptr::null_mut()) };
        answers.no_resolution_written[index] = i64::from(unwritten);
    }
    for (index, id) in NO_CLOCKS.into_iter().enumerate() {
        answers.no_times[index] = Answered::of(|ts| time(id, ts));
        answers.no_resolutions[index] = Answered::of(|ts| resolution(id, ts));
    }
    ask_for_days(of, answers);
    let (mut cpu, mut node) = (77, 77);
    // SAFETY: as above.
    let result = unsafe { (of.getcpu)(&mut cpu, &mut node, ptr::null_mut()) };
    answers.cpu = (i64::from(result), cpu, node);
    // SAFETY: the caller's promise.
    unsafe { ask_for_bytes(getrandom, state, answers) };
}

fn ask_for_days(of: Functions, answers: &mut Answers) {
    let unwritten = Timezone { minutes_west: 77, dst_time: 77 };
    let timeval = |tz: *mut Timezone, ts: &mut Timespec| {
        let mut now = Timeval::default();
        // SAFETY: a gettimeofday; what it writes to is ours.
        let result = unsafe { (of.gettimeofday)(&mut now, tz) };
        *ts = Timespec { sec: now.sec, nsec: now.usec * 1000 };
        i64::from(result)
    };
    answers.timeval = Answered::of(|ts| timeval(ptr::null_mut(), ts));
    let mut zone = unwritten;
    answers.timeval_and_zone.0 = Answered::of(|ts| timeval(&mut zone, ts));
    answers.timeval_and_zone.1 = zone;
    let mut zone = unwritten;
    // SAFETY: as above; null is allowed, here and below.
    let result = unsafe { (of.gettimeofday)(ptr::null_mut(), &mut zone) };
    answers.zone = (i64::from(result), zone);
    // SAFETY: as above.
    answers.nothing = i64::from(unsafe { (of.gettimeofday)(ptr::null_mut(), ptr::null_mut()) });
    answers.seconds = Answered::of(|ts| {
        ts.sec = of.seconds();
        0
    });
    // SAFETY: a time; what it writes to is ours.
    answers.seconds_written = Answered::of(|ts| unsafe { (of.time)(&mut ts.sec) });
}

/// # Safety
/// As for [`ask_everything`].
unsafe fn ask_for_bytes(getrandom: Getrandom, state: *mut u8, answers: &mut Answers) {
    let mut parameters = [0_u32; 16];
    // SAFETY: the question for parameters, for which there is room.
    let asked =
        unsafe { getrandom(ptr::null_mut(), 0, 0, parameters.as_mut_ptr().cast(), usize::MAX) };
    let state_bytes = if asked == 0 { parameters[0] as usize } else { 0 };
    for (length, (result, bytes)) in RANDOM_LENGTHS.into_iter().zip(&mut answers.random) {
        // SAFETY: the caller's promise; the buffer is large enough.
        *result = unsafe { getrandom(bytes.as_mut_ptr(), length, 0, state.cast(), state_bytes) };
    }
    // What the word says that a call has set while a signal handler interrupts it.
    const IN_USE: usize = 12;
    // SAFETY: within the page that is the state's.
    unsafe { state.wrapping_add(IN_USE).write(1) };
    let nobody = ptr::null_mut();
    let calls = [(0, state, state_bytes), (1, nobody, 0), (0x80, state, state_bytes)];
    for ((flags, state, state_bytes), (result, bytes)) in
        calls.into_iter().zip(&mut answers.random_of_others)
    {
        // SAFETY: as above.
        *result =
            unsafe { getrandom(bytes.as_mut_ptr(), bytes.len(), flags, state.cast(), state_bytes) };
    }
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
        let has_ticks = self.transforms[id as usize].is_offset_only() && fine != id;
        let tick_ns = if has_ticks { i128::from(TICK_NS) } else { 1 };
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
