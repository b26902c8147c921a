//! Being woken at once, though all processors are busy.
//!
//! Whoever execs waits for the supervisor, and when that is killed, programs begin without a clock until
//! another process has noticed. Linux 6.12 and later let a process that asks for short turns go before
//! others when it is woken, without any privilege; whoever may have a real-time priority goes before all.
//! Source: sched(7), sched_setattr(2), `kernel/sched/fair.c`.

use std::ffi::c_int;

/// `struct sched_attr` of `include/uapi/linux/sched/types.h`, its first version.
#[derive(Debug, Default)]
#[repr(C)]
struct SchedAttr {
    size: u32,
    sched_policy: u32,
    sched_flags: u64,
    sched_nice: i32,
    sched_priority: u32,
    sched_runtime: u64,
    sched_deadline: u64,
    sched_period: u64,
}

impl SchedAttr {
    const BYTES: u32 = size_of::<Self>() as u32;
    const THIS_PROCESS: c_int = 0;

    fn get() -> Option<Self> {
        let mut attributes = Self { size: Self::BYTES, ..Self::default() };
        let (process, place, flags) = (Self::THIS_PROCESS, &raw mut attributes, 0);
        // SAFETY: the kernel writes as many bytes as it is told.
        let result =
            unsafe { libc::syscall(libc::SYS_sched_getattr, process, place, Self::BYTES, flags) };
        (result == 0).then_some(attributes)
    }

    /// For this process and not for its children.
    fn set(mut self) -> Option<()> {
        self.size = Self::BYTES;
        self.sched_flags = libc::SCHED_FLAG_RESET_ON_FORK as u64;
        let (process, place, flags) = (Self::THIS_PROCESS, &raw const self, 0);
        // SAFETY: the kernel reads the structure, which says how long it is.
        let result = unsafe { libc::syscall(libc::SYS_sched_setattr, process, place, flags) };
        (result == 0).then_some(())
    }

    fn is_usual(&self) -> bool {
        self.sched_policy == libc::SCHED_OTHER as u32
    }

    /// Those of a process that [goes first](go_first), in this program.
    fn first() -> Self {
        let (sched_policy, sched_priority) = (libc::SCHED_FIFO as u32, LOWEST_REAL_TIME);
        Self { sched_policy, sched_priority, ..Self::default() }
    }

    fn is_first(&self) -> bool {
        let first = Self::first();
        self.sched_policy == first.sched_policy && self.sched_priority == first.sched_priority
    }
}

/// The lowest priority that goes before all ordinary processes.
const LOWEST_REAL_TIME: u32 = 1;

/// For a process that does next to nothing, unless another was killed: it is woken before all others,
/// where this process may ask for that; otherwise it takes short turns.
pub fn go_first() {
    let is_usual = SchedAttr::get().is_some_and(|attributes| attributes.is_usual());
    if !is_usual || SchedAttr::first().set().is_none() {
        take_short_turns();
    }
}

/// Asks for the shortest turns. Where they are not to be had it only takes longer.
pub fn take_short_turns() {
    /// The kernel's minimum.
    const TURN_NS: u64 = 100_000;
    let Some(attributes) = SchedAttr::get() else { return };
    // Whoever runs it under another policy has had a reason.
    if !attributes.is_usual() && !attributes.is_first() {
        return;
    }
    // SAFETY: only asks. The kernel keeps it under all policies.
    let sched_nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    SchedAttr { sched_nice, sched_runtime: TURN_NS, ..SchedAttr::default() }.set();
}
