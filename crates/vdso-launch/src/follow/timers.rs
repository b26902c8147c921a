//! On which clock a timer runs, which the calls that set it do not say.

use nix::unistd::Pid;
use vdso_data::detour::NO_TIMER;
use vdso_inject::arch::{TimedCall, Times};

/// The clock of the timer that a call of thread `pid` sets or asks about. `None` if there is none that could be moved.
pub fn clock(pid: Pid, call: &TimedCall, args: &[u64; 6]) -> Option<u32> {
    match call.times {
        Times::Timer { .. } | Times::TimerLeft if call.name.starts_with("timerfd") => {
            of_descriptor(pid, args[0] as i32)
        }
        Times::Timer { .. } | Times::TimerLeft => of_timer(pid, args[0] as i32),
        _ => Some(NO_TIMER),
    }
}

/// Of a timerfd: proc_pid_fdinfo(5).
fn of_descriptor(pid: Pid, fd: i32) -> Option<u32> {
    let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).ok()?;
    info.lines().find_map(|line| line.strip_prefix("clockid:"))?.trim().parse().ok()
}

/// Of a timer of `timer_create`: proc_pid_timers(5).
fn of_timer(pid: Pid, id: i32) -> Option<u32> {
    let timers = std::fs::read_to_string(format!("/proc/{pid}/timers")).ok()?;
    let mut lines = timers.lines().skip_while(|line| {
        line.strip_prefix("ID: ").and_then(|number| number.trim().parse().ok()) != Some(id)
    });
    lines.next()?;
    let lines = lines.take_while(|line| !line.starts_with("ID: "));
    let clock: i32 =
        lines.filter_map(|line| line.strip_prefix("ClockID: ")).next()?.trim().parse().ok()?;
    u32::try_from(clock).ok()
}
