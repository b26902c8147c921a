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
//! - [`memory`]: the program's memory.

mod files;
mod memory;
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

/// A call as its instruction had it, in the order in which `arch/*/detour.rs` puts it on the stack.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Frame {
    /// The arguments.
    pub args: [u64; 6],
    /// The number.
    pub number: u64,
    /// The clock of a timer that it sets, or [`vdso_data::detour::NO_TIMER`].
    pub timer_clock: u64,
}

/// Makes the call and gives what it gave.
pub extern "C" fn make(frame: &Frame) -> i64 {
    /// `EINTR` of `include/uapi/asm-generic/errno-base.h`.
    const INTERRUPTED: i64 = -4;
    let result = made(Call { number: frame.number as u32, args: frame.args }, frame);
    // For a wait that does not know it; no program does.
    if result == -i64::from(AGAIN) { INTERRUPTED } else { result }
}

#[inline(always)]
fn made(call: Call, frame: &Frame) -> i64 {
    match call.number {
        number::CLOCK_GETTIME => reads::clock_gettime(call),
        number::GETTIMEOFDAY => reads::gettimeofday(call),
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
        number::POLL => several::poll(call),
        number::SELECT => several::select(call),
        number::EPOLL_WAIT | number::EPOLL_PWAIT => several::epoll(call),
        number::TIMER_SETTIME | number::TIMERFD_SETTIME => {
            timers::set(call, frame.timer_clock as u32)
        }
        number::TIMER_GETTIME | number::TIMERFD_GETTIME => {
            timers::get(call, frame.timer_clock as u32)
        }
        number::SETITIMER => timers::set_interval(call),
        number::GETITIMER => timers::get_interval(call),
        number::ALARM => timers::alarm(call),
        number::SETSOCKOPT => others::set_option(call),
        number::GETSOCKOPT => others::get_option(call),
        number::NEWFSTATAT | number::FSTAT | number::STAT | number::LSTAT => files::stat(call),
        number::STATX => files::statx(call),
        number::UTIMENSAT => files::set(call),
        number::UTIMES | number::FUTIMESAT => files::set_by_micros(call),
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
