//! The ways in which an image's functions are called: scenes, each with calls of all functions.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use vdso_data::architecture::{Architecture, Export, Means};
use vdso_data::arithmetic::{Mult, Nanos, Rate, Timespec, Transform};
use vdso_data::clock::{self, LINES};
use vdso_data::linux::{CLOCK_MODE_COUNTER, CLOCK_MODE_TIMENS};
use vdso_data::own::{CounterView, OwnPage};
use vdso_data::process::{KernelClock, ProcessPage};

use super::random;
use super::watch::{Watch, Wrong};
use crate::image::{alone, arch, kernel, publisher};

/// What an image finds in its pages.
pub struct Scene {
    /// What is different in the process page.
    pub fill: fn(&ProcessPage),
    /// Fills the page of clocks.
    pub publish: fn(&OwnPage),
    /// What happens between two instructions.
    pub between: fn(&OwnPage),
}

pub const SCENES: &[Scene] = &[
    // As most programs find them: a page that is published, and a kernel whose page is known.
    scene(know_kernel, publish_now),
    scene(know_kernel, publisher::count),
    scene(know_kernel_on_old_cpu, publish_now),
    scene(know_kernel, move_by_seconds),
    scene(know_kernel, move_by_rate),
    scene(know_kernel, move_by_nanoseconds),
    scene(know_behind_kernel, publish_behind),
    // On the page of a kernel that is not known, and on machines that lack what newer ones have.
    scene(pass_on, publish_now),
    scene(pass_on, move_by_nanoseconds),
    scene(pass_on, move_by_rate),
    scene(pass_on, move_by_later_rate),
    scene(have_no_functions, publish_now),
    scene(have_no_functions, move_by_rate),
    scene(have_failing_functions, publish_nothing),
    // Lines that cannot be used as they are.
    scene(pass_on, go_stale),
    scene(pass_on, go_stale_behind),
    scene(pass_on, begin_long_ago),
    scene(pass_on, begin_just_after),
    scene(pass_on, begin_later),
    scene(pass_on, publish_nothing),
    // A process that has entered a time namespace.
    scene(enter_namespace, move_by_rate),
    scene(enter_namespace, go_stale),
    // No Linux below, and nobody who answers system calls.
    scene(have_nobody, publish_now),
    scene(have_nobody, publish_behind),
    scene(have_nobody, begin_long_ago),
    scene(have_nobody, go_stale),
    scene(have_nobody, publish_nothing),
    scene(have_no_cpu_instruction_and_nobody, publish_now),
    // A writer that comes between.
    Scene { between: publish_again, ..scene(know_kernel, publish_now) },
    Scene { between: publish_again, ..scene(pass_on, move_by_rate) },
];

const fn scene(fill: fn(&ProcessPage), publish: fn(&OwnPage)) -> Scene {
    Scene { fill, publish, between: nothing_happens }
}

/// Calls every function with what leads to all of its parts.
pub fn make(
    watch: &Watch<'_>,
    architecture: &Architecture,
    counter: NonNull<()>,
) -> Result<(), Wrong> {
    for export in architecture.exports {
        let call = |export: &Export, arguments| {
            look_at(counter)?;
            call(watch, export, arguments)
        };
        match export.means {
            Means::Own => {
                let arguments = arguments(export).ok_or("a function that is not known here")?;
                for arguments in arguments {
                    call(export, *arguments)?;
                }
            }
            Means::OwnOrPassedOn => {
                look_at(counter)?;
                random::make(watch, export)?;
            }
            Means::PassedOn => call(export, [Argument::Zero; 2])?,
            // Nobody calls those.
            Means::Trampoline(_) => {}
        }
    }
    Ok(())
}

/// An argument of a call.
#[derive(Clone, Copy)]
enum Argument {
    Zero,
    Number(i32),
    /// Where something is written.
    Place,
}

use Argument::{Number, Place, Zero};

/// What a function is called with; `None` if it is not known.
fn arguments(export: &Export) -> Option<&'static [[Argument; 2]]> {
    /// Every clock with a line, those that only the kernel knows, and two that nobody does.
    const CLOCKS: &[[Argument; 2]] = &[
        [Number(0), Place],
        [Number(1), Place],
        [Number(2), Place],
        [Number(4), Place],
        [Number(5), Place],
        [Number(6), Place],
        [Number(7), Place],
        [Number(11), Place],
        [Number(99), Place],
        [Number(-1), Place],
    ];
    const RESOLUTIONS: &[[Argument; 2]] = &[
        [Number(0), Place],
        [Number(1), Zero],
        [Number(2), Place],
        [Number(6), Place],
        [Number(6), Zero],
        [Number(99), Place],
        [Number(-1), Place],
    ];
    const TWO_PLACES: &[[Argument; 2]] =
        &[[Place, Place], [Place, Zero], [Zero, Place], [Zero, Zero]];
    const ONE_PLACE: &[[Argument; 2]] = &[[Place, Zero], [Zero, Zero]];
    let has = |plain: &str| export.name.contains(plain);
    Some(if has("_clock_gettime") {
        CLOCKS
    } else if has("_clock_getres") {
        RESOLUTIONS
    } else if has("_gettimeofday") || has("_getcpu") {
        TWO_PLACES
    } else if has("_time") {
        ONE_PLACE
    } else if has("_restart_syscall") {
        // The kernel goes there, instead of a call, and does not come back.
        &[]
    } else {
        return None;
    })
}

fn call(watch: &Watch<'_>, export: &Export, arguments: [Argument; 2]) -> Result<(), Wrong> {
    let mut places = [[0_u64; 4]; 2];
    let [first, second] = [0, 1].map(|index: usize| match arguments[index] {
        Zero => 0,
        Number(number) => number as usize,
        Place => (&raw mut places[index]).expose_provenance(),
    });
    let make = |function: NonNull<()>| {
        // SAFETY: a function of the image's with arguments that it takes; what it is passed on to takes
        // none.
        unsafe { arch::call(function, first, second, 0) };
    };
    watch.call(export.name, make)
}

/// What functions are passed on to.
extern "C" fn nothing() -> usize {
    0
}

/// With all that the running kernel and CPU have, but functions that are passed on to something harmless.
fn pass_on(page: &ProcessPage) {
    for slot in &page.functions.forwarded {
        slot.store((nothing as *const ()).expose_provenance() as u64, Ordering::Relaxed);
    }
}

fn have_no_functions(page: &ProcessPage) {
    pass_on(page);
    page.flags.store(0, Ordering::Relaxed);
    let functions = &page.functions;
    for slot in [&functions.clock_gettime, &functions.gettimeofday, &functions.getcpu] {
        slot.store(0, Ordering::Relaxed);
    }
}

fn have_nobody(page: &ProcessPage) {
    pass_on(page);
    random::know(page);
    alone::leave_alone(page);
}

fn have_no_cpu_instruction_and_nobody(page: &ProcessPage) {
    page.flags.store(0, Ordering::Relaxed);
    have_nobody(page);
}

/// Of those that an image asks itself.
extern "C" fn failing() -> isize {
    const EFAULT: isize = 14;
    -EFAULT
}

fn have_failing_functions(page: &ProcessPage) {
    pass_on(page);
    let functions = &page.functions;
    for slot in [&functions.clock_gettime, &functions.gettimeofday, &functions.getcpu] {
        slot.store((failing as *const ()).expose_provenance() as u64, Ordering::Relaxed);
    }
}

/// What stands for the kernel's page.
#[repr(C, align(8))]
struct KernelPage {
    seq: AtomicU32,
    mode: AtomicU32,
    cycle_last: AtomicU64,
    mult: AtomicU32,
    shift: AtomicU32,
    basetime: [[AtomicU64; 2]; LINES],
}

const fn kernel_page(seq: u32, mode: u32, shift: u32) -> KernelPage {
    KernelPage {
        seq: AtomicU32::new(seq),
        mode: AtomicU32::new(mode),
        cycle_last: AtomicU64::new(0),
        mult: AtomicU32::new(1),
        shift: AtomicU32::new(shift),
        basetime: [const { [const { AtomicU64::new(1) }; 2] }; LINES],
    }
}

/// As it is within a second of an update.
static KNOWN: KernelPage = kernel_page(0, CLOCK_MODE_COUNTER, 40);
/// One that nobody has updated for long.
static BEHIND: KernelPage = kernel_page(0, CLOCK_MODE_COUNTER, 1);
/// Source: `timens_setup_vdso_clock_data` in `kernel/time/namespace.c` (Linux 6.18).
static ELSEWHERE: KernelPage = kernel_page(1, CLOCK_MODE_TIMENS, 1);

/// Without what newer CPUs have.
fn know_kernel_on_old_cpu(page: &ProcessPage) {
    know_kernel(page);
    page.flags.store(0, Ordering::Relaxed);
}

fn know_kernel(page: &ProcessPage) {
    pass_on(page);
    random::know(page);
    know(page, &KNOWN);
}

/// Seconds are among the nanoseconds.
fn know_behind_kernel(page: &ProcessPage) {
    pass_on(page);
    know(page, &BEHIND);
    for [_, nanoseconds] in &BEHIND.basetime {
        nanoseconds.store(99_000_000_000, Ordering::Relaxed);
    }
}

fn enter_namespace(page: &ProcessPage) {
    pass_on(page);
    know(page, &ELSEWHERE);
}

fn know(page: &ProcessPage, kernel: &'static KernelPage) {
    let address = |field: *const u32| field.expose_provenance() as u64;
    page.clock_mode_addr.store(address(kernel.mode.as_ptr()), Ordering::Relaxed);
    for clock in [&page.hres, &page.raw] {
        let KernelClock { seq_addr, cycle_last_addr, mult_addr, basetime_addr, max_cycles } = clock;
        seq_addr.store(address(kernel.seq.as_ptr()), Ordering::Relaxed);
        cycle_last_addr.store(address(kernel.cycle_last.as_ptr().cast()), Ordering::Relaxed);
        mult_addr.store(address(kernel.mult.as_ptr()), Ordering::Relaxed);
        basetime_addr.store(address(kernel.basetime.as_ptr().cast()), Ordering::Relaxed);
        max_cycles.store(u64::MAX, Ordering::Relaxed);
    }
}

/// The counter's value just before a call. Only a counter that has moved on by less than 32 bits is read
/// on the shortest way.
static NOW: AtomicU64 = AtomicU64::new(0);

/// Where lines begin that are to be good for the call.
fn now() -> u64 {
    NOW.load(Ordering::Relaxed)
}

fn look_at(counter: NonNull<()>) -> Result<(), &'static str> {
    let time = kernel::read(counter, clock::MONOTONIC).map_err(|_| "the counter cannot be read")?;
    NOW.store(publisher::cycles(time), Ordering::Relaxed);
    for known in [&KNOWN, &BEHIND] {
        known.cycle_last.store(now(), Ordering::Relaxed);
    }
    Ok(())
}

/// Lines so flat that they are within their first second.
fn publish_now(page: &OwnPage) {
    let mult = Mult { whole: 0, fraction: 1 };
    publisher::store(page, |_| CounterView { mult, ..line(now(), u64::MAX / 2) });
}

/// Every clock moved by whole seconds.
fn move_by_seconds(page: &OwnPage) {
    publish_now(page);
    move_by(page, Timespec { sec: 5, nsec: 0 });
}

/// Every clock moved by less than a second: there is a carry, unless the clock is just behind one.
fn move_by_nanoseconds(page: &OwnPage) {
    publish_now(page);
    move_by(page, Timespec { sec: 5, nsec: 999_999_999 });
}

/// Lines with seconds among the nanoseconds, moved likewise; and resolutions.
fn publish_behind(page: &OwnPage) {
    let nanos = Nanos { ns: 99_000_000_000, fraction: 0 };
    publisher::store(page, |_| CounterView { nanos, ..line(now(), u64::MAX / 2) });
    move_by(page, Timespec { sec: 5, nsec: 7 });
    page.header.hrtimer_res_ns.store(1, Ordering::Relaxed);
    page.header.coarse_res_ns.store(4_000_000, Ordering::Relaxed);
}

fn move_by(page: &OwnPage, offset: Timespec) {
    publisher::store_transform(page, &Transform { offset, ..Transform::IDENTITY });
}

/// Every clock at another rate.
fn move_by_rate(page: &OwnPage) {
    publish_now(page);
    let rate = Rate { whole: 2, fraction: 1 << 63 };
    let offset = Timespec { sec: 5, nsec: 7 };
    publisher::store_transform(page, &Transform { offset, base: Timespec::default(), rate });
}

/// The same, from a time that is still to come.
fn move_by_later_rate(page: &OwnPage) {
    publish_now(page);
    let rate = Rate { whole: 2, fraction: 1 << 63 };
    let base = Timespec { sec: 4_000_000_000, nsec: 999_999_999 };
    let offset = Timespec { sec: 5, nsec: 999_999_999 };
    publisher::store_transform(page, &Transform { offset, base, rate });
}

/// Lines whose time is over, far ahead of the kernel's time.
fn go_stale(page: &OwnPage) {
    publisher::store(page, |_| line(now().wrapping_sub(1_000), 1));
}

/// The same, far behind it.
fn go_stale_behind(page: &OwnPage) {
    publisher::store(page, |_| CounterView { sec: 0, ..line(now().wrapping_sub(1_000), 1) });
}

/// Lines that were published long ago, and are good for long.
fn begin_long_ago(page: &OwnPage) {
    publisher::store(page, |_| line(now().wrapping_sub(1 << 40), 1 << 41));
}

/// Lines that begin just after the counter is read.
fn begin_just_after(page: &OwnPage) {
    publisher::store(page, |_| line(now().wrapping_add(1 << 31), u64::MAX / 2));
}

/// Lines that begin so much later that the counter must have been set.
fn begin_later(page: &OwnPage) {
    publisher::store(page, |_| line(now().wrapping_add(1 << 40), 1));
}

fn publish_nothing(page: &OwnPage) {
    publisher::store(page, |_| CounterView::UNUSABLE);
}

/// A line that the kernel's time is behind of.
fn line(cycle_last: u64, stale_cycles: u64) -> CounterView {
    CounterView {
        cycle_last,
        stale_cycles,
        mult: Mult { whole: 1, fraction: 0 },
        sec: 3_000_000_000,
        nanos: Nanos { ns: 0, fraction: 0 },
    }
}

fn nothing_happens(_page: &OwnPage) {}

/// The same once more, by whoever writes to these pages.
fn publish_again(page: &OwnPage) {
    page.header.seq.fetch_add(2, Ordering::Relaxed);
    KNOWN.seq.fetch_add(2, Ordering::Relaxed);
}
