//! The processor's counter: x86's TSC.

use super::Context;
use crate::doctor::report::{Check, Status};

const FLAGS: [&str; 6] =
    ["constant_tsc", "nonstop_tsc", "tsc_reliable", "rdtscp", "rdpid", "hypervisor"];

/// Whether it goes at one rate and never stops. Other architectures' counters do.
pub fn check(context: &Context<'_>) -> Option<Check> {
    let machine = context.machine;
    if !machine.is_x86() || machine.cpu_flags.is_none() {
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
    let check = check("not invariant").fact("missing", &missing);
    let cause = format!(
        "{} missing in /proc/cpuinfo: the kernel does not rely on the counter for long",
        missing.join(" and ")
    );
    let action = match machine.hypervisor {
        Some(_) => "have the hypervisor expose an invariant counter (for KVM: invtsc)",
        None => "none on this processor; see the clocksource",
    };
    Some(check.because(Status::Warn, cause, action))
}
