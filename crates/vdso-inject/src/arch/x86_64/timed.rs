//! The system calls with times, `arch/x86/entry/syscalls/syscall_64.tbl`.

use vdso_data::clock;
use vdso_data::detour::Mark;
use vdso_data::detour::Mark::{High, Low};

use crate::arch::{Clock, Setter, TimedCall, Times, Word};
use Times::{
    Deadline, ForFile, Futex, Interval, Millis, Now, OfFile, Ring, Seconds, Sets, Sleep,
    SocketOption, Span, SpanWithoutSet, Timer, TimerLeft,
};

const REALTIME: Clock = Clock::Fixed(clock::REALTIME);
const MONOTONIC: Clock = Clock::Fixed(clock::MONOTONIC);
const BOOTTIME: Clock = Clock::Fixed(clock::BOOTTIME);

const fn call(name: &'static str, number: u32, times: Times, mark: Mark) -> TimedCall {
    TimedCall { name, number, times, mark }
}

/// Those of x86-64 and of x32, which has numbers of its own for some.
macro_rules! calls {
    ($abi:ident) => {{
        use vdso_arch::system_call::timed::$abi as number;
        &[
            // The most frequent ones first: the filter compares in this order.
            call("futex", number::FUTEX, Futex, High(5)),
            call("clock_gettime", number::CLOCK_GETTIME, Now { clock: Clock::Argument(0) }, Low(2)),
            call("clock_nanosleep", number::CLOCK_NANOSLEEP, Sleep, Low(4)),
            call("nanosleep", number::NANOSLEEP, Span { place: 0 }, Low(4)),
            call("poll", number::POLL, Millis { place: 2 }, Low(5)),
            call("ppoll", number::PPOLL, Span { place: 2 }, Low(5)),
            call("select", number::SELECT, Span { place: 4 }, Low(5)),
            call("pselect6", number::PSELECT6, Span { place: 4 }, High(0)),
            call("epoll_wait", number::EPOLL_WAIT, Millis { place: 3 }, High(0)),
            call("epoll_pwait", number::EPOLL_PWAIT, Millis { place: 3 }, High(0)),
            call("epoll_pwait2", number::EPOLL_PWAIT2, Span { place: 3 }, High(0)),
            call(
                "futex_wait",
                number::FUTEX_WAIT,
                Deadline { place: 4, clock: Clock::Argument(5) },
                High(3),
            ),
            call(
                "futex_waitv",
                number::FUTEX_WAITV,
                Deadline { place: 3, clock: Clock::Argument(4) },
                Low(5),
            ),
            call("timerfd_settime", number::TIMERFD_SETTIME, Timer { place: 2 }, Low(5)),
            call("timerfd_gettime", number::TIMERFD_GETTIME, TimerLeft, Low(5)),
            call("timer_settime", number::TIMER_SETTIME, Timer { place: 2 }, Low(5)),
            call("timer_gettime", number::TIMER_GETTIME, TimerLeft, Low(5)),
            call("setitimer", number::SETITIMER, Interval { place: 1 }, Low(5)),
            call("getitimer", number::GETITIMER, Interval { place: 1 }, Low(5)),
            call("alarm", number::ALARM, Seconds, Low(5)),
            call(
                "mq_timedsend",
                number::MQ_TIMEDSEND,
                Deadline { place: 4, clock: REALTIME },
                Low(5),
            ),
            call(
                "mq_timedreceive",
                number::MQ_TIMEDRECEIVE,
                Deadline { place: 4, clock: REALTIME },
                Low(5),
            ),
            call("semtimedop", number::SEMTIMEDOP, Span { place: 3 }, Low(5)),
            call("rt_sigtimedwait", number::RT_SIGTIMEDWAIT, Span { place: 2 }, Low(5)),
            call("recvmmsg", number::RECVMMSG, Span { place: 4 }, Low(5)),
            call("setsockopt", number::SETSOCKOPT, SocketOption, Low(5)),
            call("getsockopt", number::GETSOCKOPT, SocketOption, Low(5)),
            call("io_uring_enter", number::IO_URING_ENTER, Ring, High(1)),
            call("io_getevents", number::IO_GETEVENTS, Span { place: 4 }, Low(5)),
            call(
                "io_pgetevents",
                number::IO_PGETEVENTS,
                SpanWithoutSet { place: 4, set_place: 5 },
                Low(5),
            ),
            call("gettimeofday", number::GETTIMEOFDAY, Now { clock: REALTIME }, Low(2)),
            call("time", number::TIME, Now { clock: REALTIME }, Low(2)),
            call("times", number::TIMES, Now { clock: MONOTONIC }, Low(2)),
            call("sysinfo", number::SYSINFO, Now { clock: BOOTTIME }, Low(2)),
            setter("clock_settime", number::CLOCK_SETTIME, Setter::ClockSettime, Word::Bits64),
            setter("settimeofday", number::SETTIMEOFDAY, Setter::Settimeofday, Word::Bits64),
            setter("adjtimex", number::ADJTIMEX, Setter::Adjtimex, Word::Bits64),
            setter("clock_adjtime", number::CLOCK_ADJTIME, Setter::ClockAdjtime, Word::Bits64),
            call("newfstatat", number::NEWFSTATAT, OfFile, Low(5)),
            call("fstat", number::FSTAT, OfFile, Low(5)),
            call("stat", number::STAT, OfFile, Low(5)),
            call("lstat", number::LSTAT, OfFile, Low(5)),
            call("statx", number::STATX, OfFile, Low(5)),
            call("utimensat", number::UTIMENSAT, ForFile { place: 2 }, Low(5)),
            call("utimes", number::UTIMES, ForFile { place: 1 }, Low(5)),
            call("utime", number::UTIME, ForFile { place: 1 }, Low(5)),
            call("futimesat", number::FUTIMESAT, ForFile { place: 2 }, Low(5)),
        ]
    }};
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

/// The calls of x86-64 programs.
pub static CALLS: &[TimedCall] = calls!(x86_64);
/// The calls of x32 programs.
pub static X32_CALLS: &[TimedCall] = calls!(x32);
