//! Being woken at once, though all processors are busy.
//!
//! Whoever execs waits for the supervisor, and when that is killed, programs begin without a clock until
//! another process has noticed. Linux 6.12 and later let a process that asks for short turns go before
//! others when it is woken, without any privilege. Source: sched(7), sched_setattr(2), `kernel/sched/fair.c`.

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

/// Asks for the shortest turns, for this process and not for its children. Where that is not to be had it
/// only takes longer.
pub fn take_short_turns() {
    /// The kernel's minimum.
    const TURN_NS: u64 = 100_000;
    const BYTES: u32 = size_of::<SchedAttr>() as u32;
    let mut attributes = SchedAttr { size: BYTES, ..SchedAttr::default() };
    let this_process = 0;
    let place = &raw mut attributes;
    // SAFETY: the kernel writes as many bytes as it is told.
    let result = unsafe { libc::syscall(libc::SYS_sched_getattr, this_process, place, BYTES, 0) };
    // Whoever runs it under another policy has had a reason.
    if result != 0 || attributes.sched_policy != libc::SCHED_OTHER as u32 {
        return;
    }
    attributes.size = BYTES;
    attributes.sched_runtime = TURN_NS;
    attributes.sched_flags = libc::SCHED_FLAG_RESET_ON_FORK as u64;
    // SAFETY: the kernel reads the structure, which says how long it is.
    unsafe { libc::syscall(libc::SYS_sched_setattr, this_process, &raw const attributes, 0) };
}
