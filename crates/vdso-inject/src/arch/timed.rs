//! The system calls with times of the architectures that share `include/uapi/asm-generic/unistd.h`.

use vdso_arch::system_call::timed::generic as number;
use vdso_data::clock;
use vdso_data::detour::Mark;
use vdso_data::detour::Mark::{High, Low};

use super::{Clock, Setter, TimedCall, Times, Word};
use Times::{
    Deadline, ForFile, Futex, Interval, Millis, Now, OfFile, Ring, Sets, Sleep, SocketOption, Span,
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

const fn setter(name: &'static str, number: u32, setter: Setter) -> TimedCall {
    // The image makes none of them, so there is no mark.
    TimedCall { name, number, times: Sets { setter, word: Word::Bits64 }, mark: Low(2) }
}

/// Whether a call may wait until a time of a clock, or goes on with such a wait.
pub fn may_wait_until(number: u32) -> bool {
    /// `restart_syscall`.
    const RESTART: u32 = 128;
    let waits = |call: &TimedCall| {
        call.number == number && matches!(call.times, Deadline { .. } | Sleep | Futex)
    };
    number == RESTART || CALLS.iter().any(waits)
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
    setter("clock_settime", number::CLOCK_SETTIME, Setter::ClockSettime),
    setter("settimeofday", number::SETTIMEOFDAY, Setter::Settimeofday),
    setter("adjtimex", number::ADJTIMEX, Setter::Adjtimex),
    setter("clock_adjtime", number::CLOCK_ADJTIME, Setter::ClockAdjtime),
    call("newfstatat", number::NEWFSTATAT, OfFile, Low(5)),
    call("fstat", number::FSTAT, OfFile, Low(5)),
    call("statx", number::STATX, OfFile, Low(5)),
    call("utimensat", number::UTIMENSAT, ForFile { place: 2 }, Low(5)),
];

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::arch::ABIS;

    #[test]
    fn calls_have_the_times_and_marks_that_they_have_on_x86_64() {
        let others = ABIS[0].calls.timed;
        for call in CALLS {
            let other = others.iter().find(|other| other.name == call.name).expect(call.name);
            let same = TimedCall { number: other.number, ..*call };
            assert_eq!(same, *other);
        }
        // Those that newer calls replace, which these architectures have not.
        let old = [
            "poll",
            "select",
            "epoll_wait",
            "alarm",
            "time",
            "stat",
            "lstat",
            "utimes",
            "utime",
            "futimesat",
        ];
        let is_there = |name| CALLS.iter().any(|call| call.name == name);
        for other in others {
            assert!(is_there(other.name) != old.contains(&other.name), "{}", other.name);
        }
    }

    #[test]
    fn waits_until_a_time_are_told_from_others() {
        for number in [number::CLOCK_NANOSLEEP, number::FUTEX, number::FUTEX_WAITV, 128] {
            assert!(may_wait_until(number), "{number}");
        }
        for number in [number::PPOLL, number::RT_SIGPROCMASK, number::TIMERFD_SETTIME] {
            assert!(!may_wait_until(number), "{number}");
        }
    }
}
