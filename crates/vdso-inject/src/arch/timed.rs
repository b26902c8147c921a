//! The system calls with times of programs of 64 bits, and the whole table of the architectures that share
//! `include/uapi/asm-generic/unistd.h`.

use vdso_arch::system_call::timed::generic;
use vdso_data::clock;
use vdso_data::detour::Mark;

use super::{Clock, Setter, TimedCall, Times, Word};

pub const REALTIME: Clock = Clock::Fixed(clock::REALTIME);
pub const MONOTONIC: Clock = Clock::Fixed(clock::MONOTONIC);
pub const BOOTTIME: Clock = Clock::Fixed(clock::BOOTTIME);

pub const fn call(name: &'static str, number: u32, times: Times, mark: Mark) -> TimedCall {
    TimedCall { name, number, times, mark }
}

pub const fn setter(name: &'static str, number: u32, setter: Setter, word: Word) -> TimedCall {
    // The image makes none of them, so there is no mark.
    TimedCall { name, number, times: Times::Sets { setter, word }, mark: Mark::Low(2) }
}

/// The rows of an architecture of 64 bits, whose numbers the module `$number` has, and those that it has beyond what all have:
/// frequent waits, and others. The most frequent ones come first, as the filter compares in this order.
macro_rules! calls_of_64_bits {
    ($number:ident; waits: [$($wait:expr),* $(,)?]; others: [$($other:expr),* $(,)?]) => {{
        use vdso_data::detour::Mark::{High, Low};

        use $crate::arch::timed::{BOOTTIME, MONOTONIC, REALTIME, call, setter};
        use $crate::arch::Times::{
            Deadline, ForFile, Futex, Interval, Millis, Now, OfFile, Ring, Sleep, SocketOption, Span,
            SpanWithoutSet, Timer, TimerLeft,
        };
        use $crate::arch::{Clock, Setter, Word};
        &[
            call("futex", $number::FUTEX, Futex, High(5)),
            call(
                "clock_gettime",
                $number::CLOCK_GETTIME,
                Now { clock: Clock::Argument(0), word: Word::Bits64 },
                Low(2),
            ),
            call("clock_nanosleep", $number::CLOCK_NANOSLEEP, Sleep, Low(4)),
            call("nanosleep", $number::NANOSLEEP, Span { place: 0 }, Low(4)),
            $($wait,)*
            call("ppoll", $number::PPOLL, Span { place: 2 }, Low(5)),
            call("pselect6", $number::PSELECT6, Span { place: 4 }, High(0)),
            call("epoll_pwait", $number::EPOLL_PWAIT, Millis { place: 3 }, High(0)),
            call("epoll_pwait2", $number::EPOLL_PWAIT2, Span { place: 3 }, High(0)),
            call(
                "futex_wait",
                $number::FUTEX_WAIT,
                Deadline { place: 4, clock: Clock::Argument(5) },
                High(3),
            ),
            call(
                "futex_waitv",
                $number::FUTEX_WAITV,
                Deadline { place: 3, clock: Clock::Argument(4) },
                Low(5),
            ),
            call("timerfd_settime", $number::TIMERFD_SETTIME, Timer { place: 2 }, Low(5)),
            call("timerfd_gettime", $number::TIMERFD_GETTIME, TimerLeft, Low(5)),
            call("timer_settime", $number::TIMER_SETTIME, Timer { place: 2 }, Low(5)),
            call("timer_gettime", $number::TIMER_GETTIME, TimerLeft, Low(5)),
            call("setitimer", $number::SETITIMER, Interval { place: 1 }, Low(5)),
            call("getitimer", $number::GETITIMER, Interval { place: 1 }, Low(5)),
            call(
                "mq_timedsend",
                $number::MQ_TIMEDSEND,
                Deadline { place: 4, clock: REALTIME },
                Low(5),
            ),
            call(
                "mq_timedreceive",
                $number::MQ_TIMEDRECEIVE,
                Deadline { place: 4, clock: REALTIME },
                Low(5),
            ),
            call("semtimedop", $number::SEMTIMEDOP, Span { place: 3 }, Low(5)),
            call("rt_sigtimedwait", $number::RT_SIGTIMEDWAIT, Span { place: 2 }, Low(5)),
            call("recvmmsg", $number::RECVMMSG, Span { place: 4 }, Low(5)),
            call("setsockopt", $number::SETSOCKOPT, SocketOption, Low(5)),
            call("getsockopt", $number::GETSOCKOPT, SocketOption, Low(5)),
            call("io_uring_enter", $number::IO_URING_ENTER, Ring, High(1)),
            call("io_getevents", $number::IO_GETEVENTS, Span { place: 4 }, Low(5)),
            call(
                "io_pgetevents",
                $number::IO_PGETEVENTS,
                SpanWithoutSet { place: 4, set_place: 5 },
                Low(5),
            ),
            call(
                "gettimeofday",
                $number::GETTIMEOFDAY,
                Now { clock: REALTIME, word: Word::Bits64 },
                Low(2),
            ),
            call("times", $number::TIMES, Now { clock: MONOTONIC, word: Word::Bits64 }, Low(2)),
            call("sysinfo", $number::SYSINFO, Now { clock: BOOTTIME, word: Word::Bits64 }, Low(2)),
            setter("clock_settime", $number::CLOCK_SETTIME, Setter::ClockSettime, Word::Bits64),
            setter("settimeofday", $number::SETTIMEOFDAY, Setter::Settimeofday, Word::Bits64),
            setter("adjtimex", $number::ADJTIMEX, Setter::Adjtimex, Word::Bits64),
            setter("clock_adjtime", $number::CLOCK_ADJTIME, Setter::ClockAdjtime, Word::Bits64),
            call("newfstatat", $number::NEWFSTATAT, OfFile, Low(5)),
            call("fstat", $number::FSTAT, OfFile, Low(5)),
            call("statx", $number::STATX, OfFile, Low(5)),
            call("utimensat", $number::UTIMENSAT, ForFile { place: 2 }, Low(5)),
            $($other,)*
        ]
    }};
}
pub(crate) use calls_of_64_bits;

/// The calls of arm64 and 64-bit RISC-V programs.
pub static CALLS: &[TimedCall] = calls_of_64_bits!(generic; waits: []; others: []);

/// Whether a call may wait until a time of a clock, or goes on with such a wait.
pub fn may_wait_until(number: u32) -> bool {
    /// `restart_syscall`.
    const RESTART: u32 = 128;
    let waits = |call: &TimedCall| {
        call.number == number
            && matches!(call.times, Times::Deadline { .. } | Times::Sleep | Times::Futex)
    };
    number == RESTART || CALLS.iter().any(waits)
}

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
        for number in [generic::CLOCK_NANOSLEEP, generic::FUTEX, generic::FUTEX_WAITV, 128] {
            assert!(may_wait_until(number), "{number}");
        }
        for number in [generic::PPOLL, generic::RT_SIGPROCMASK, generic::TIMERFD_SETTIME] {
            assert!(!may_wait_until(number), "{number}");
        }
    }
}
