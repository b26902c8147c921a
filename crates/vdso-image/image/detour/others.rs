//! Spans that calls keep or take in forms of their own: time-outs of sockets, and of a wait for a ring.

use vdso_data::clock;
use vdso_data::detour::Mark;

use super::memory::Form;
use super::{Call, NONE, addr_of, host_span, host_time, marks, memory, now, scaled, transform};

/// `setsockopt` of a time-out.
#[inline(never)]
pub fn set_option(call: Call) -> i64 {
    if !is_time_out(&call) {
        return call.make_as_it_is();
    }
    let (place, mark, form) = (3, Mark::Low(5), form(&call));
    let has_room = u64::from(call.arg(4) as u32) >= form.bytes();
    let given = memory::read(form, call.arg(place)).filter(|_| has_room);
    let Some(span) = given.and_then(memory::valid_timeval) else {
        return call.make(mark);
    };
    let host = form.packed(form.fitting(memory::timeval(host_span(span))));
    call.with(place, addr_of(&host)).make(mark)
}

/// `getsockopt` of a time-out.
#[inline(never)]
pub fn get_option(call: Call) -> i64 {
    if !is_time_out(&call) {
        return call.make_as_it_is();
    }
    let result = call.make(Mark::Low(5));
    let (addr, form) = (call.arg(3), form(&call));
    if result >= 0
        && let Some(host) = memory::read(form, addr).and_then(memory::valid_timeval)
    {
        let span = scaled(transform(clock::MONOTONIC).rate, host);
        memory::write(form, addr, memory::timeval(span));
    }
    result
}

/// Whether the option is `SO_RCVTIMEO` or `SO_SNDTIMEO`, as it is or as it was: `include/uapi/asm-generic/socket.h`.
fn is_time_out(call: &Call) -> bool {
    const SOL_SOCKET: u32 = 1;
    call.args[1] as u32 == SOL_SOCKET && matches!(call.args[2] as u32, 20 | 21 | 66 | 67)
}

/// How the time-out lies in memory: the older names are for a `struct timeval`.
fn form(call: &Call) -> Form {
    if matches!(call.args[2] as u32, 20 | 21) { Form::OLD } else { Form::Time64 }
}

/// `io_uring_enter` with `struct io_uring_getevents_arg`, which has the address of a span, or of a deadline.
#[inline(never)]
pub fn enter_ring(call: Call) -> i64 {
    /// `include/uapi/linux/io_uring.h`.
    const HAS_ARGUMENT: u64 = 1 << 3;
    const ABSOLUTE: u64 = 1 << 5;
    const TIMED_OUT: i64 = -62;
    let mark = marks::RING;
    let arg_addr = call.args[4];
    if call.args[3] & HAS_ARGUMENT == 0 || call.args[5] != RING_ARG_BYTES {
        return call.make_as_it_is();
    }
    let word = |at: u64| memory::read(Form::Time64, arg_addr.wrapping_add(at));
    let Some(([set, sizes], [_, time_addr])) = word(0).zip(word(8)) else {
        return call.make_with_bad_address(mark);
    };
    let words = memory::read(Form::Time64, time_addr);
    let words = words.map(|words| memory::looked_at(Form::Time64, words));
    // It takes any number of nanoseconds.
    let Some(time) = words.and_then(memory::of_unchecked_timespec) else {
        let arg = [set, sizes, time_addr];
        return call.with(4, addr_of(&arg)).make(mark);
    };
    let began = now(clock::MONOTONIC);
    let is_absolute = call.args[3] & ABSOLUTE != 0;
    let mut passed = NONE;
    // Whoever has submitted something does not hear that the time is over, so nothing is submitted again.
    loop {
        let host = if is_absolute {
            host_time(&transform(clock::MONOTONIC), time)
        } else {
            host_span(time.wrapping_sub(passed))
        };
        let arg = [set, sizes, addr_of(&host)];
        let result = call.with(4, addr_of(&arg)).make(mark);
        passed = now(clock::MONOTONIC);
        if !is_absolute {
            passed = passed.wrapping_sub(began);
        }
        if result != TIMED_OUT || passed >= time {
            return result;
        }
    }
}

/// Of `struct io_uring_getevents_arg`.
const RING_ARG_BYTES: u64 = 24;
