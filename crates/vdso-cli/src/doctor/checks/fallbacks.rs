//! What was measured in this command's own process: calls that go to the kernel, and what they cost.

use super::Context;
use crate::doctor::measure::calls::Through;
use crate::doctor::measure::{Fallback, Method};
use crate::doctor::report::{Check, Status};

const ID: &str = "fallbacks";
const TITLE: &str = "calls that fall back";

/// A call by the vDSO is to cost at most this part of the system call.
const MAX_RATIO: f64 = 0.5;

/// Which calls go to the kernel although they need not.
pub fn measured(context: &Context<'_>) -> Check {
    let measurements = context.measurements;
    let reason = measurements.method_reason.as_deref();
    let Some(method) = measurements.method else {
        return Check::ok(ID, TITLE, "not measured").because(
            Status::Unknown,
            reason.unwrap_or("nothing could be measured"),
            "run vdso doctor where there is a vDSO and where a process may trace its child",
        );
    };
    let vdso: Vec<&Fallback> = measurements
        .fallbacks
        .iter()
        .filter(|f| f.through == Through::Vdso && !f.always_goes_to_the_kernel)
        .collect();
    let slow: Vec<&str> = names(vdso.iter().copied().filter(|f| f.falls_back()));
    let undecided: Vec<&str> = names(vdso.iter().copied().filter(|f| f.system_calls.is_none()));
    let libc = past_the_vdso(context);
    let how = match method {
        Method::Ptrace => "system calls counted",
        Method::Timing => "by time, as counting is refused",
    };
    let check = Check::ok(ID, TITLE, format!("{} of {} ({how})", slow.len(), vdso.len()))
        .fact("fall_back", &slow)
        .fact("past_the_vdso", &libc)
        .fact("method", method);
    if !slow.is_empty() {
        let reasons = reasons(context, &slow);
        let causes: Vec<&str> = reasons.iter().map(|reason| reason.cause.as_str()).collect();
        let actions: Vec<&str> = reasons.iter().map(|reason| reason.action).collect();
        return check.because(Status::Fail, causes.join("; "), actions.join("; "));
    }
    if !undecided.is_empty() {
        let cause = format!(
            "time does not tell it for {}, and counting is refused: {}",
            undecided.join(", "),
            reason.unwrap_or("no reason given")
        );
        return check.because(Status::Unknown, cause, "run vdso doctor where ptrace is allowed");
    }
    if !libc.is_empty() {
        return check.because(
            Status::Warn,
            format!("the C library of this system calls the kernel for {}", libc.join(", ")),
            "update the C library",
        );
    }
    check
}

fn names<'a>(fallbacks: impl Iterator<Item = &'a Fallback>) -> Vec<&'a str> {
    fallbacks.map(|fallback| fallback.call.as_str()).collect()
}

/// Calls that the vDSO answers, but the C library does not ask it. The check of the C library has
/// getrandom.
fn past_the_vdso<'a>(context: &Context<'a>) -> Vec<&'a str> {
    let fallbacks = &context.measurements.fallbacks;
    let is_answered = |call: &str| {
        fallbacks.iter().any(|f| f.through == Through::Vdso && f.call == call && !f.falls_back())
    };
    let through_libc = fallbacks.iter().filter(|f| f.through == Through::Libc && f.falls_back());
    names(through_libc.filter(|f| is_answered(&f.call) && f.call != "getrandom"))
}

/// What one kind of call goes to the kernel for, and what to do about it.
struct Reason {
    cause: String,
    action: &'static str,
}

/// Of all that go there, clocks first.
fn reasons(context: &Context<'_>, slow: &[&str]) -> Vec<Reason> {
    let (others, clocks): (Vec<&str>, Vec<&str>) =
        slow.iter().partition(|call| matches!(**call, "getrandom" | "getcpu"));
    let clocks = (!clocks.is_empty()).then(|| of_clocks(context, &clocks));
    clocks.into_iter().chain(others.into_iter().map(of_no_clock)).collect()
}

fn of_clocks(context: &Context<'_>, slow: &[&str]) -> Reason {
    let slow = slow.join(", ");
    let cause = match &context.machine.clocksource {
        Some(source) => format!(
            "the vDSO passes {slow} on to the kernel; the clocksource is '{}'",
            source.current
        ),
        None => format!("the vDSO passes {slow} on to the kernel"),
    };
    let action = match &context.machine.clocksource {
        Some(source) if source.current != "tsc" => "see the check of the clocksource",
        _ => {
            "look for 'clocksource' and 'unstable' in dmesg; in a sandbox or under vdso run, compare \
             with a plain process"
        }
    };
    Reason { cause, action }
}

/// No counter is read for these, so the clocksource has nothing to do with them.
fn of_no_clock(call: &str) -> Reason {
    match call {
        "getrandom" => Reason {
            cause: "the vDSO passes getrandom on to the kernel: it gets no key from there, as a \
                    seccomp filter refuses getrandom or the kernel's generator is not ready"
                .to_owned(),
            action: "let the sandbox's filter allow getrandom; early after booting, try again later",
        },
        _ => Reason {
            cause: format!(
                "the vDSO passes {call} on to the kernel: this processor or this sandbox does not \
                 let programs read the CPU's number"
            ),
            action: "in a sandbox or under vdso run, compare with a plain process",
        },
    }
}

/// What a call costs beside the system call.
pub fn cost(context: &Context<'_>) -> Option<Check> {
    let costs = &context.measurements.costs;
    let shown = costs
        .iter()
        .find(|cost| cost.call == "clock_gettime(CLOCK_MONOTONIC)")
        .or_else(|| costs.first())?;
    let check = Check::ok(
        "cost",
        "cost of a call",
        format!(
            "{}: {:.0} ns, system call {:.0} ns",
            shown.call, shown.vdso_median_ns, shown.system_call_median_ns
        ),
    )
    .fact("vdso_median_ns", shown.vdso_median_ns)
    .fact("system_call_median_ns", shown.system_call_median_ns);
    if shown.ratio.is_none() {
        return Some(check.because(
            Status::Unknown,
            "the clock that measures, CLOCK_MONOTONIC, did not advance",
            "run vdso doctor where that clock goes on, not under vdso run --freeze",
        ));
    }
    // Of those that go to the kernel the check before this one tells.
    let falls_back = |call: &str| {
        let mut fallbacks = context.measurements.fallbacks.iter();
        fallbacks.any(|f| f.call == call && f.through == Through::Vdso && f.falls_back())
    };
    let dear = costs.iter().filter(|cost| {
        cost.ratio.is_some_and(|ratio| ratio > MAX_RATIO) && !falls_back(&cost.call)
    });
    let dear: Vec<&str> = dear.map(|cost| cost.call.as_str()).collect();
    if dear.is_empty() {
        return Some(check);
    }
    Some(
        check
            .fact("dear", &dear)
            .because(
                Status::Warn,
                format!("more than half of the system call's cost: {}", dear.join(", ")),
                "measure again on a quiet machine",
            )
            .command("vdso bench"),
    )
}
