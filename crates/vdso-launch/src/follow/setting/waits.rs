//! Who waits on a clock that was set: threads, whose image then translates their deadline anew, and timers of
//! timerfd_create(2), which are set anew.
//!
//! What is not reached: timers of timer_create(2), which nobody outside of their process can set, and threads that
//! somebody else traces. Those go off by the clock as it was.

use std::fs;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::unistd::Pid;
use vdso_arch::system_call::X32_BIT;
use vdso_data::arithmetic::{Timespec, Transform};
use vdso_data::clock::{self, SETTABLE, is_in, shown_by};
use vdso_host::by_call::read;
use vdso_host::proc::numbers_in;
use vdso_inject::arch::{ABIS, Abi, Clock, TimedCall, Times};
use vdso_inject::detour;
use vdso_inject::exec::Payload;

use crate::process;

/// Threads that are in a wait until a time of a clock that can be set, which their image has made; and where that is.
pub fn waiting_on_set_clocks(payload: &Payload) -> Vec<(Pid, Range<u64>)> {
    let mut waiting = Vec::new();
    for (pid, abi, image) in programs(payload) {
        for thread in numbers_in(format!("/proc/{pid}/task")).into_iter().flatten() {
            if is_waiting(&format!("/proc/{pid}/task/{thread}/syscall"), abi, &image) {
                waiting.push((Pid::from_raw(thread), image.clone()));
            }
        }
    }
    waiting
}

/// The processes that have an image of this launch's.
fn programs(payload: &Payload) -> impl Iterator<Item = (Pid, &'static Abi, Range<u64>)> {
    let pids = numbers_in("/proc").into_iter().flatten().map(Pid::from_raw);
    pids.filter_map(move |pid| {
        ABIS.iter().find_map(|&abi| Some((pid, abi, detour::image_range(pid, abi, payload)?)))
    })
}

/// By proc_pid_syscall(5): the number, six arguments, the stack pointer and the instruction pointer.
fn is_waiting(path: &str, abi: &Abi, image: &Range<u64>) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut fields = text.split_ascii_whitespace();
    let Some(number) = fields.next().and_then(|number| number.parse::<u32>().ok()) else {
        // It runs.
        return false;
    };
    let hex = |field: &str| u64::from_str_radix(field.trim_start_matches("0x"), 16).ok();
    let words: Vec<u64> = fields.map_while(hex).collect();
    let [args @ .., _, instruction_addr] = &words[..] else { return false };
    let Ok(args) = <&[u64; 6]>::try_from(args) else { return false };
    image.contains(instruction_addr) && is_until_set_time(abi, number, args)
}

/// Whether a call waits until a time of a clock that can be set.
fn is_until_set_time(abi: &Abi, number: u32, args: &[u64; 6]) -> bool {
    const ABSOLUTE: u64 = 1;
    let is_set = |id: u64| is_in(shown_by(id as u32), SETTABLE);
    let call = abi.calls.timed.iter().find(|call: &&TimedCall| call.number == number);
    match call.map(|call| call.times) {
        Some(Times::Deadline { clock: Clock::Fixed(id), .. }) => is_set(id.into()),
        Some(Times::Deadline { clock: Clock::Argument(place), .. }) => {
            is_set(args[usize::from(place)])
        }
        Some(Times::Sleep) => args[1] & ABSOLUTE != 0 && is_set(args[0]),
        Some(Times::Futex) => is_futex_until_set_time(args[1]),
        Some(_) => false,
        // A wait of a futex that has been interrupted and goes on.
        None => number == restart_syscall(abi) && is_futex_until_set_time(args[1]),
    }
}

/// The number of `restart_syscall`.
fn restart_syscall(abi: &Abi) -> u32 {
    let is_i386 = cfg!(target_arch = "x86_64") && abi.calls.audit_arch != ABIS[0].calls.audit_arch;
    if is_i386 { 0 } else { libc::SYS_restart_syscall as u32 | abi.calls.execve & X32_BIT }
}

fn is_futex_until_set_time(operation: u64) -> bool {
    /// `include/uapi/linux/futex.h`.
    const CLOCK_REALTIME: u64 = 256;
    const PRIVATE: u64 = 128;
    const LOCK_PI: u64 = 6;
    const WAIT_BITSET: u64 = 9;
    const LOCK_PI2: u64 = 13;
    match operation & u64::from(u32::MAX) & !PRIVATE {
        LOCK_PI => true,
        by_flag => [WAIT_BITSET, LOCK_PI2].map(|it| it | CLOCK_REALTIME).contains(&by_flag),
    }
}

/// Timers of timerfd_create(2) that go off at a time of REALTIME.
pub struct Timers(Vec<Timer>);

struct Timer {
    fd: OwnedFd,
    flags: i32,
    /// By the host's clock.
    deadline: Timespec,
    interval: Timespec,
}

/// `TFD_TIMER_ABSTIME` and `TFD_TIMER_CANCEL_ON_SET`.
const ABSOLUTE: i32 = 1;
const CANCELLED_WHEN_SET: i32 = 2;

impl Timers {
    /// All that programs of the launch have.
    pub fn of_programs(payload: &Payload) -> Self {
        let mut timers = Vec::new();
        for (pid, ..) in programs(payload) {
            for number in numbers_in(format!("/proc/{pid}/fd")).into_iter().flatten() {
                timers.extend(Timer::of_descriptor(pid, number));
            }
        }
        Self(timers)
    }

    /// Sets them anew, as REALTIME was moved as `before` says and is moved as `after` says. Those that are to be
    /// cancelled go off.
    pub fn translate(&self, before: &Transform, after: &Transform) {
        const AT_ONCE: Timespec = Timespec { sec: 0, nsec: 1 };
        const NEVER: Timespec = Timespec { sec: i64::MAX, nsec: 0 };
        for timer in &self.0 {
            let wanted = before.apply(timer.deadline);
            let value = match after.host_at(wanted) {
                _ if timer.flags & CANCELLED_WHEN_SET != 0 => AT_ONCE,
                Some(host) => host.max(AT_ONCE),
                None => NEVER,
            };
            timer.set(value);
        }
    }
}

impl Timer {
    /// `None` if that is something else, or no timer that a clock's being set matters to.
    fn of_descriptor(pid: Pid, number: i32) -> Option<Self> {
        let link = fs::read_link(format!("/proc/{pid}/fd/{number}")).ok()?;
        if link.as_os_str() != "anon_inode:[timerfd]" {
            return None;
        }
        // Before what is left is looked at: the descriptor may be another's by then, and its own is kept.
        let fd = duplicate(pid, number)?;
        let own = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
        let info = fs::read_to_string(own).ok()?;
        // Afterwards: whoever is late is not early.
        let now = read(clock::REALTIME);
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
        let flags = i32::from_str_radix(field("settime flags:")?.trim(), 8).ok()?;
        let id: u32 = field("clockid:")?.trim().parse().ok()?;
        let left = pair(field("it_value:")?)?;
        let interval = pair(field("it_interval:")?)?;
        let matters =
            shown_by(id) == clock::REALTIME && flags & ABSOLUTE != 0 && left != Timespec::default();
        let deadline = now.wrapping_add(left);
        matters.then_some(Self { fd, flags, deadline, interval })
    }

    fn set(&self, value: Timespec) {
        let timespec = |time: Timespec| libc::timespec { tv_sec: time.sec, tv_nsec: time.nsec };
        let new =
            libc::itimerspec { it_interval: timespec(self.interval), it_value: timespec(value) };
        // SAFETY: the structure is the one that the call reads.
        unsafe {
            libc::timerfd_settime(
                self.fd.as_raw_fd(),
                self.flags,
                &raw const new,
                std::ptr::null_mut(),
            )
        };
    }
}

/// `(1, 500000000)`.
fn pair(text: &str) -> Option<Timespec> {
    let (sec, nsec) = text.trim().strip_prefix('(')?.strip_suffix(')')?.split_once(", ")?;
    Some(Timespec { sec: sec.parse().ok()?, nsec: nsec.parse().ok()? })
}

/// pidfd_getfd(2).
fn duplicate(pid: Pid, number: i32) -> Option<OwnedFd> {
    let process = process::open(pid)?;
    // SAFETY: takes numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) };
    // SAFETY: the kernel has just made this descriptor for us.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(number: i64, args: [u64; 6]) -> bool {
        ABIS.first().is_some_and(|abi| is_until_set_time(abi, number as u32, &args))
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn waits_of_i386_programs_are_told_apart_by_the_same() {
        let abi = ABIS.iter().find(|abi| abi.name == "i386").expect("it is one of this machine's");
        let until = |number, args| is_until_set_time(abi, number, &args);
        const CLOCK_NANOSLEEP_TIME64: u32 = 407;
        const FUTEX_TIME64: u32 = 422;
        const RESTART_SYSCALL: u32 = 0;
        assert!(until(CLOCK_NANOSLEEP_TIME64, [0, 1, 7, 0, 0, 0]));
        assert!(!until(CLOCK_NANOSLEEP_TIME64, [1, 1, 7, 0, 0, 0]));
        for number in [FUTEX_TIME64, RESTART_SYSCALL] {
            assert!(until(number, [7, 9 | 256, 0, 7, 0, 0]));
            assert!(!until(number, [7, 9, 0, 7, 0, 0]));
        }
        // What has that number elsewhere: `madvise`.
        assert!(!until(libc::SYS_restart_syscall as u32, [7, 6, 0, 0, 0, 0]));
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn waits_are_told_apart_by_the_clock_that_ends_them() {
        for (id, is_set) in [(0, true), (1, false), (7, false), (8, true), (9, false), (11, true)] {
            assert_eq!(until(libc::SYS_clock_nanosleep, [id, 1, 7, 0, 0, 0]), is_set, "{id}");
            assert!(!until(libc::SYS_clock_nanosleep, [id, 0, 7, 0, 0, 0]), "{id}");
        }
        for (operation, is_set) in [
            (9 | 128 | 256, true),
            (9 | 128, false),
            (6, true),
            (13, false),
            (13 | 256, true),
            (0, false),
        ] {
            for number in [libc::SYS_futex, libc::SYS_restart_syscall] {
                assert_eq!(until(number, [7, operation, 0, 7, 0, 0]), is_set, "{operation}");
            }
        }
        assert!(until(libc::SYS_mq_timedreceive, [0; 6]));
        assert!(!until(libc::SYS_read, [0; 6]));
    }

    #[test]
    fn what_proc_says_of_a_timer_is_read() {
        assert_eq!(pair(" (12, 345)"), Some(Timespec { sec: 12, nsec: 345 }));
        assert_eq!(pair("12, 345"), None);
    }
}
