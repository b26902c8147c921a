//! The unusual: no counter, a dead publisher, a clock that only the kernel knows. All of it is out
//! of line and reached by a sibling call, so that the usual path saves no registers for it.

use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr;

use vdso_data::arithmetic::Timespec;
use vdso_data::counts::Counter;
use vdso_data::gettimeofday::Timezone;
use vdso_data::linux::{CLOCK_MODE_COUNTER, CLOCK_MODE_TIMENS};
use vdso_data::{clock, latch};

use crate::arch::Long;
use crate::gettimeofday::Timeval;
use crate::{alone, arch, counts, getcpu, kernel, pages, source};

/// A clock of a page's, when the source could not read it: the kernel's time, moved as the page says.
///
/// # Safety
/// `ts` must be writable.
#[cold]
#[cfg_attr(not(inline_all), inline(never))]
#[cfg_attr(inline_all, inline(always))]
pub unsafe fn clock_gettime(id: c_int, ts: *mut Timespec) -> c_int {
    // SAFETY: the caller's promise about `ts` is passed on.
    unsafe { again::<{ cfg!(counts) }>(id, ts) }
}

/// The same, and whether it is counted what was done.
///
/// # Safety
/// `ts` must be writable.
#[inline(always)]
unsafe fn again<const IS_COUNTED: bool>(id: c_int, ts: *mut Timespec) -> c_int {
    let is_fine = clock::is_in(id as u32, clock::HIGH_RESOLUTION);
    let line = alone::line_of(id as u32);
    if clock::is_in(line, clock::HIGH_RESOLUTION)
        && let Some(now) = source::read_again(line)
    {
        // SAFETY: the caller promises that `ts` is writable.
        unsafe { ts.write(alone::as_of_tick(id as u32, now)) };
        if IS_COUNTED {
            counts::count_rarely(Counter::Retried.of_clock(id as u32), ());
        }
        return 0;
    }
    // The source `chain` asks nobody else.
    if IS_COUNTED && cfg!(not(source = "chain")) {
        counts::count_rarely(Counter::AskedKernel.of_clock(id as u32), ());
        counts::count_rarely(why_kernel() as usize, ());
    }
    let mut host = MaybeUninit::uninit();
    // SAFETY: `host` is ours.
    let error = unsafe { ask_kernel(id, host.as_mut_ptr()) };
    if error != 0 {
        return error;
    }
    // SAFETY: the kernel has answered without an error, so it has written.
    let host = unsafe { host.assume_init() };
    let moved = moved(id as u32, host);
    let now = if is_fine { source::settle(id as u32, moved) } else { moved };
    // SAFETY: the caller promises that `ts` is writable.
    unsafe { ts.write(now) };
    0
}

/// A clock that is no page's: exactly what the kernel says, but for those that wake a machine, which show the same
/// time as another.
///
/// # Safety
/// As for the system call, which checks `ts` itself.
#[cold]
#[cfg(not(inline_all))]
#[inline(never)]
pub unsafe fn of_no_page(id: c_int, ts: *mut Timespec) -> c_int {
    if cfg!(counts) {
        counts::count_rarely(Counter::AskedKernel.of_clock(id as u32), ());
        counts::count_rarely(Counter::NoPage as usize, ());
    }
    // SAFETY: the caller's promise is passed on.
    let error = unsafe { ask_kernel(id, ts) };
    let shown = clock::shown_by(id as u32);
    if error != 0 || shown == id as u32 {
        return error;
    }
    // SAFETY: the kernel has just written there.
    #[cfg(not(counts))]
    let moved = unsafe { clock_gettime(shown as c_int, ts) };
    // SAFETY: likewise. It has been counted.
    #[cfg(counts)]
    let moved = unsafe { again::<false>(shown as c_int, ts) };
    moved
}

/// The kernel's own answer.
///
/// # Safety
/// As for the system call, which checks `ts` itself.
#[inline(always)]
pub unsafe fn ask_kernel(id: c_int, ts: *mut Timespec) -> c_int {
    match kernel::clock_gettime(&pages::process().functions) {
        // SAFETY: the kernel's own function; the caller's promise is passed on.
        Some(function) => unsafe { arch::call_clock_gettime(function, id, ts) },
        None if alone::has_no_system_calls() => -alone::EINVAL,
        // SAFETY: the caller's promise is passed on.
        None => unsafe { arch::syscall_clock_gettime(id, ts) },
    }
}

/// `gettimeofday` with a time zone, which is the page's or else the kernel's, without a time, or when the source could not read it.
///
/// # Safety
/// What is not null must be writable.
#[cold]
#[cfg_attr(not(inline_all), inline(never))]
#[cfg_attr(inline_all, inline(always))]
pub unsafe fn gettimeofday(tv: *mut Timeval, tz: *mut c_void) -> c_int {
    if !tz.is_null() && let Some(zone) = pages::own().time_zone().or_else(alone::time_zone) {
        // SAFETY: not null, and the caller promises that it is writable then.
        unsafe { tz.cast::<Timezone>().write(zone) };
    } else if !tz.is_null() {
        let error = match kernel::gettimeofday(&pages::process().functions) {
            // SAFETY: the kernel's own function; the caller's promise is passed on.
            Some(function) => unsafe { arch::call_gettimeofday(function, ptr::null_mut(), tz) },
            // SAFETY: the caller's promise is passed on.
            None => unsafe { arch::syscall_gettimeofday(ptr::null_mut(), tz) },
        };
        if error != 0 {
            return error;
        }
    }
    if tv.is_null() {
        return 0;
    }
    let mut now = MaybeUninit::<Timespec>::uninit();
    // SAFETY: `now` is ours.
    let error = unsafe { crate::clock_gettime::within(clock::REALTIME as c_int, now.as_mut_ptr()) };
    if error == 0 {
        // SAFETY: written, as there was no error.
        let now = unsafe { now.assume_init() };
        // SAFETY: `tv` is not null, and the caller promises that it is writable then.
        unsafe { tv.write(Timeval::from(now)) };
    }
    error
}

/// `time`, when it takes more than adding whole seconds to the tick's.
///
/// # Safety
/// `seconds` must be null or writable.
#[cold]
#[cfg_attr(not(inline_all), inline(never))]
#[cfg_attr(inline_all, inline(always))]
pub unsafe fn time(seconds: *mut Long) -> Long {
    let mut now = MaybeUninit::<Timespec>::uninit();
    // SAFETY: `now` is ours.
    let error = unsafe { crate::clock_gettime::within(clock::REALTIME_COARSE as c_int, now.as_mut_ptr()) };
    if error != 0 {
        return error as Long;
    }
    // SAFETY: written, as there was no error.
    let now = unsafe { now.assume_init() };
    if !seconds.is_null() {
        // SAFETY: not null, and the caller promises that it is writable then.
        unsafe { seconds.write(now.sec as Long) };
    }
    now.sec as Long
}

/// `getcpu` where no register tells it.
///
/// # Safety
/// What is not null must be writable.
#[cold]
#[cfg_attr(not(inline_all), inline(never))]
#[cfg_attr(inline_all, inline(always))]
pub unsafe fn getcpu(cpu: *mut u32, node: *mut u32) -> c_int {
    if let Some(word) = arch::cpu_and_node_otherwise() {
        // SAFETY: the caller's promise is passed on.
        return unsafe { getcpu::write(word, cpu, node) };
    }
    match kernel::getcpu(&pages::process().functions) {
        // SAFETY: the kernel's own function; the caller's promise is passed on.
        Some(function) => unsafe { arch::call_getcpu(function, cpu, node) },
        None if alone::has_no_system_calls() => -alone::ENOSYS,
        // SAFETY: the caller's promise is passed on.
        None => unsafe { arch::syscall_getcpu(cpu, node) },
    }
}

/// Why the kernel is asked for a clock of a page's.
#[inline(always)]
fn why_kernel() -> Counter {
    match kernel::counter_mode(pages::process()) {
        CLOCK_MODE_COUNTER => Counter::Stale,
        CLOCK_MODE_TIMENS => Counter::TimeNamespace,
        _ => Counter::CounterUnused,
    }
}

/// `host`, moved as our page says for clock `id`.
#[inline(always)]
fn moved(id: u32, host: Timespec) -> Timespec {
    let page = pages::own();
    latch::read(&page.header.seq, || (), |(), copy| page.line(copy, id).load_transform()).apply(host)
}
