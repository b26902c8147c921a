//! System calls that wait, set timers, read clocks, or tell or set the times of files, made in a program's place: deadlines and spans of the program's own
//! clock become the host's, and what is left of them becomes the program's again.
//!
//! One rule for all of them: a deadline is taken on the clock that the kernel documents for it, as the program
//! sees that clock; a span on MONOTONIC, as it sees that. Whoever is woken by the host's clock finds that its own
//! has reached the deadline, or waits on.
//!
//! Whatever is not translated here (a call of another kind, no time-out, memory that cannot be read, a time that the
//! kernel refuses) is made as it is, so that the kernel says what it says. All calls carry the mark.
//!
//! - [`wait`]: waits with one deadline or span;
//! - [`several`]: waits for descriptors, which say what is left in other forms;
//! - [`timers`]: what goes off later; [`others`]: time-outs of sockets and rings;
//! - [`reads`]: what time it is;
//! - [`files`]: times that files have;
//! - [`older`]: calls of i386 that have younger siblings;
//! - [`marks`]: how calls are told from the program's; [`memory`]: the program's memory.

#[cfg(not(target_arch = "x86"))]
mod files;
#[cfg(not(target_arch = "x86"))]
mod marks;
#[cfg(target_arch = "x86")]
#[path = "marks_by_address.rs"]
mod marks;
mod memory;
#[cfg(target_arch = "x86")]
mod older;
mod others;
mod reads;
mod several;
mod timers;
mod wait;

use core::ffi::c_int;
use core::mem::MaybeUninit;

use vdso_data::arithmetic::{Rate, Timespec, Transform};
use vdso_data::detour::{AGAIN, Mark};
use vdso_data::clock::{self, shown_by as line};
use vdso_data::latch;

use crate::arch::{self, number};
use crate::{clock_gettime, pages};
use memory::Form;

/// What a register of the program's holds.
#[cfg(not(target_arch = "x86"))]
type Register = u64;
/// What a register of the program's holds.
#[cfg(target_arch = "x86")]
type Register = u32;

/// What its instruction had, as `arch/*/detour.rs` puts it on the stack.
type Diverted = vdso_data::detour::Call<Register>;

/// Makes the call and gives what it gave.
pub extern "C" fn make(from: &Diverted) -> i64 {
    /// `EINTR` of `include/uapi/asm-generic/errno-base.h`.
    const INTERRUPTED: i64 = -4;
    let call = Call {
        number: from.number as u32,
        args: from.args.map(u64::from),
        form: Form::Time64,
    };
    let timer_clock = from.timer_clock as u32;
    #[cfg(target_arch = "x86")]
    let result = older::sibling(call).map_or_else(|given| given, |call| made(call, timer_clock));
    #[cfg(not(target_arch = "x86"))]
    let result = made(call, timer_clock);
    // For a wait that does not know it; no program does.
    if result == -i64::from(AGAIN) { INTERRUPTED } else { result }
}

#[inline(always)]
fn made(call: Call, timer_clock: u32) -> i64 {
    match call.number {
        number::CLOCK_GETTIME => reads::clock_gettime(call),
        number::GETTIMEOFDAY => reads::gettimeofday(call),
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        number::TIME => reads::time(call),
        number::TIMES => reads::times(call),
        number::SYSINFO => reads::sysinfo(call),
        number::CLOCK_NANOSLEEP | number::NANOSLEEP => wait::sleep(call),
        number::FUTEX => wait::futex(call),
        number::FUTEX_WAIT | number::FUTEX_WAITV => wait::futex_by_clock(call),
        number::MQ_TIMEDSEND | number::MQ_TIMEDRECEIVE => wait::message(call),
        number::SEMTIMEDOP | number::RT_SIGTIMEDWAIT => wait::short(call),
        number::IO_GETEVENTS | number::IO_PGETEVENTS => several::events(call),
        number::RECVMMSG | number::PPOLL | number::PSELECT6 => several::with_rest(call),
        number::EPOLL_PWAIT2 => several::without_rest(call),
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        number::POLL => several::poll(call),
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        number::SELECT => several::select(call),
        number::EPOLL_PWAIT => several::epoll(call),
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        number::EPOLL_WAIT => several::epoll(call),
        number::TIMER_SETTIME | number::TIMERFD_SETTIME => timers::set(call, timer_clock),
        number::TIMER_GETTIME | number::TIMERFD_GETTIME => timers::get(call, timer_clock),
        number::SETITIMER => timers::set_interval(call),
        number::GETITIMER => timers::get_interval(call),
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        number::ALARM => timers::alarm(call),
        number::SETSOCKOPT => others::set_option(call),
        number::GETSOCKOPT => others::get_option(call),
        #[cfg(not(target_arch = "x86"))]
        number::NEWFSTATAT | number::FSTAT => files::stat(call),
        #[cfg(target_arch = "x86_64")]
        number::STAT | number::LSTAT => files::stat(call),
        #[cfg(not(target_arch = "x86"))]
        number::STATX => files::statx(call),
        #[cfg(not(target_arch = "x86"))]
        number::UTIMENSAT => files::set(call),
        #[cfg(target_arch = "x86_64")]
        number::UTIMES | number::FUTIMESAT => files::set_by_micros(call),
        #[cfg(target_arch = "x86_64")]
        number::UTIME => files::set_by_seconds(call),
        number::IO_URING_ENTER => others::enter_ring(call),
        _ => call.make_as_it_is(),
    }
}

/// A system call.
#[derive(Clone, Copy)]
struct Call {
    number: u32,
    args: [u64; 6],
    /// How the program's times lie in memory. The kernel is given, and gives, those of 64 bits.
    form: Form,
}

impl Call {
    /// Makes it, marked.
    #[inline(never)]
    fn make(mut self, mark: Mark) -> i64 {
        let call_mark = u64::from(pages::call_mark());
        match mark {
            Mark::Low(place) => self.args[usize::from(place) % 6] = call_mark,
            Mark::High(place) => {
                let arg = &mut self.args[usize::from(place) % 6];
                *arg = *arg & u64::from(u32::MAX) | call_mark << 32;
            }
            Mark::Address(place) => return self.make_with_marked_address(place),
        }
        // SAFETY: the program's own call, with times of ours in the place of its.
        unsafe { arch::syscall_6(self.number, &self.args) }
    }

    /// Makes it as the program did: it is reported, if it has to be.
    #[inline(never)]
    fn make_as_it_is(self) -> i64 {
        // SAFETY: the program's own call.
        unsafe { arch::syscall_6(self.number, &self.args) }
    }

    /// An argument by its place.
    fn arg(&self, place: usize) -> u64 {
        self.args[place % 6]
    }

    /// The same with another argument.
    fn with(mut self, place: usize, arg: u64) -> Self {
        self.args[place % 6] = arg;
        self
    }
}

/// The address of a time of ours, as an argument.
fn addr_of<T>(time: &T) -> u64 {
    (&raw const *time).addr() as u64
}

/// How a clock is moved against the host's; not at all, if it has no line of its own.
#[inline(never)]
fn transform(id: u32) -> Transform {
    // One of those that nobody moves, where a clock has no line.
    let id = if (id as usize) < clock::LINES { id } else { clock::PROCESS_CPUTIME_ID };
    let page = pages::own();
    latch::read(&page.header.seq, || (), |(), copy| page.line(copy, id).load_transform())
}

/// The host's span in which `span` passes on MONOTONIC.
fn host_span(span: Timespec) -> Timespec {
    host_span_at(transform(clock::MONOTONIC).rate, span)
}

/// The same at any rate. Zero, which some calls take for "none" or "do not wait", stays zero.
#[inline(never)]
fn host_span_at(rate: Rate, span: Timespec) -> Timespec {
    if span == NONE { NONE } else { deadline(rate.host_span(span)) }
}

/// The host's time at which a clock that is moved so shows `wanted`.
#[inline(never)]
fn host_time(transform: &Transform, wanted: Timespec) -> Timespec {
    deadline(transform.host_at(wanted))
}

/// What has passed on a clock of that rate in a span of the host's.
#[inline(never)]
fn scaled(rate: Rate, host: Timespec) -> Timespec {
    rate.scale(host)
}

/// No time at all.
const NONE: Timespec = Timespec { sec: 0, nsec: 0 };

/// What the program reads of a clock.
#[inline(never)]
fn now(id: u32) -> Timespec {
    let mut now = MaybeUninit::<Timespec>::zeroed();
    // SAFETY: it is ours.
    unsafe { clock_gettime::within(id as c_int, now.as_mut_ptr()) };
    // SAFETY: zeros are a time, too.
    unsafe { now.assume_init() }
}

/// What the kernel takes for a deadline that never comes.
const NEVER: Timespec = Timespec { sec: i64::MAX, nsec: 0 };

/// A host's time as the kernel takes it: none before 1970, and not zero, which some calls take for "none".
fn deadline(host: Option<Timespec>) -> Timespec {
    const LEAST: Timespec = Timespec { sec: 0, nsec: 1 };
    match host {
        None => NEVER,
        Some(host) if host < LEAST => LEAST,
        Some(host) => host,
    }
}
