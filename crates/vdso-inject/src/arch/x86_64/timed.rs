//! The system calls with times of x86 programs: `arch/x86/entry/syscalls/syscall_64.tbl` and `syscall_32.tbl`.

use vdso_arch::system_call::timed::i386;
use vdso_data::detour::Mark::{Address, Low};

use crate::arch::timed::{BOOTTIME, MONOTONIC, REALTIME, call, calls_of_64_bits, setter};
use crate::arch::{Clock, Setter, TimedCall, Times, Word};
use Times::{
    Deadline, Futex, Interval, Ipc, Millis, Now, OldSelect, Ring, Seconds, Sleep, SocketCall,
    SocketOption, Span, Timer, TimerLeft,
};

/// Those of x86-64 and of x32, which has numbers of its own for some, with the calls that newer architectures lack.
macro_rules! calls {
    ($abi:ident) => {{
        use vdso_arch::system_call::timed::$abi as number;
        calls_of_64_bits!(
            number;
            waits: [
                call("poll", number::POLL, Millis { place: 2 }, Low(5)),
                call("select", number::SELECT, Span { place: 4 }, Low(5)),
                call("epoll_wait", number::EPOLL_WAIT, Millis { place: 3 }, High(0)),
            ];
            others: [
                call("alarm", number::ALARM, Seconds, Low(5)),
                call("time", number::TIME, Now { clock: REALTIME, word: Word::Bits64 }, Low(2)),
                call("stat", number::STAT, OfFile, Low(5)),
                call("lstat", number::LSTAT, OfFile, Low(5)),
                call("utimes", number::UTIMES, ForFile { place: 1 }, Low(5)),
                call("utime", number::UTIME, ForFile { place: 1 }, Low(5)),
                call("futimesat", number::FUTIMESAT, ForFile { place: 2 }, Low(5)),
            ]
        )
    }};
}

/// i386's, `arch/x86/entry/syscalls/syscall_32.tbl`, with times of 32 bits and of 64. What has an argument to spare is marked
/// there, and all else by the address of its time.
pub static I386_CALLS: &[TimedCall] = &[
    // The most frequent ones first: the filter compares in this order.
    call("futex", i386::OLD_FUTEX, Futex, Address(3)),
    call("futex_time64", i386::FUTEX, Futex, Address(3)),
    call(
        "clock_gettime",
        i386::OLD_CLOCK_GETTIME,
        Now { clock: Clock::Argument(0), word: Word::Bits32 },
        Low(2),
    ),
    call(
        "clock_gettime64",
        i386::CLOCK_GETTIME,
        Now { clock: Clock::Argument(0), word: Word::Bits64 },
        Low(2),
    ),
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
    call("gettimeofday", i386::GETTIMEOFDAY, Now { clock: REALTIME, word: Word::Bits32 }, Low(2)),
    call("time", i386::TIME, Now { clock: REALTIME, word: Word::Bits32 }, Low(2)),
    call("times", i386::TIMES, Now { clock: MONOTONIC, word: Word::Bits32 }, Low(2)),
    call("sysinfo", i386::SYSINFO, Now { clock: BOOTTIME, word: Word::Bits32 }, Low(2)),
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
