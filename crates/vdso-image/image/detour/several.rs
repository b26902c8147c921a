//! Waits for descriptors. Their spans come in several forms; where the kernel counts in milliseconds, the call is
//! made by its younger sibling that counts in nanoseconds, as a millisecond may be a second of the program's.

use vdso_data::arithmetic::Timespec;
use vdso_data::clock;
use vdso_data::detour::Mark;

use super::memory::Form;
use super::wait::For;
use super::{Call, host_span, marks, memory, scaled, transform};
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
        number::PSELECT6 => (4, marks::PSELECT6, Some(NONE_READY)),
        // It looks at the time between messages alone.
        _ => (4, Mark::Low(5), None),
    };
    let Some(span) = memory::read_timespec(call.form, call.arg(place)) else {
        return call.make_with_bad_time(place, mark);
    };
    let (result, left) = For::new(place, mark, timed_out).make(call, span);
    let left = memory::words(of_program(left, span));
    let is_written = memory::write(call.form, call.arg(place), left);
    // The others do not mind.
    if call.number == number::RECVMMSG && result > 0 && !is_written { EFAULT } else { result }
}

/// `io_getevents`, and `io_pgetevents`: where that cannot be marked with a set of signals, it is made by the other
/// without one.
#[inline(never)]
pub fn events(call: Call) -> i64 {
    let place = 4;
    let (call, mark, form) = match marks::IO_PGETEVENTS {
        Some(mark) if call.number == number::IO_PGETEVENTS => (call, mark, Form::Time64),
        None if call.number == number::IO_PGETEVENTS && call.args[5] != 0 => {
            return call.make_as_it_is();
        }
        _ => (Call { number: number::IO_GETEVENTS, ..call }, Mark::Low(5), Form::OLD),
    };
    // It takes any number of nanoseconds.
    let words = memory::read(call.form, call.arg(place));
    let words = words.map(|words| memory::looked_at(call.form, words));
    match words.and_then(memory::of_unchecked_timespec) {
        Some(span) => For { form, ..For::new(place, mark, Some(NONE_READY)) }.make(call, span).0,
        None if call.number == number::IO_GETEVENTS => call.make(mark),
        None => call.make_with_bad_time(place, mark),
    }
}

/// `epoll_pwait2`.
#[inline(never)]
pub fn without_rest(call: Call) -> i64 {
    let (place, mark) = (3, marks::EPOLL);
    match memory::read_timespec(call.form, call.arg(place)) {
        Some(span) => For::new(place, mark, Some(NONE_READY)).make(call, span).0,
        None => call.make_with_bad_time(place, mark),
    }
}

/// `poll`, by `ppoll`.
#[inline(never)]
pub fn poll(call: Call) -> i64 {
    let [descriptors, count, timeout_ms, ..] = call.args;
    let Some(span) = of_millis(timeout_ms) else {
        return call.make(Mark::Low(5));
    };
    let args = [descriptors, count, 0, 0, SET_BYTES, 0];
    let call = Call { number: number::PPOLL, args, ..call };
    For::new(2, Mark::Low(5), Some(NONE_READY)).make(call, span).0
}

/// `select`, by `pselect6`.
#[inline(never)]
pub fn select(call: Call) -> i64 {
    let timeout_addr = call.args[4];
    let words = if timeout_addr == 0 { None } else { memory::read(call.form, timeout_addr) };
    let Some(span) = words.and_then(memory::of_timeval) else {
        return call.make(Mark::Low(5));
    };
    let finer = Call { number: number::PSELECT6, ..call }.with(5, 0);
    let (result, left) =
        For::new(4, marks::PSELECT6, Some(NONE_READY)).make(finer, span);
    let mut left = of_program(left, span);
    left.nsec -= i64::from(left.nsec as u32 % 1_000);
    memory::write(call.form, timeout_addr, memory::timeval(left));
    result
}

/// `epoll_wait`, `epoll_pwait`, by `epoll_pwait2` where the kernel has that.
#[inline(never)]
pub fn epoll(call: Call) -> i64 {
    let mark = marks::EPOLL;
    let Some(span) = of_millis(call.args[3]) else {
        return call.make_as_it_is();
    };
    let has_set = call.number == number::EPOLL_PWAIT;
    let [epoll, events, most, _, set, set_bytes] = call.args;
    let (set, set_bytes) = if has_set { (set, set_bytes) } else { (0, SET_BYTES) };
    let args = [epoll, events, most, 0, set, set_bytes];
    let finer = Call { number: number::EPOLL_PWAIT2, args, ..call };
    let (result, _) = For::new(3, mark, Some(NONE_READY)).make(finer, span);
    if result != ENOSYS {
        return result;
    }
    let host = host_span(span);
    let host_ms = (host.sec as u64)
        .saturating_mul(1_000)
        .saturating_add((host.nsec as u32).div_ceil(1_000_000).into())
        .min(i32::MAX as u64);
    make_by_millis(call.with(3, host_ms))
}

#[cfg(not(target_arch = "x86"))]
fn make_by_millis(call: Call) -> i64 {
    call.make(marks::EPOLL)
}

/// There the set of signals has the mark.
#[cfg(target_arch = "x86")]
fn make_by_millis(call: Call) -> i64 {
    let set_addr = call.args[4];
    if call.number == number::EPOLL_WAIT || set_addr == 0 {
        return Call { number: number::EPOLL_WAIT, ..call }.make(Mark::Low(5));
    }
    let mark = Mark::Address(4);
    let Some(set) = memory::read_halves(set_addr) else { return call.make_with_bad_address(mark) };
    // As much as is copied.
    let mut set = [set, [0; 2]];
    call.with(4, (&raw mut set).addr() as u64).make(mark)
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
