//! `SO_RCVTIMEO`, `SO_SNDTIMEO`: how long later calls will wait. They wait in the kernel, so these are as exact as its
//! tick, and what was set before the program began stays.

use vdso_data::arithmetic::Rate;
use vdso_data::clock;
use vdso_data::detour::Mark;

use super::timers::valid_timeval;
use super::{Call, addr_of, host_span, memory, scaled, transform};

const MARK: Mark = Mark::Low(5);

/// Of `struct timeval`.
const TIME_BYTES: i32 = 16;

/// `setsockopt`.
#[inline(never)]
pub fn set(call: Call) -> i64 {
    let [_, _, _, time_addr, bytes, _] = call.args;
    let words = if bytes as i32 >= TIME_BYTES { memory::read(time_addr) } else { None };
    let Some(span) = words.and_then(valid_timeval) else {
        return call.make(MARK);
    };
    let host = memory::timeval(host_span(span));
    call.with(3, addr_of(&host)).make(MARK)
}

/// `getsockopt`: what the kernel has just written there becomes the program's.
#[inline(never)]
pub fn get(call: Call) -> i64 {
    let result = call.make(MARK);
    let rate = transform(clock::MONOTONIC).rate;
    let [_, _, _, time_addr, bytes_addr, _] = call.args;
    if result < 0 || rate == Rate::ONE || memory::read_u32(bytes_addr) != Some(TIME_BYTES as u32) {
        return result;
    }
    if let Some(span) = memory::read(time_addr).and_then(valid_timeval) {
        memory::write(time_addr, memory::timeval(scaled(rate, span)));
    }
    result
}
