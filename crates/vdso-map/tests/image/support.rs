//! Images, pages and publishers for the tests, the kernel's own answers, and child processes.

use std::ffi::c_int;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, io, mem, ptr, thread};

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use test_support::{Lacking, skip};
use vdso_data::arithmetic::{Rate, Timespec, Transform};
use vdso_data::clock;
use vdso_data::own::OwnPage;
use vdso_data::process::Template;
use vdso_host::{Host, Sampler, initialise};
use vdso_image::Source;
use vdso_map::{ImageFile, LocalImage};
use vdso_timekeeper::{Reference, Timekeeper};

pub type Transforms = [Transform; clock::LINES];

pub const NSEC_PER_SEC: i128 = 1_000_000_000;

/// The clocks that an image answers from a page.
pub const PAGE_CLOCKS: [u32; 7] = [
    clock::REALTIME,
    clock::MONOTONIC,
    clock::MONOTONIC_RAW,
    clock::BOOTTIME,
    clock::TAI,
    clock::REALTIME_COARSE,
    clock::MONOTONIC_COARSE,
];

pub const fn seconds(sec: i64) -> Timespec {
    Timespec { sec, nsec: 0 }
}

/// Every clock moved by `offset`.
pub fn offset_by(offset: Timespec) -> Transforms {
    [Transform { offset, ..Transform::IDENTITY }; clock::LINES]
}

/// Every clock at `rate` from now on.
pub fn rate_from_now(rate: Rate, offset: Timespec) -> Transforms {
    let base = |id| if PAGE_CLOCKS.contains(&id) { kernels(id) } else { Timespec::default() };
    let mut moves: Transforms =
        std::array::from_fn(|id| Transform { offset, base: base(id as u32), rate });
    // A coarse clock is moved as its twin is.
    moves[clock::REALTIME_COARSE as usize] = moves[clock::REALTIME as usize];
    moves[clock::MONOTONIC_COARSE as usize] = moves[clock::MONOTONIC as usize];
    moves
}

/// The host's clock that `id` is a function of: coarse ones with a rate of their own are the fine ones.
pub fn hosts(id: u32, transform: &Transform) -> u32 {
    match id {
        clock::REALTIME_COARSE if !transform.is_offset_only() => clock::REALTIME,
        clock::MONOTONIC_COARSE if !transform.is_offset_only() => clock::MONOTONIC,
        _ => id,
    }
}

/// An image that is mapped here, with the file that holds its page.
pub struct Mapped {
    pub source: Source,
    pub image: LocalImage,
    pub file: Arc<ImageFile>,
}

impl fmt::Display for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source.name())
    }
}

/// What this machine's kernel offers.
pub fn host() -> &'static Host {
    static HOST: OnceLock<Host> = OnceLock::new();
    HOST.get_or_init(|| Host::find().expect("/proc is mounted"))
}

/// What an image of `source` is told of the kernel, as the launcher does it.
pub fn template(host: &Host, source: Source) -> Template {
    let mut template = host.template(&vdso_image::FORWARDED);
    if source == Source::Chain {
        (template.hres, template.raw) = (None, None);
    }
    template
}

impl Mapped {
    /// As the launcher makes it.
    pub fn new(source: Source, transforms: &Transforms) -> Self {
        let host = host();
        Self::with(source, transforms, &template(host, source), host.vdso_addr)
    }

    pub fn with(source: Source, moves: &Transforms, template: &Template, vdso_addr: u64) -> Self {
        let bytes = vdso_image::tailor(source, &host().image).bytes;
        let file = ImageFile::create(source.name(), &bytes).expect("an image has a file");
        initialise(file.page(), moves);
        let image = LocalImage::map(&file, template, vdso_addr).expect("an image can be mapped");
        Self { source, image, file: Arc::new(file) }
    }

    pub fn page(&self) -> &OwnPage {
        self.file.page()
    }

    pub fn functions(&self) -> Functions {
        Functions::find(|name| self.image.function(name).unwrap_or_default())
    }
}

/// One image for each source that this kernel allows; for `own`, with a publisher.
pub fn images(test: &str, transforms: &Transforms) -> Vec<(Mapped, Option<Publisher>)> {
    let publish = |mapped: &Mapped| {
        (mapped.source == Source::Own).then(|| Publisher::start(&mapped.file, *transforms))
    };
    let usable = Source::ALL.into_iter().filter(|&source| is_usable(test, source));
    let mapped = usable.map(|source| Mapped::new(source, transforms));
    mapped.map(|mapped| (publish(&mapped), mapped)).map(|(publisher, it)| (it, publisher)).collect()
}

/// Whether `source` is safe here; if not, says so by name.
pub fn is_usable(test: &str, source: Source) -> bool {
    match &host().page {
        Err(reason) if source != Source::Chain => {
            skip(Lacking::Kernel, &format!("{test} {}", source.name()), &reason.to_string());
            false
        }
        _ => true,
    }
}

/// By how much the host may be slewed in a time, ns: the kernel allows 11 %.
pub fn slewed_ns(time: Duration) -> i128 {
    time.as_nanos() as i128 / 8
}

/// Watches whether the host is steered: a page that is published once a second follows a little later, one
/// of a host that is not is exact.
pub struct Steering {
    sampler: Sampler,
    slope: u128,
    is_seen: bool,
}

impl Steering {
    /// From now on.
    pub fn watch() -> Self {
        let sampler = Sampler::new(host());
        Self { slope: sampler.slopes().steered, sampler, is_seen: false }
    }

    /// Looks, which takes some reads' time.
    pub fn look(&mut self) {
        self.is_seen |= self.sampler.slopes().steered != self.slope;
    }

    /// Whether any look has seen another slope than the first.
    pub fn is_seen(&self) -> bool {
        self.is_seen
    }
}

/// A timekeeper on a thread of its own, until it is dropped.
pub struct Publisher {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Publisher {
    /// Publishes as the timekeeper wants it. The first update has been made when this returns.
    pub fn start(file: &Arc<ImageFile>, transforms: Transforms) -> Self {
        Self::start_with(file, transforms, |wanted| wanted)
    }

    /// Publishes at intervals of `wait`, which is given the timekeeper's wish.
    pub fn start_with(
        file: &Arc<ImageFile>,
        transforms: Transforms,
        wait: impl Fn(Duration) -> Duration + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let is_published = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (file, stop, is_published) = (file.clone(), stop.clone(), is_published.clone());
            move || {
                let mut timekeeper = Timekeeper::new(file.page(), host().sampler(), transforms);
                while !stop.load(Ordering::Relaxed) {
                    let wanted = timekeeper.update();
                    is_published.store(true, Ordering::Release);
                    // Wakes up early when it is to end.
                    thread::park_timeout(wait(wanted));
                }
            }
        });
        while !is_published.load(Ordering::Acquire) {
            assert!(!thread.is_finished(), "the publisher has failed");
            thread::yield_now();
        }
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the publisher has failed");
        }
    }
}

pub type ClockGettime = unsafe extern "C" fn(c_int, *mut Timespec) -> c_int;
pub type Gettimeofday = unsafe extern "C" fn(*mut Timeval, *mut Timezone) -> c_int;
pub type Time = unsafe extern "C" fn(*mut i64) -> i64;
pub type Getcpu = unsafe extern "C" fn(*mut u32, *mut u32, *mut u8) -> c_int;

/// `struct timeval`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Timeval {
    pub sec: i64,
    pub usec: i64,
}

impl Timeval {
    pub fn as_nanos(self) -> i128 {
        i128::from(self.sec) * NSEC_PER_SEC + i128::from(self.usec) * 1000
    }
}

/// `struct timezone`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Timezone {
    pub minutes_west: i32,
    pub dst_time: i32,
}

/// The functions of an image, by their C types.
#[derive(Clone, Copy)]
pub struct Functions {
    pub clock_gettime: ClockGettime,
    pub clock_getres: ClockGettime,
    pub gettimeofday: Gettimeofday,
    pub time: Time,
    pub getcpu: Getcpu,
}

impl Functions {
    fn find(address: impl Fn(&str) -> usize) -> Self {
        let address = |name| match address(name) {
            0 => panic!("the image has no {name}"),
            address => address,
        };
        // SAFETY: the address of a function of this type, and so below; it is mapped for as long as
        // the image, which the callers keep.
        let clock_gettime =
            unsafe { mem::transmute::<usize, ClockGettime>(address("__vdso_clock_gettime")) };
        // SAFETY: as above.
        let clock_getres =
            unsafe { mem::transmute::<usize, ClockGettime>(address("__vdso_clock_getres")) };
        // SAFETY: as above.
        let gettimeofday =
            unsafe { mem::transmute::<usize, Gettimeofday>(address("__vdso_gettimeofday")) };
        // SAFETY: as above.
        let time = unsafe { mem::transmute::<usize, Time>(address("__vdso_time")) };
        // SAFETY: as above.
        let getcpu = unsafe { mem::transmute::<usize, Getcpu>(address("__vdso_getcpu")) };
        Self { clock_gettime, clock_getres, gettimeofday, time, getcpu }
    }

    /// The kernel's own, if it gives a vDSO.
    pub fn of_kernel() -> Option<Self> {
        let host = host();
        let has_all = ["clock_gettime", "clock_getres", "gettimeofday", "time", "getcpu"]
            .iter()
            .all(|name| host.function(&format!("__vdso_{name}")).is_some());
        let address = |name: &str| (host.vdso_addr + host.function(name).unwrap_or(0)) as usize;
        has_all.then(|| Self::find(address))
    }

    /// The time of `id`, which every kernel has.
    #[inline]
    pub fn read(&self, id: u32) -> Timespec {
        let mut now = UNWRITTEN;
        // SAFETY: a clock_gettime, and `now` is ours.
        let error = unsafe { (self.clock_gettime)(id as c_int, &mut now) };
        assert_eq!(error, 0, "clock {id}");
        now
    }

    /// The same in nanoseconds.
    #[inline]
    pub fn read_ns(&self, id: u32) -> i128 {
        self.read(id).as_nanos()
    }

    /// `gettimeofday` without a time zone.
    pub fn timeval(&self) -> Timeval {
        let mut now = Timeval { sec: -1, usec: -1 };
        // SAFETY: a gettimeofday, and `now` is ours.
        let error = unsafe { (self.gettimeofday)(&mut now, ptr::null_mut()) };
        assert_eq!(error, 0);
        now
    }

    /// `time` without a pointer.
    pub fn seconds(&self) -> i64 {
        // SAFETY: a time, which takes null.
        unsafe { (self.time)(ptr::null_mut()) }
    }
}

/// What no clock ever says.
pub const UNWRITTEN: Timespec = Timespec { sec: -77, nsec: -77 };

/// A system call's answer as a vDSO gives it: zero or a negative errno.
pub fn answer(result: libc::c_long) -> c_int {
    if result < 0 { -nix::errno::Errno::last_raw() } else { result as c_int }
}

/// `clock_gettime` by the system call: return value, and what was written.
pub fn syscall_clock_gettime(id: c_int) -> (c_int, Timespec) {
    let mut ts = UNWRITTEN;
    // SAFETY: writes to `ts`, which is ours.
    let result = unsafe { libc::syscall(libc::SYS_clock_gettime, id, &raw mut ts) };
    (answer(result), ts)
}

/// The kernel's time of a clock that it has.
pub fn kernels(id: u32) -> Timespec {
    let (error, now) = syscall_clock_gettime(id as c_int);
    assert_eq!(error, 0, "clock {id}");
    now
}

/// Runs `part` in a child and gives how that ended: 0 if it returned, 101 if it panicked.
///
/// The child has this one thread of the test's, and memory of its own but for the pages.
pub fn in_child(part: impl FnOnce()) -> WaitStatus {
    // SAFETY: the child runs what every fork of a C program may, and ends without unwinding into
    // the test harness.
    match unsafe { fork() }.expect("a process can be forked") {
        ForkResult::Child => {
            // The harness would keep what the child says to itself.
            set_hook(Box::new(|panic| {
                let _ = writeln!(io::stderr(), "in a child process: {panic}");
            }));
            let outcome = catch_unwind(AssertUnwindSafe(part));
            // SAFETY: ends this process.
            unsafe { libc::_exit(if outcome.is_ok() { 0 } else { 101 }) }
        }
        ForkResult::Parent { child } => waitpid(child, None).expect("the child is ours"),
    }
}

/// The child of [`in_child`] must have come to its end.
#[track_caller]
pub fn assert_good(status: WaitStatus) {
    assert!(matches!(status, WaitStatus::Exited(_, 0)), "the child ended so: {status:?}");
}

/// A number from the environment, as long runs set it.
pub fn number_from(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")),
        Err(_) => default,
    }
}

/// See <https://prng.di.unimi.it/splitmix64.c>.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}
