//! The processor's counter: x86's TSC.

use super::Context;
use crate::doctor::report::{Check, Status};

const FLAGS: [&str; 6] =
    ["constant_tsc", "nonstop_tsc", "tsc_reliable", "rdtscp", "rdpid", "hypervisor"];

/// Whether it goes at one rate and never stops. Other architectures' counters do.
pub fn check(context: &Context<'_>) -> Option<Check> {
    let machine = context.machine;
    if !machine.is_x86() || machine.cpu.flags.is_none() {
        return None;
    }
    let present: Vec<&str> = FLAGS.into_iter().filter(|flag| machine.has_flag(flag)).collect();
    let missing: Vec<&str> = FLAGS[..2].iter().copied().filter(|f| !machine.has_flag(f)).collect();
    let check = |summary: &str| {
        Check::ok("counter", "processor's counter", summary).fact("flags", &present)
    };
    if missing.is_empty() {
        return Some(check("constant rate, never stops"));
    }
    let current = machine.clocksource.as_ref().map(|source| source.current.as_str());
    // Of others the check of the clocksource tells the reason, and VMware takes care of its counter.
    if current != Some("tsc") || machine.has_flag("tsc_reliable") {
        return Some(check("not invariant, and not relied on").fact("missing", &missing));
    }
    let cause = format!(
        "{} missing in /proc/cpuinfo: the kernel may find the counter unstable at any time, and \
         choose a slow clocksource",
        missing.join(" and ")
    );
    let action = match machine.hypervisor {
        Some(_) => "have the hypervisor expose an invariant counter (QEMU: -cpu host,+invtsc)",
        None => "nothing on this processor; watch the clocksource",
    };
    let check = check("not invariant").fact("missing", &missing);
    Some(check.because(Status::Warn, cause, action))
}
