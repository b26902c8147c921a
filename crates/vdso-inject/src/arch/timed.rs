//! The system calls with times of the architectures that share `include/uapi/asm-generic/unistd.h`.

use vdso_arch::system_call::timed::generic as number;
use vdso_data::clock;
use vdso_data::detour::Mark;
use vdso_data::detour::Mark::{High, Low};

use super::{Clock, TimedCall, Times, Word};
use Times::{
    Deadline, ForFile, Futex, Interval, Millis, Now, OfFile, Ring, Sleep, SocketOption, Span,
    SpanWithoutSet, Timer, TimerLeft,
};

const REALTIME: Clock = Clock::Fixed(clock::REALTIME);
const MONOTONIC: Clock = Clock::Fixed(clock::MONOTONIC);
const BOOTTIME: Clock = Clock::Fixed(clock::BOOTTIME);

const FUTEX_WAIT: Times = Deadline { place: 4, clock: Clock::Argument(5) };
const FUTEX_WAITV: Times = Deadline { place: 3, clock: Clock::Argument(4) };
const MESSAGE: Times = Deadline { place: 4, clock: REALTIME };
const EVENTS: Times = SpanWithoutSet { place: 4, set_place: 5 };

const fn call(name: &'static str, number: u32, times: Times, mark: Mark) -> TimedCall {
    TimedCall { name, number, times, mark }
}

/// The calls; the most frequent ones first, as the filter compares in this order.
pub static CALLS: &[TimedCall] = &[
    call("futex", number::FUTEX, Futex, High(5)),
    call(
        "clock_gettime",
        number::CLOCK_GETTIME,
        Now { clock: Clock::Argument(0), word: Word::Bits64 },
        Low(2),
    ),
    call("clock_nanosleep", number::CLOCK_NANOSLEEP, Sleep, Low(4)),
    call("nanosleep", number::NANOSLEEP, Span { place: 0 }, Low(4)),
    call("ppoll", number::PPOLL, Span { place: 2 }, Low(5)),
    call("pselect6", number::PSELECT6, Span { place: 4 }, High(0)),
    call("epoll_pwait", number::EPOLL_PWAIT, Millis { place: 3 }, High(0)),
    call("epoll_pwait2", number::EPOLL_PWAIT2, Span { place: 3 }, High(0)),
    call("futex_wait", number::FUTEX_WAIT, FUTEX_WAIT, High(3)),
    call("futex_waitv", number::FUTEX_WAITV, FUTEX_WAITV, Low(5)),
    call("timerfd_settime", number::TIMERFD_SETTIME, Timer { place: 2 }, Low(5)),
    call("timerfd_gettime", number::TIMERFD_GETTIME, TimerLeft, Low(5)),
    call("timer_settime", number::TIMER_SETTIME, Timer { place: 2 }, Low(5)),
    call("timer_gettime", number::TIMER_GETTIME, TimerLeft, Low(5)),
    call("setitimer", number::SETITIMER, Interval { place: 1 }, Low(5)),
    call("getitimer", number::GETITIMER, Interval { place: 1 }, Low(5)),
    call("mq_timedsend", number::MQ_TIMEDSEND, MESSAGE, Low(5)),
    call("mq_timedreceive", number::MQ_TIMEDRECEIVE, MESSAGE, Low(5)),
    call("semtimedop", number::SEMTIMEDOP, Span { place: 3 }, Low(5)),
    call("rt_sigtimedwait", number::RT_SIGTIMEDWAIT, Span { place: 2 }, Low(5)),
    call("recvmmsg", number::RECVMMSG, Span { place: 4 }, Low(5)),
    call("setsockopt", number::SETSOCKOPT, SocketOption, Low(5)),
    call("getsockopt", number::GETSOCKOPT, SocketOption, Low(5)),
    call("io_uring_enter", number::IO_URING_ENTER, Ring, High(1)),
    call("io_getevents", number::IO_GETEVENTS, Span { place: 4 }, Low(5)),
    call("io_pgetevents", number::IO_PGETEVENTS, EVENTS, Low(5)),
    call("gettimeofday", number::GETTIMEOFDAY, Now { clock: REALTIME, word: Word::Bits64 }, Low(2)),
    call("times", number::TIMES, Now { clock: MONOTONIC, word: Word::Bits64 }, Low(2)),
    call("sysinfo", number::SYSINFO, Now { clock: BOOTTIME, word: Word::Bits64 }, Low(2)),
    call("newfstatat", number::NEWFSTATAT, OfFile, Low(5)),
    call("fstat", number::FSTAT, OfFile, Low(5)),
    call("statx", number::STATX, OfFile, Low(5)),
    call("utimensat", number::UTIMENSAT, ForFile { place: 2 }, Low(5)),
];
