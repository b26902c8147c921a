//! Timers: when they go off first, how often after that, and what is left.

use vdso_data::arithmetic::{Rate, Timespec};
use vdso_data::clock;
use vdso_data::detour::{Mark, NO_TIMER};

use super::memory::Form;
use super::{
    Call, NONE, addr_of, host_span, host_span_at, host_time, line, memory, scaled, transform,
};
use crate::arch::number;

const MARK: Mark = Mark::Low(5);

const EFAULT: i64 = -14;

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
    let Some([interval, value]) = read_pair(call.form, new_addr) else {
        return make_with_bad_times(call);
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
    let call = call.with(2, addr_of(&new));
    if call.form != Form::Time64 && old_addr != 0 {
        return make_with_left(call, 3, own.rate);
    }
    let result = call.make(MARK);
    if result >= 0 && old_addr != 0 {
        scale_pair(old_addr, own.rate);
    }
    result
}

/// Makes it although its times are none that the kernel takes.
fn make_with_bad_times(call: Call) -> i64 {
    if call.form != Form::Time64
        && let Some(words) = memory::read_pair(call.form, call.args[2])
    {
        return call.with(2, addr_of(&words)).with(3, 0).make(MARK);
    }
    call.make(MARK)
}

/// Makes a call that tells how long a timer on a clock of that rate has left, for who wants that in another form than the
/// kernel gives it.
fn make_with_left(call: Call, place: usize, rate: Rate) -> i64 {
    let mut pair = [[0u64; 2]; 2];
    let result = call.with(place, (&raw mut pair).addr() as u64).make(MARK);
    if result < 0 {
        return result;
    }
    // SAFETY: it is ours; read anew, as the kernel has written.
    let pair = unsafe { (&raw const pair).read_volatile() };
    let addr = call.arg(place);
    let is_written = [0, call.form.bytes()].into_iter().zip(pair).all(|(at, words)| {
        let time = memory::valid(words).unwrap_or(NONE);
        let left = if rate == Rate::ONE { time } else { left(rate, time) };
        memory::write(call.form, addr.wrapping_add(at), memory::words(left))
    });
    if is_written { result } else { EFAULT }
}

/// `timer_gettime`, `timerfd_gettime`, of a timer on `clock`.
#[inline(never)]
pub fn get(call: Call, clock: u32) -> i64 {
    if clock == NO_TIMER {
        return call.make_as_it_is();
    }
    let rate = transform(line(clock)).rate;
    if call.form != Form::Time64 {
        return make_with_left(call, 1, rate);
    }
    let result = call.make(MARK);
    if result >= 0 {
        scale_pair(call.args[1], rate);
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
    let times = memory::read_pair(call.form, new_addr).and_then(|[interval, value]| {
        Some([memory::valid_timeval(interval)?, memory::valid_timeval(value)?])
    });
    let Some([interval, value]) = times else {
        return call.make(MARK);
    };
    let new = packed_timevals(call.form, [interval, value].map(host_span));
    let result = call.with(1, addr_of(&new)).make(MARK);
    if result >= 0 && old_addr != 0 {
        scale_timevals(call.form, old_addr, rate);
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
        scale_timevals(call.form, call.args[1], transform(clock::MONOTONIC).rate);
    }
    result
}

/// `alarm`, by `setitimer`, as a second of the program's may be less than one of the host's.
#[inline(never)]
pub fn alarm(call: Call) -> i64 {
    let rate = transform(clock::MONOTONIC).rate;
    let value = Timespec { sec: i64::from(call.args[0] as u32), nsec: 0 };
    let form = Form::OLD;
    let new = packed_timevals(form, [NONE, host_span(value)]);
    let mut old = [[0u64; 2]; 2];
    let args = [0, addr_of(&new), (&raw mut old).addr() as u64, 0, 0, 0];
    let result = Call { number: number::SETITIMER, args, form }.make(MARK);
    if result < 0 {
        return result;
    }
    // SAFETY: it is ours; read anew, as the kernel has written.
    let [_, left] = form.unpacked_pair(unsafe { (&raw const old).read_volatile() });
    let left = self::left(rate, memory::of_timeval(left).unwrap_or(NONE));
    // As the kernel rounds: never to "none was set", else to the nearest.
    let is_up = left.nsec >= 500_000_000 || left.sec == 0 && left.nsec != 0;
    (left.sec + i64::from(is_up)).min(i64::from(u32::MAX))
}

fn packed_timevals(form: Form, times: [Timespec; 2]) -> [[u64; 2]; 2] {
    form.packed_pair(times.map(memory::timeval).map(|words| form.fitting(words)))
}

/// `struct __kernel_itimerspec` and its like: how often, and when first.
fn read_pair(form: Form, addr: u64) -> Option<[Timespec; 2]> {
    let second_addr = addr.wrapping_add(form.bytes());
    Some([memory::read_timespec(form, addr)?, memory::read_timespec(form, second_addr)?])
}

/// What the kernel has just written there becomes the program's.
fn scale_pair(addr: u64, rate: Rate) {
    if rate == Rate::ONE {
        return;
    }
    if let Some(pair) = read_pair(Form::Time64, addr) {
        for (at, time) in [(0, pair[0]), (16, pair[1])] {
            memory::write(Form::Time64, addr.wrapping_add(at), memory::words(left(rate, time)));
        }
    }
}

fn scale_timevals(form: Form, addr: u64, rate: Rate) {
    if rate == Rate::ONE {
        return;
    }
    for addr in [addr, addr.wrapping_add(form.bytes())] {
        if let Some(time) = memory::read(form, addr).and_then(memory::valid_timeval) {
            memory::write(form, addr, memory::timeval(left(rate, time)));
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
