//! The system calls with times, `arch/x86/entry/syscalls/syscall_64.tbl`.

use vdso_arch::system_call::timed::i386;
use vdso_data::clock;
use vdso_data::detour::Mark;
use vdso_data::detour::Mark::{Address, High, Low};

use crate::arch::{Clock, Setter, TimedCall, Times, Word};
use Times::{
    Deadline, ForFile, Futex, Interval, Ipc, Millis, Now, OfFile, OldSelect, Ring, Seconds, Sets,
    Sleep, SocketCall, SocketOption, Span, SpanWithoutSet, Timer, TimerLeft,
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

/// i386's, `arch/x86/entry/syscalls/syscall_32.tbl`, with times of 32 bits and of 64. What has an argument to spare is marked
/// there, and all else by the address of its time.
pub static I386_CALLS: &[TimedCall] = &[
    // The most frequent ones first: the filter compares in this order.
    call("futex", i386::OLD_FUTEX, Futex, Address(3)),
    call("futex_time64", i386::FUTEX, Futex, Address(3)),
    call("clock_gettime", i386::OLD_CLOCK_GETTIME, Now { clock: Clock::Argument(0) }, Low(2)),
    call("clock_gettime64", i386::CLOCK_GETTIME, Now { clock: Clock::Argument(0) }, Low(2)),
    call("clock_nanosleep", i386::OLD_CLOCK_NANOSLEEP, Sleep, Low(4)),
    call("clock_nanosleep_time64", i386::CLOCK_NANOSLEEP, Sleep, Low(4)),
    call("nanosleep", i386::NANOSLEEP, Span { place: 0 }, Low(4)),
    call("poll", i386::POLL, Millis { place: 2 }, Low(5)),
    call("ppoll", i386::OLD_PPOLL, Span { place: 2 }, Low(5)),
    call("ppoll_time64", i386::PPOLL, Span { place: 2 }, Low(5)),
    call("_newselect", i386::SELECT, Span { place: 4 }, Low(5)),
    call("select", i386::OLD_SELECT, OldSelect, Low(5)),
    call("pselect6", i386::OLD_PSELECT6, Span { place: 4 }, Address(4)),
    call("pselect6_time64", i386::PSELECT6, Span { place: 4 }, Address(4)),
    call("epoll_wait", i386::EPOLL_WAIT, Millis { place: 3 }, Low(5)),
    // By the address of its set of signals.
    call("epoll_pwait", i386::EPOLL_PWAIT, Millis { place: 3 }, Address(4)),
    call("epoll_pwait2", i386::EPOLL_PWAIT2, Span { place: 3 }, Address(3)),
    call(
        "futex_wait",
        i386::FUTEX_WAIT,
        Deadline { place: 4, clock: Clock::Argument(5) },
        Address(4),
    ),
    call(
        "futex_waitv",
        i386::FUTEX_WAITV,
        Deadline { place: 3, clock: Clock::Argument(4) },
        Low(5),
    ),
    call("timerfd_settime", i386::OLD_TIMERFD_SETTIME, Timer { place: 2 }, Low(5)),
    call("timerfd_settime64", i386::TIMERFD_SETTIME, Timer { place: 2 }, Low(5)),
    call("timerfd_gettime", i386::OLD_TIMERFD_GETTIME, TimerLeft, Low(5)),
    call("timerfd_gettime64", i386::TIMERFD_GETTIME, TimerLeft, Low(5)),
    call("timer_settime", i386::OLD_TIMER_SETTIME, Timer { place: 2 }, Low(5)),
    call("timer_settime64", i386::TIMER_SETTIME, Timer { place: 2 }, Low(5)),
    call("timer_gettime", i386::OLD_TIMER_GETTIME, TimerLeft, Low(5)),
    call("timer_gettime64", i386::TIMER_GETTIME, TimerLeft, Low(5)),
    call("setitimer", i386::SETITIMER, Interval { place: 1 }, Low(5)),
    call("getitimer", i386::GETITIMER, Interval { place: 1 }, Low(5)),
    call("alarm", i386::ALARM, Seconds, Low(5)),
    call("mq_timedsend", i386::OLD_MQ_TIMEDSEND, Deadline { place: 4, clock: REALTIME }, Low(5)),
    call("mq_timedsend_time64", i386::MQ_TIMEDSEND, Deadline { place: 4, clock: REALTIME }, Low(5)),
    call(
        "mq_timedreceive",
        i386::OLD_MQ_TIMEDRECEIVE,
        Deadline { place: 4, clock: REALTIME },
        Low(5),
    ),
    call(
        "mq_timedreceive_time64",
        i386::MQ_TIMEDRECEIVE,
        Deadline { place: 4, clock: REALTIME },
        Low(5),
    ),
    call("ipc", i386::IPC, Ipc, Low(3)),
    call("semtimedop_time64", i386::SEMTIMEDOP, Span { place: 3 }, Low(5)),
    call("rt_sigtimedwait", i386::OLD_RT_SIGTIMEDWAIT, Span { place: 2 }, Low(5)),
    call("rt_sigtimedwait_time64", i386::RT_SIGTIMEDWAIT, Span { place: 2 }, Low(5)),
    call("recvmmsg", i386::OLD_RECVMMSG, Span { place: 4 }, Low(5)),
    call("recvmmsg_time64", i386::RECVMMSG, Span { place: 4 }, Low(5)),
    call("socketcall", i386::SOCKETCALL, SocketCall, Low(5)),
    call("setsockopt", i386::SETSOCKOPT, SocketOption, Low(5)),
    call("getsockopt", i386::GETSOCKOPT, SocketOption, Low(5)),
    call("io_uring_enter", i386::IO_URING_ENTER, Ring, Address(4)),
    call("io_getevents", i386::IO_GETEVENTS, Span { place: 4 }, Low(5)),
    call("io_pgetevents", i386::OLD_IO_PGETEVENTS, Span { place: 4 }, Address(4)),
    call("io_pgetevents_time64", i386::IO_PGETEVENTS, Span { place: 4 }, Address(4)),
    call("gettimeofday", i386::GETTIMEOFDAY, Now { clock: REALTIME }, Low(2)),
    call("time", i386::TIME, Now { clock: REALTIME }, Low(2)),
    call("times", i386::TIMES, Now { clock: MONOTONIC }, Low(2)),
    call("sysinfo", i386::SYSINFO, Now { clock: BOOTTIME }, Low(2)),
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
