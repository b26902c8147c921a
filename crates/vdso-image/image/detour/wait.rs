//! Waits with one deadline or one span.

use vdso_data::arithmetic::Timespec;
use vdso_data::clock;
use vdso_data::detour::Mark;

use super::memory::Form;
use super::{Call, addr_of, host_span, host_time, line, marks, memory, now, scaled, transform};
use crate::arch::number;

/// `ETIMEDOUT` and others of `include/uapi/asm-generic/errno.h`, as a call says them.
const TIMED_OUT: i64 = -110;
const TRY_AGAIN: i64 = -11;
const INTERRUPTED: i64 = -4;
const EFAULT: i64 = -14;

/// What is told instead of a result if a clock was set.
const AGAIN: i64 = -(vdso_data::detour::AGAIN as i64);

/// What says that the time is over: where that is no error the call has only waited.
const SLEPT: i64 = 0;

/// Until a clock shows a time.
pub struct Until {
    pub clock: u32,
    /// Which argument is the deadline's address.
    pub place: usize,
    pub mark: Mark,
    /// What the call gives then.
    pub timed_out: i64,
}

impl Until {
    /// Makes the call, and makes it again if the host's clock was there first, or if somebody has set a clock.
    #[inline(never)]
    pub fn make(&self, call: Call) -> i64 {
        let Some(wanted) = memory::read_timespec(call.form, call.arg(self.place)) else {
            return call.make_with_bad_time(self.place, self.mark);
        };
        loop {
            let host = host_time(&transform(line(self.clock)), wanted);
            let result = call.with(self.place, addr_of(&host)).make(self.mark);
            let is_over = now(line(self.clock)) >= wanted;
            match result {
                AGAIN if is_over => return self.timed_out,
                AGAIN => {}
                _ if result == self.timed_out && !is_over => {}
                _ => return result,
            }
        }
    }
}

/// As long as MONOTONIC takes to pass a span.
pub struct For {
    /// Which argument is the span's address.
    pub place: usize,
    pub mark: Mark,
    /// What the call gives then, if that says it.
    pub timed_out: Option<i64>,
    /// How the kernel takes the span.
    pub form: Form,
}

impl For {
    /// Out of line, as a constant would be data.
    #[inline(never)]
    pub fn new(place: usize, mark: Mark, timed_out: Option<i64>) -> Self {
        Self { place, mark, timed_out, form: Form::Time64 }
    }

    /// Makes the call, and makes it again if the host's clock was there first. Gives what it gave, and what
    /// the kernel has left in the span's place: the host's.
    #[inline(never)]
    pub fn make(&self, call: Call, span: Timespec) -> (i64, Timespec) {
        let began = now(clock::MONOTONIC);
        let mut left = span;
        loop {
            let mut host = self.form.packed(self.form.fitting(memory::words(host_span(left))));
            // The kernel may write there.
            let place = (&raw mut host).addr() as u64;
            let result = call.with(self.place, place).make(self.mark);
            // SAFETY: it is ours; read anew, as the kernel may have written.
            let host = self.form.unpacked(unsafe { (&raw const host).read_volatile() });
            let host = Timespec { sec: host[0] as i64, nsec: host[1] as i64 };
            let passed = now(clock::MONOTONIC).wrapping_sub(began);
            if Some(result) != self.timed_out || passed >= span {
                return (result, host);
            }
            left = span.wrapping_sub(passed);
        }
    }
}

/// `nanosleep`, `clock_nanosleep`.
#[inline(never)]
pub fn sleep(call: Call) -> i64 {
    const TIMER_ABSTIME: u64 = 1;
    let is_plain = call.number == number::NANOSLEEP;
    let (place, rest) = if is_plain { (0, 1) } else { (2, 3) };
    if !is_plain && call.args[1] & TIMER_ABSTIME != 0 {
        let clock = call.args[0] as u32;
        let mark = Mark::Low(4);
        return Until { clock, place, mark, timed_out: SLEPT }.make(call);
    }
    let mark = Mark::Low(4);
    // A processor's time is what it is.
    if !is_plain && !matches!(call.args[0] as u32, 0 | 1 | 7 | 8 | 9 | 11) {
        return call.make_as_it_is();
    }
    let Some(span) = memory::read_timespec(call.form, call.arg(place)) else {
        return call.make_with_bad_time(place, mark);
    };
    let rest_addr = call.arg(rest);
    if call.form != Form::Time64 && rest_addr != 0 {
        return sleep_with_rest(call, span);
    }
    let (result, _) = For::new(place, mark, Some(SLEPT)).make(call, span);
    if result == INTERRUPTED && rest_addr != 0 {
        scale_rest(rest_addr);
    }
    result
}

/// `clock_nanosleep`, whose rest the program wants in another form than the kernel gives it.
fn sleep_with_rest(call: Call, span: Timespec) -> i64 {
    let (place, rest_place, mark) = (2, 3, Mark::Low(4));
    let mut rest = [0u64; 2];
    let own = call.with(rest_place, (&raw mut rest).addr() as u64);
    let (result, _) = For::new(place, mark, Some(SLEPT)).make(own, span);
    if result != INTERRUPTED {
        return result;
    }
    // SAFETY: it is ours; read anew, as the kernel has written.
    let [sec, nsec] = unsafe { (&raw const rest).read_volatile() };
    let rest = scaled(transform(clock::MONOTONIC).rate, Timespec { sec: sec as i64, nsec: nsec as i64 });
    if memory::write(call.form, call.arg(rest_place), memory::words(rest)) { result } else { EFAULT }
}

/// What the kernel has written of a host's span becomes the program's.
fn scale_rest(addr: u64) {
    if let Some(rest) = memory::read_timespec(Form::Time64, addr) {
        let rest = scaled(transform(clock::MONOTONIC).rate, rest);
        memory::write(Form::Time64, addr, memory::words(rest));
    }
}

/// `futex`: its operations with a time-out.
#[inline(never)]
pub fn futex(call: Call) -> i64 {
    /// `include/uapi/linux/futex.h`.
    const COMMAND: u64 = !(128 | CLOCK_REALTIME);
    const CLOCK_REALTIME: u64 = 256;
    const WAIT: u64 = 0;
    const LOCK_PI: u64 = 6;
    const WAIT_BITSET: u64 = 9;
    const WAIT_REQUEUE_PI: u64 = 11;
    const LOCK_PI2: u64 = 13;
    let place = 3;
    let mark = marks::FUTEX;
    let operation = call.args[1] & u64::from(u32::MAX);
    let by_flag =
        if operation & CLOCK_REALTIME != 0 { clock::REALTIME } else { clock::MONOTONIC };
    let until = |clock| Until { clock, place, mark, timed_out: TIMED_OUT };
    match operation & COMMAND {
        _ if call.arg(place) == 0 => call.make_as_it_is(),
        WAIT => span(call, place, mark, TIMED_OUT),
        LOCK_PI => until(clock::REALTIME).make(call),
        WAIT_BITSET | LOCK_PI2 | WAIT_REQUEUE_PI => until(by_flag).make(call),
        _ => call.make_as_it_is(),
    }
}

/// `futex_wait`, `futex_waitv`: the clock is an argument.
#[inline(never)]
pub fn futex_by_clock(call: Call) -> i64 {
    let is_several = call.number == number::FUTEX_WAITV;
    let (place, clock, mark) =
        if is_several { (3, 4, Mark::Low(5)) } else { (4, 5, marks::FUTEX_WAIT) };
    if call.arg(place) == 0 {
        return call.make_as_it_is();
    }
    Until { clock: call.arg(clock) as u32, place, mark, timed_out: TIMED_OUT }.make(call)
}

/// `mq_timedsend`, `mq_timedreceive`.
#[inline(never)]
pub fn message(call: Call) -> i64 {
    let (place, mark) = (4, Mark::Low(5));
    if call.arg(place) == 0 {
        return call.make(mark);
    }
    Until { clock: clock::REALTIME, place, mark, timed_out: TIMED_OUT }.make(call)
}

/// Others with the address of a span that stays as it is.
#[inline(never)]
pub fn short(call: Call) -> i64 {
    match call.number {
        number::SEMTIMEDOP => span(call, 3, Mark::Low(5), TRY_AGAIN),
        _ => span(call, 2, Mark::Low(5), TRY_AGAIN),
    }
}

fn span(call: Call, place: usize, mark: Mark, timed_out: i64) -> i64 {
    let Some(span) = memory::read_timespec(call.form, call.arg(place)) else {
        return call.make_with_bad_time(place, mark);
    };
    For::new(place, mark, Some(timed_out)).make(call, span).0
}
