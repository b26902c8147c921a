//! Where a thread is that was let into `execve`: a call that fails is not seen otherwise.

use std::time::{Duration, Instant};

use nix::unistd::Pid;

use vdso_host::proc::Stat;
use vdso_inject::arch::ABIS;

/// When to look whether its `execve` has failed.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The next time.
    pub next: Instant,
    interval: Duration,
    /// Its processor time in its own code at the first look, in ticks.
    user_ticks: Option<u64>,
}

impl Look {
    const FIRST: Duration = Duration::from_millis(4);
    /// The longest time between two looks.
    pub const LONGEST: Duration = Duration::from_millis(500);
    /// The same for one whose `execve` is known to have failed.
    pub const LONGEST_OF_FAILED: Duration = Duration::from_secs(8);

    /// Soon.
    pub fn new() -> Self {
        Self { next: Instant::now() + Self::FIRST, interval: Self::FIRST, user_ticks: None }
    }

    /// Later than the last time.
    pub fn again(&mut self, longest: Duration) {
        self.interval = (self.interval * 2).min(longest);
        self.next = Instant::now() + self.interval;
    }
}

/// Where a thread is that was let into `execve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// In it, as far as can be told.
    MaybeInExecve,
    /// Out of it, where an interruption is not noticed.
    Interruptible,
    /// Out of it, in a call that may give `EINTR` after one, as some do without any signal: signal(7).
    InCall,
}

/// Where a thread is. It cannot be in `execve` again once it was out of it: that would have been reported.
pub fn whereabouts(pid: Pid, look: &mut Look) -> Whereabouts {
    let Ok(call) = std::fs::read_to_string(format!("/proc/{pid}/syscall")) else {
        // Not to be told: it has had time enough for any local file.
        return match look.interval >= Look::LONGEST {
            true => Whereabouts::Interruptible,
            false => Whereabouts::MaybeInExecve,
        };
    };
    let mut words = call.split_whitespace();
    match words.next().map(str::parse::<i64>) {
        Some(Ok(number)) if is_exec(number) => Whereabouts::MaybeInExecve,
        Some(Ok(number)) if goes_on(pid, number, words.next()) => Whereabouts::Interruptible,
        Some(Ok(_)) => Whereabouts::InCall,
        // "running": in the kernel, or in its own code, which its time there tells.
        _ => {
            let user_ticks = user_ticks(pid);
            match (look.user_ticks, user_ticks) {
                (Some(before), Some(now)) if now > before => return Whereabouts::Interruptible,
                (Some(_), Some(_)) => {}
                _ => look.user_ticks = user_ticks,
            }
            Whereabouts::MaybeInExecve
        }
    }
}

/// Whether a thread is in `execve`, as far as can be told: where that has replaced the old program already, an
/// interruption would end it.
pub fn is_in_execve(pid: Pid) -> bool {
    let call = std::fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
    let number = call.split_whitespace().next().and_then(|number| number.parse().ok());
    number.is_some_and(is_exec) || is_being_loaded(pid)
}

/// Whether a process's program is still being read from its file: its auxiliary vector comes last. Source:
/// `load_elf_binary` in `fs/binfmt_elf.c` (Linux 6.18).
fn is_being_loaded(pid: Pid) -> bool {
    let auxv = std::fs::read(format!("/proc/{pid}/auxv")).unwrap_or_default();
    // One that ends has none.
    !auxv.is_empty() && auxv.iter().all(|&byte| byte == 0)
}

fn is_exec(number: i64) -> bool {
    let mut numbers = ABIS.iter().flat_map(|abi| [abi.calls.execve, abi.calls.execveat]);
    u32::try_from(number).is_ok_and(|number| numbers.any(|exec| exec == number))
}

/// Whether the kernel goes on with a call by itself after an interruption, whatever it waits for. `first` is
/// its first argument, in hexadecimal digits.
fn goes_on(pid: Pid, number: i64, first: Option<&str>) -> bool {
    const ALWAYS: &[i64] = &[
        libc::SYS_wait4,
        libc::SYS_waitid,
        libc::SYS_nanosleep,
        libc::SYS_clock_nanosleep,
        libc::SYS_ppoll,
        libc::SYS_pselect6,
        libc::SYS_rt_sigsuspend,
        libc::SYS_futex,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_select,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_pause,
    ];
    if [libc::SYS_read, libc::SYS_write].contains(&number) {
        let fd = first.and_then(|fd| u64::from_str_radix(fd.trim_start_matches("0x"), 16).ok());
        return fd.is_some_and(|fd| is_pipe_or_terminal(pid, fd));
    }
    // Not in a call at all.
    number < 0 || ALWAYS.contains(&number)
}

fn is_pipe_or_terminal(pid: Pid, fd: u64) -> bool {
    let file = std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap_or_default();
    ["pipe:", "/dev/pts/", "/dev/tty", "/dev/console"]
        .iter()
        .any(|start| file.as_os_str().as_encoded_bytes().starts_with(start.as_bytes()))
}

/// Processor time that a thread has spent in its own code, from `/proc/PID/task/TID/stat`.
fn user_ticks(pid: Pid) -> Option<u64> {
    Stat::read(format_args!("{pid}/task/{pid}")).ok()?.field(14)
}
