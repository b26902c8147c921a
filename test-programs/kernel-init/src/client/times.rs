//! `Instant`, `SystemTime` and several clocks at once.

use core::time::Duration;

use vdso_client::{AtOnce, ClockId, Instant, SystemTime, UNIX_EPOCH, read_at_once};

use super::compare::READS;
use crate::kernel;
use crate::report::Report;

pub fn run(report: &mut Report) {
    report.check("instant", instants());
    report.check("system-time", system_times());
    report.check("at-once", at_once());
}

/// They never go backwards, and spans are the kernel's.
fn instants() -> Result<&'static str, &'static str> {
    let before = monotonic();
    let start = Instant::now();
    let after = monotonic();
    let mut last = start;
    for _ in 0..READS {
        let now = Instant::now();
        if now < last {
            return Err("one is before the last");
        }
        last = now;
    }
    let least = monotonic().saturating_sub(after);
    let elapsed = start.elapsed();
    let most = monotonic().saturating_sub(before);
    let is_sum = start.checked_add(elapsed).is_some_and(|sum| sum >= last);
    match elapsed {
        elapsed if elapsed < least || elapsed > most => Err("a span is not the kernel's"),
        _ if !is_sum => Err("a span after the start is before the end"),
        _ => Ok("in order, and spans are the kernel's"),
    }
}

fn monotonic() -> Duration {
    let now = kernel::clock_gettime(ClockId::MONOTONIC).unwrap_or_default();
    Duration::new(now.sec as u64, now.nsec as u32)
}

fn system_times() -> Result<&'static str, &'static str> {
    let kernel = || kernel::clock_gettime(ClockId::REALTIME).unwrap_or_default();
    for _ in 0..READS {
        let (before, now, after) = (kernel(), SystemTime::now(), kernel());
        if now.timespec() < before || now.timespec() > after {
            return Err("it is not the kernel's");
        }
        let Ok(since) = now.duration_since(UNIX_EPOCH) else { return Err("it is before 1970") };
        if UNIX_EPOCH.checked_add(since) != Some(now) {
            return Err("1970 and what has gone by is not now");
        }
    }
    Ok("the kernel's")
}

/// Each of several clocks lies in the same bracket.
fn at_once() -> Result<&'static str, &'static str> {
    let ids = [ClockId::REALTIME, ClockId::MONOTONIC, ClockId::BOOTTIME];
    let kernel = || ids.map(|id| kernel::clock_gettime(id).unwrap_or_default());
    for _ in 0..READS / 10 {
        let before = kernel();
        let Ok(AtOnce { times, .. }) = read_at_once(ids) else { return Err("an error") };
        let after = kernel();
        for index in 0..ids.len() {
            if times[index] < before[index] || times[index] > after[index] {
                return Err("a clock is not the kernel's");
            }
        }
    }
    Ok("the kernel's")
}
