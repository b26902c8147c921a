//! Waits for descriptors. Their spans come in several forms; where the kernel counts in milliseconds, the call is
//! made by its younger sibling that counts in nanoseconds, as a millisecond may be a second of the program's.

use vdso_data::arithmetic::Timespec;
use vdso_data::clock;
use vdso_data::detour::Mark;

use super::wait::For;
use super::{Call, host_span, memory, scaled, transform};
use crate::arch::number;

/// None of them was ready in time.
const NONE_READY: i64 = 0;

const EFAULT: i64 = -14;
const ENOSYS: i64 = -38;

/// `ppoll`, `pselect6`, `recvmmsg`: the kernel writes what is left of the span in its place.
#[inline(never)]
pub fn with_rest(call: Call) -> i64 {
    let (place, mark, timed_out) = match call.number {
        number::PPOLL => (2, Mark::Low(5), Some(NONE_READY)),
        number::PSELECT6 => (4, Mark::High(0), Some(NONE_READY)),
        // It looks at the time between messages alone.
        _ => (4, Mark::Low(5), None),
    };
    let Some(span) = memory::read_timespec(call.arg(place)) else {
        return call.make(mark);
    };
    let (result, left) = For::new(place, mark, timed_out).make(call, span);
    let is_written = memory::write(call.arg(place), memory::words(of_program(left, span)));
    // The others do not mind.
    if call.number == number::RECVMMSG && result > 0 && !is_written { EFAULT } else { result }
}

/// `io_getevents`, and `io_pgetevents` without a set of signals.
#[inline(never)]
pub fn events(call: Call) -> i64 {
    let (place, mark) = (4, Mark::Low(5));
    if call.number == number::IO_PGETEVENTS && call.args[5] != 0 {
        return call.make_as_it_is();
    }
    let call = Call { number: number::IO_GETEVENTS, args: call.args };
    // It takes any number of nanoseconds.
    match memory::read(call.arg(place)).and_then(memory::of_unchecked_timespec) {
        Some(span) => For::new(place, mark, Some(NONE_READY)).make(call, span).0,
        None => call.make(mark),
    }
}

/// `epoll_pwait2`.
#[inline(never)]
pub fn without_rest(call: Call) -> i64 {
    let (place, mark) = (3, Mark::High(0));
    match memory::read_timespec(call.arg(place)) {
        Some(span) => For::new(place, mark, Some(NONE_READY)).make(call, span).0,
        None => call.make(mark),
    }
}

/// `poll`, by `ppoll`.
#[inline(never)]
pub fn poll(call: Call) -> i64 {
    let [descriptors, count, timeout_ms, ..] = call.args;
    let Some(span) = of_millis(timeout_ms) else {
        return call.make(Mark::Low(5));
    };
    let call = Call { number: number::PPOLL, args: [descriptors, count, 0, 0, SET_BYTES, 0] };
    For::new(2, Mark::Low(5), Some(NONE_READY)).make(call, span).0
}

/// `select`, by `pselect6`.
#[inline(never)]
pub fn select(call: Call) -> i64 {
    let timeout_addr = call.args[4];
    let words = if timeout_addr == 0 { None } else { memory::read(timeout_addr) };
    let Some(span) = words.and_then(memory::of_timeval) else {
        return call.make(Mark::Low(5));
    };
    let call = Call { number: number::PSELECT6, args: call.args }.with(5, 0);
    let (result, left) =
        For::new(4, Mark::High(0), Some(NONE_READY)).make(call, span);
    let mut left = of_program(left, span);
    left.nsec -= left.nsec % 1_000;
    memory::write(timeout_addr, memory::timeval(left));
    result
}

/// `epoll_wait`, `epoll_pwait`, by `epoll_pwait2` where the kernel has that.
#[inline(never)]
pub fn epoll(call: Call) -> i64 {
    let mark = Mark::High(0);
    let Some(span) = of_millis(call.args[3]) else {
        return call.make(mark);
    };
    let has_set = call.number == number::EPOLL_PWAIT;
    let [epoll, events, most, _, set, set_bytes] = call.args;
    let (set, set_bytes) = if has_set { (set, set_bytes) } else { (0, SET_BYTES) };
    let args = [epoll, events, most, 0, set, set_bytes];
    let finer = Call { number: number::EPOLL_PWAIT2, args };
    let (result, _) = For::new(3, mark, Some(NONE_READY)).make(finer, span);
    if result != ENOSYS {
        return result;
    }
    let host = host_span(span);
    let host_ms = (host.sec as u64)
        .saturating_mul(1_000)
        .saturating_add((host.nsec as u64).div_ceil(1_000_000))
        .min(i32::MAX as u64);
    call.with(3, host_ms).make(mark)
}

/// Bytes of a set of signals.
const SET_BYTES: u64 = 8;

/// A number of milliseconds, as `int`; `None` if it means "for ever".
fn of_millis(timeout_ms: u64) -> Option<Timespec> {
    let ms = timeout_ms as i32;
    (ms >= 0).then(|| Timespec {
        sec: i64::from(ms / 1_000),
        nsec: i64::from(ms % 1_000) * 1_000_000,
    })
}

/// What is left of the program's span, if so much is left of the host's.
fn of_program(left: Timespec, span: Timespec) -> Timespec {
    let left = scaled(transform(clock::MONOTONIC).rate, left);
    if left < span { left } else { span }
}
