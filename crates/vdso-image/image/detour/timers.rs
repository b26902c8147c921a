//! Timers: when they go off first, how often after that, and what is left.

use vdso_data::arithmetic::{Rate, Timespec};
use vdso_data::clock;
use vdso_data::detour::{Mark, NO_TIMER};

use super::{
    Call, NONE, addr_of, host_span, host_span_at, host_time, line, memory, scaled, transform,
};
use crate::arch::number;

const MARK: Mark = Mark::Low(5);

/// The others count a processor's time: `include/uapi/linux/time.h`.
const ITIMER_REAL: u32 = 0;

/// `timer_settime`, `timerfd_settime`, of a timer on `clock`.
#[inline(never)]
pub fn set(call: Call, clock: u32) -> i64 {
    /// `TIMER_ABSTIME` and `TFD_TIMER_ABSTIME`.
    const ABSOLUTE: u64 = 1;
    let [_, flags, new_addr, old_addr, ..] = call.args;
    if clock == NO_TIMER {
        // Whoever hears of it knows, and sends the thread here again.
        return call.make_as_it_is();
    }
    let Some([interval, value]) = read_pair(new_addr) else {
        return call.make(MARK);
    };
    let (own, monotonic) = (transform(line(clock)), transform(clock::MONOTONIC));
    let is_absolute = flags & ABSOLUTE != 0;
    let rate = if is_absolute { own.rate } else { monotonic.rate };
    let value = match value {
        NONE => NONE,
        value if is_absolute => host_time(&own, value),
        value => host_span(value),
    };
    let new = [host_span_at(rate, interval), value].map(memory::words);
    let result = call.with(2, addr_of(&new)).make(MARK);
    if result >= 0 && old_addr != 0 {
        scale_pair(old_addr, own.rate);
    }
    result
}

/// `timer_gettime`, `timerfd_gettime`, of a timer on `clock`.
#[inline(never)]
pub fn get(call: Call, clock: u32) -> i64 {
    if clock == NO_TIMER {
        return call.make_as_it_is();
    }
    let result = call.make(MARK);
    if result >= 0 {
        scale_pair(call.args[1], transform(line(clock)).rate);
    }
    result
}

/// `setitimer`.
#[inline(never)]
pub fn set_interval(call: Call) -> i64 {
    let [which, new_addr, old_addr, ..] = call.args;
    if which as u32 != ITIMER_REAL {
        return call.make_as_it_is();
    }
    let rate = transform(clock::MONOTONIC).rate;
    let words = memory::read(new_addr).zip(memory::read(new_addr.wrapping_add(16)));
    let times = words.and_then(|(interval, value)| {
        Some([memory::valid_timeval(interval)?, memory::valid_timeval(value)?])
    });
    let Some([interval, value]) = times else {
        return call.make(MARK);
    };
    let new = [interval, value].map(host_span).map(memory::timeval);
    let result = call.with(1, addr_of(&new)).make(MARK);
    if result >= 0 && old_addr != 0 {
        scale_timevals(old_addr, rate);
    }
    result
}

/// `getitimer`.
#[inline(never)]
pub fn get_interval(call: Call) -> i64 {
    if call.args[0] as u32 != ITIMER_REAL {
        return call.make_as_it_is();
    }
    let result = call.make(MARK);
    if result >= 0 {
        scale_timevals(call.args[1], transform(clock::MONOTONIC).rate);
    }
    result
}

/// `alarm`, by `setitimer`, as a second of the program's may be less than one of the host's.
#[inline(never)]
pub fn alarm(call: Call) -> i64 {
    let rate = transform(clock::MONOTONIC).rate;
    let value = Timespec { sec: i64::from(call.args[0] as u32), nsec: 0 };
    let new = [NONE, host_span(value)].map(memory::timeval);
    let mut old = [[0u64; 2]; 2];
    let args = [0, addr_of(&new), (&raw mut old).addr() as u64, 0, 0, 0];
    let result = Call { number: number::SETITIMER, args }.make(MARK);
    if result < 0 {
        return result;
    }
    // SAFETY: it is ours; read anew, as the kernel has written.
    let [_, left] = unsafe { (&raw const old).read_volatile() };
    let left = self::left(rate, memory::of_timeval(left).unwrap_or(NONE));
    // As the kernel rounds: never to "none was set", else to the nearest.
    let is_up = left.nsec >= 500_000_000 || left.sec == 0 && left.nsec != 0;
    (left.sec + i64::from(is_up)).min(i64::from(u32::MAX))
}

/// `struct __kernel_itimerspec`: how often, and when first.
fn read_pair(addr: u64) -> Option<[Timespec; 2]> {
    Some([memory::read_timespec(addr)?, memory::read_timespec(addr.wrapping_add(16))?])
}

/// What the kernel has just written there becomes the program's.
fn scale_pair(addr: u64, rate: Rate) {
    if rate == Rate::ONE {
        return;
    }
    if let Some(pair) = read_pair(addr) {
        for (at, time) in [(0, pair[0]), (16, pair[1])] {
            memory::write(addr.wrapping_add(at), memory::words(left(rate, time)));
        }
    }
}

fn scale_timevals(addr: u64, rate: Rate) {
    if rate == Rate::ONE {
        return;
    }
    for addr in [addr, addr.wrapping_add(16)] {
        if let Some(time) = memory::read(addr).and_then(memory::valid_timeval) {
            memory::write(addr, memory::timeval(left(rate, time)));
        }
    }
}

/// Not zero where it was not; and for ever, as the host says it, where no time passes.
fn left(rate: Rate, time: Timespec) -> Timespec {
    match scaled(rate, time) {
        _ if rate == Rate::ZERO => time,
        NONE if time != NONE => Timespec { sec: 0, nsec: 1 },
        left => left,
    }
}
