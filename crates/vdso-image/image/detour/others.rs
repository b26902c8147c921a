//! Spans that calls keep or take in forms of their own: time-outs of sockets, and of a wait for a ring.

use vdso_data::clock;
use vdso_data::detour::Mark;

use super::{Call, addr_of, host_span, memory, scaled, transform};

/// `setsockopt` of a time-out.
pub fn set_option(call: Call) -> i64 {
    let (place, mark) = (3, Mark::Low(5));
    let given = memory::read(call.arg(place)).filter(|_| has_room(call.arg(4)));
    let Some(span) = given.and_then(memory::valid_timeval) else {
        return call.make(mark);
    };
    let host = memory::timeval(host_span(span));
    call.with(place, addr_of(&host)).make(mark)
}

/// `getsockopt` of a time-out.
pub fn get_option(call: Call) -> i64 {
    let result = call.make(Mark::Low(5));
    let addr = call.arg(3);
    if result >= 0
        && let Some(host) = memory::read(addr).and_then(memory::valid_timeval)
    {
        let span = scaled(transform(clock::MONOTONIC).rate, host);
        memory::write(addr, memory::timeval(span));
    }
    result
}

/// Whether a `struct timeval` fits.
fn has_room(bytes: u64) -> bool {
    bytes as u32 >= 16
}

/// `io_uring_enter` with a time-out: `struct io_uring_getevents_arg` of `include/uapi/linux/io_uring.h`.
pub fn enter_ring(call: Call) -> i64 {
    let (place, mark) = (4, Mark::High(1));
    let argument_addr = call.arg(place);
    let words = memory::read(argument_addr).zip(memory::read(argument_addr.wrapping_add(8)));
    let Some(([signals, sizes], [_, span_addr])) = words else {
        return call.make(mark);
    };
    let Some(span) = memory::read_timespec(span_addr) else {
        return call.make(mark);
    };
    let host = host_span(span);
    let argument = [signals, sizes, addr_of(&host)];
    // What was submitted must not be so again, so nothing is repeated.
    call.with(place, addr_of(&argument)).make(mark)
}
