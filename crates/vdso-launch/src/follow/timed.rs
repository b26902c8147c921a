//! Which system calls with times are reported: those whose times are not the host's.

use vdso_data::clock;
use vdso_inject::arch::{Clock, Setter, Times};
use vdso_inject::detour::{Detours, FileTimes};

use super::filter::Test::{self, Any, Equals, Masked, None, NotZero};
use super::filter::Word::{High, Low};

/// `TIMER_ABSTIME`, and the same of timerfd.
const ABSOLUTE: u32 = 1;

const SOL_SOCKET: u32 = libc::SOL_SOCKET as u32;
/// `SO_RCVTIMEO` and `SO_SNDTIMEO`, old and new: `include/uapi/asm-generic/socket.h`.
const SOCKET_TIMEOUTS: [u32; 4] = [20, 21, 66, 67];

/// `SYS_SETSOCKOPT`, `SYS_GETSOCKOPT` and `SYS_RECVMMSG`: `include/uapi/linux/net.h`.
const SOCKET_CALLS: [u32; 3] = [14, 15, 19];

/// What has the operation, and `SEMTIMEDOP`: `include/uapi/linux/ipc.h`.
const IPC_OPERATION: u32 = 0xffff;
const SEMTIMEDOP: u32 = 4;

/// `IORING_ENTER_EXT_ARG`, `IORING_ENTER_ABS_TIMER` and the size of `struct io_uring_getevents_arg`:
/// `include/uapi/linux/io_uring.h`.
const EXT_ARG: u32 = 1 << 3;
const ABS_TIMER: u32 = 1 << 5;
const EXT_ARG_BYTES: u32 = 24;

/// The ways in which a call is to be reported: one of them, and all tests of it.
pub fn reported(times: Times, detours: &Detours) -> Vec<Vec<Test>> {
    let is_moved = |id: u32| clock::is_in(id, detours.deadlines);
    let if_spans = |way: Vec<Test>| if detours.spans { vec![way] } else { Vec::new() };
    match times {
        Times::Deadline { place, clock: Clock::Fixed(id) } if is_moved(id) => {
            vec![vec![NotZero(place)]]
        }
        Times::Deadline { clock: Clock::Fixed(_), .. } => Vec::new(),
        Times::Deadline { place, clock: Clock::Argument(id_place) } => {
            moved_ids(detours).map(|id| vec![Equals(Low(id_place), id), NotZero(place)]).collect()
        }
        Times::Span { place } => if_spans(vec![NotZero(place)]),
        Times::SpanWithoutSet { place, set_place } => {
            let has_none = [Low(set_place), High(set_place)].map(|word| Equals(word, 0));
            if_spans([NotZero(place)].into_iter().chain(has_none).collect())
        }
        Times::Interval { place } => {
            if_spans(vec![Equals(Low(0), libc::ITIMER_REAL as u32), NotZero(place)])
        }
        Times::Millis { place } => if_spans(vec![NotZero(place), None(Low(place), 1 << 31)]),
        Times::Seconds => if_spans(vec![]),
        Times::SocketOption => SOCKET_TIMEOUTS
            .into_iter()
            .flat_map(|name| if_spans(vec![Equals(Low(1), SOL_SOCKET), Equals(Low(2), name)]))
            .collect(),
        Times::OldSelect => if_spans(vec![]),
        Times::SocketCall => SOCKET_CALLS
            .into_iter()
            .flat_map(|operation| if_spans(vec![Equals(Low(0), operation)]))
            .collect(),
        Times::Ipc => if_spans(vec![Masked(Low(0), IPC_OPERATION, SEMTIMEDOP), NotZero(5)]),
        Times::Ring => {
            let has = |flags| {
                vec![Masked(Low(3), EXT_ARG | ABS_TIMER, flags), Equals(Low(5), EXT_ARG_BYTES)]
            };
            let is_moved = detours.spans || is_moved(clock::MONOTONIC);
            let until = is_moved.then(|| has(EXT_ARG | ABS_TIMER));
            until.into_iter().chain(if_spans(has(EXT_ARG))).collect()
        }
        Times::Sleep => sleep(detours),
        Times::Futex => futex(detours),
        Times::Timer { place } if detours.spans => vec![vec![NotZero(place)]],
        Times::Timer { place } if detours.is_any() => {
            vec![vec![Any(Low(1), ABSOLUTE), NotZero(place)]]
        }
        Times::TimerLeft if detours.rates => vec![vec![]],
        Times::OfFile if has_file_times(detours) => vec![vec![]],
        Times::ForFile { place } if has_file_times(detours) => vec![vec![NotZero(place)]],
        Times::OfFile | Times::ForFile { .. } => Vec::new(),
        Times::Timer { .. } | Times::TimerLeft => Vec::new(),
        Times::Now { clock: Clock::Fixed(id) } if is_moved(id) => vec![vec![]],
        Times::Now { clock: Clock::Fixed(_) } => Vec::new(),
        Times::Now { clock: Clock::Argument(place) } => {
            moved_ids(detours).map(|id| vec![Equals(Low(place), id)]).collect()
        }
        Times::Sets { .. } if !detours.is_any() => Vec::new(),
        Times::Sets { setter: Setter::ClockSettime | Setter::ClockAdjtime, .. } => {
            vec![vec![Equals(Low(0), clock::REALTIME)]]
        }
        Times::Sets { .. } => vec![vec![]],
    }
}

/// Whether files have times of a clock that is moved.
fn has_file_times(detours: &Detours) -> bool {
    detours.file_times == FileTimes::Clock && clock::is_in(clock::REALTIME, detours.deadlines)
}

/// `clock_nanosleep`: clock, flags, time.
fn sleep(detours: &Detours) -> Vec<Vec<Test>> {
    const SLEPT_ON: [u32; 6] = [
        clock::REALTIME,
        clock::MONOTONIC,
        clock::BOOTTIME,
        clock::TAI,
        clock::REALTIME_ALARM,
        clock::BOOTTIME_ALARM,
    ];
    let until =
        moved_ids(detours).map(|id| vec![Any(Low(1), ABSOLUTE), Equals(Low(0), id), NotZero(2)]);
    let spans = SLEPT_ON.map(|id| vec![None(Low(1), ABSOLUTE), Equals(Low(0), id), NotZero(2)]);
    until.chain(spans.into_iter().filter(|_| detours.spans)).collect()
}

/// `futex`: its second argument is the operation, the fourth the time.
fn futex(detours: &Detours) -> Vec<Vec<Test>> {
    /// `include/uapi/linux/futex.h`.
    const COMMAND: u32 = 0x7f;
    const CLOCK_REALTIME: u32 = 256;
    const WAIT: u32 = 0;
    const LOCK_PI: u32 = 6;
    const BY_FLAG: [u32; 3] = [9, 11, 13];
    let is = |command| Masked(Low(1), COMMAND, command);
    let mut ways = Vec::new();
    if clock::is_in(clock::REALTIME, detours.deadlines) {
        ways.extend(
            BY_FLAG.map(|command| vec![Any(Low(1), CLOCK_REALTIME), is(command), NotZero(3)]),
        );
        ways.push(vec![is(LOCK_PI), NotZero(3)]);
    }
    if clock::is_in(clock::MONOTONIC, detours.deadlines) {
        ways.extend(
            BY_FLAG.map(|command| vec![None(Low(1), CLOCK_REALTIME), is(command), NotZero(3)]),
        );
    }
    if detours.spans {
        ways.push(vec![is(WAIT), NotZero(3)]);
    }
    ways
}

/// The clocks that are moved, with those that show the same and wake a machine.
fn moved_ids(detours: &Detours) -> impl Iterator<Item = u32> {
    let deadlines = detours.deadlines;
    (0..clock::LINES as u32).filter(move |&id| clock::is_in(clock::shown_by(id), deadlines))
}
