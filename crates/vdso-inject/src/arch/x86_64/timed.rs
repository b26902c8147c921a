//! The system calls with times, `arch/x86/entry/syscalls/syscall_64.tbl`.

use vdso_data::clock;
use vdso_data::detour::Mark;
use vdso_data::detour::Mark::{High, Low};

use vdso_arch::system_call::X32_BIT;

use crate::arch::{Clock, Setter, TimedCall, Times, Word};
use Times::{
    Deadline, ForFile, Futex, Interval, Millis, Now, OfFile, Ring, Seconds, Sets, Sleep,
    SocketOption, Span, SpanWithoutSet, Timer, TimerLeft,
};

/// Those of x86-64 and of x32, which has numbers of its own for some.
const fn calls(bit: u32) -> [TimedCall; 47] {
    const fn or(bit: u32, number: u32, of_x32: u32) -> u32 {
        if bit == 0 { number } else { bit | of_x32 }
    }
    const REALTIME: Clock = Clock::Fixed(clock::REALTIME);
    const MONOTONIC: Clock = Clock::Fixed(clock::MONOTONIC);
    const BOOTTIME: Clock = Clock::Fixed(clock::BOOTTIME);
    const fn call(name: &'static str, number: u32, times: Times, mark: Mark) -> TimedCall {
        TimedCall { name, number, times, mark }
    }
    [
        // The most frequent ones first: the filter compares in this order.
        call("futex", bit | 202, Futex, High(5)),
        call("clock_gettime", bit | 228, Now { clock: Clock::Argument(0) }, Low(2)),
        call("clock_nanosleep", bit | 230, Sleep, Low(4)),
        call("nanosleep", bit | 35, Span { place: 0 }, Low(4)),
        call("poll", bit | 7, Millis { place: 2 }, Low(5)),
        call("ppoll", bit | 271, Span { place: 2 }, Low(5)),
        call("select", bit | 23, Span { place: 4 }, Low(5)),
        call("pselect6", bit | 270, Span { place: 4 }, High(0)),
        call("epoll_wait", bit | 232, Millis { place: 3 }, High(0)),
        call("epoll_pwait", bit | 281, Millis { place: 3 }, High(0)),
        call("epoll_pwait2", bit | 441, Span { place: 3 }, High(0)),
        call("futex_wait", bit | 455, Deadline { place: 4, clock: Clock::Argument(5) }, High(3)),
        call("futex_waitv", bit | 449, Deadline { place: 3, clock: Clock::Argument(4) }, Low(5)),
        call("timerfd_settime", bit | 286, Timer { place: 2 }, Low(5)),
        call("timerfd_gettime", bit | 287, TimerLeft, Low(5)),
        call("timer_settime", bit | 223, Timer { place: 2 }, Low(5)),
        call("timer_gettime", bit | 224, TimerLeft, Low(5)),
        call("setitimer", bit | 38, Interval { place: 1 }, Low(5)),
        call("getitimer", bit | 36, Interval { place: 1 }, Low(5)),
        call("alarm", bit | 37, Seconds, Low(5)),
        call("mq_timedsend", bit | 242, Deadline { place: 4, clock: REALTIME }, Low(5)),
        call("mq_timedreceive", bit | 243, Deadline { place: 4, clock: REALTIME }, Low(5)),
        call("semtimedop", bit | 220, Span { place: 3 }, Low(5)),
        call("rt_sigtimedwait", or(bit, 128, 523), Span { place: 2 }, Low(5)),
        call("recvmmsg", or(bit, 299, 537), Span { place: 4 }, Low(5)),
        call("setsockopt", or(bit, 54, 541), SocketOption, Low(5)),
        call("getsockopt", or(bit, 55, 542), SocketOption, Low(5)),
        call("io_uring_enter", bit | 426, Ring, High(1)),
        call("io_getevents", bit | 208, Span { place: 4 }, Low(5)),
        call("io_pgetevents", bit | 333, SpanWithoutSet { place: 4, set_place: 5 }, Low(5)),
        call("gettimeofday", bit | 96, Now { clock: REALTIME }, Low(2)),
        call("time", bit | 201, Now { clock: REALTIME }, Low(2)),
        call("times", bit | 100, Now { clock: MONOTONIC }, Low(2)),
        call("sysinfo", bit | 99, Now { clock: BOOTTIME }, Low(2)),
        setter("clock_settime", bit | 227, Setter::ClockSettime, Word::Bits64),
        setter("settimeofday", bit | 164, Setter::Settimeofday, Word::Bits64),
        setter("adjtimex", bit | 159, Setter::Adjtimex, Word::Bits64),
        setter("clock_adjtime", bit | 305, Setter::ClockAdjtime, Word::Bits64),
        call("newfstatat", bit | 262, OfFile, Low(5)),
        call("fstat", bit | 5, OfFile, Low(5)),
        call("stat", bit | 4, OfFile, Low(5)),
        call("lstat", bit | 6, OfFile, Low(5)),
        call("statx", bit | 332, OfFile, Low(5)),
        call("utimensat", bit | 280, ForFile { place: 2 }, Low(5)),
        call("utimes", bit | 235, ForFile { place: 1 }, Low(5)),
        call("utime", bit | 132, ForFile { place: 1 }, Low(5)),
        call("futimesat", bit | 261, ForFile { place: 2 }, Low(5)),
    ]
}

const fn setter(name: &'static str, number: u32, setter: Setter, word: Word) -> TimedCall {
    // The image makes none of them, so there is no mark.
    TimedCall { name, number, times: Sets { setter, word }, mark: Low(2) }
}

/// i386's, `arch/x86/entry/syscalls/syscall_32.tbl`: those that set clocks, with times of 32 bits and of 64.
pub static I386_CALLS: &[TimedCall] = &[
    setter("stime", 25, Setter::Stime, Word::Bits32),
    setter("settimeofday", 79, Setter::Settimeofday, Word::Bits32),
    setter("adjtimex", 124, Setter::Adjtimex, Word::Bits32),
    setter("clock_settime", 264, Setter::ClockSettime, Word::Bits32),
    setter("clock_adjtime", 343, Setter::ClockAdjtime, Word::Bits32),
    setter("clock_settime64", 404, Setter::ClockSettime, Word::Bits64),
    setter("clock_adjtime64", 405, Setter::ClockAdjtime, Word::Bits64),
];

/// x86-64's.
pub static CALLS: &[TimedCall] = &calls(0);
/// x32's.
pub static X32_CALLS: &[TimedCall] = &calls(X32_BIT);
