//! Everything that an image answers beside a million reads.

#![allow(clippy::unnecessary_cast, reason = "a `long` may have 32 bits")]

use core::fmt::Display;
use core::ptr::NonNull;

use vdso_client::names::{Abi, ErrorConvention};
use vdso_client::{Call, ClockId, system_call};
use vdso_data::arithmetic::Timespec;
use vdso_data::clock;

use super::mapped::Mapped;
use super::{arch, kernel};
use crate::report::Report;

/// A clock id that no kernel has.
const NO_CLOCK: usize = 99;
/// The same everywhere.
const EINVAL: isize = 22;

type Outcome = Result<&'static str, &'static str>;

pub fn run(report: &mut Report, source: &str, image: &Mapped) {
    let mut check = |name: &dyn Display, outcome: Outcome| {
        report.check(format_args!("{source}-{name}"), outcome);
    };
    for (call, run) in [
        (Call::ClockGettime, errors as fn(NonNull<()>) -> Outcome),
        (Call::ClockGetres, resolutions),
        (Call::Gettimeofday, gettimeofday),
        (Call::Time, time),
        (Call::Getcpu, getcpu),
    ] {
        if let Some(name) = kernel::name_of(call) {
            let function = image.function(name);
            check(&name, function.ok_or("the image lacks it").and_then(run));
        }
    }
    for (call, run) in [
        (Call::ClockGettime, old_clock_gettime as fn(NonNull<()>) -> Outcome),
        (Call::ClockGetres, old_clock_getres),
    ] {
        if let Some(name) = kernel::old_name_of(call) {
            let function = image.function(name);
            check(&name, function.ok_or("the image lacks it").and_then(run));
        }
    }
}

/// What the function itself says, by its own convention, and that the kernel's says the same.
fn errors(ours: NonNull<()>) -> Outcome {
    let mut time = Timespec::default();
    let time = (&raw mut time).expose_provenance();
    // SAFETY: a `clock_gettime`, which writes to `time` or not at all; here and below.
    let error = unsafe { arch::call(ours, NO_CLOCK, time, 0) };
    if error != -EINVAL {
        return Err("a clock that does not exist is no EINVAL");
    }
    // SAFETY: as above.
    if unsafe { arch::call(ours, clock::MONOTONIC as usize, time, 0) } != 0 {
        return Err("MONOTONIC is an error after an error");
    }
    // A clock that only the kernel knows: this process's CPU time.
    // SAFETY: as above.
    if unsafe { arch::call(ours, 2, time, 0) } != 0 {
        return Err("PROCESS_CPUTIME_ID is an error");
    }
    match Abi::CURRENT.map(|abi| abi.errors) {
        Some(ErrorConvention::SummaryOverflow) => Ok("errors by CR0.SO"),
        _ => Ok("errors by the result"),
    }
}

fn resolutions(ours: NonNull<()>) -> Outcome {
    for id in [ClockId::REALTIME, ClockId::MONOTONIC, ClockId::MONOTONIC_COARSE] {
        let mut res = Timespec::default();
        let to = (&raw mut res).expose_provenance();
        // SAFETY: a `clock_getres`, which writes to `res`.
        if unsafe { arch::call(ours, id.raw() as usize, to, 0) } != 0 {
            return Err("it fails");
        }
        let asked = system_call::clock_getres(id).map_err(|_| "the system call fails")?;
        if (res.sec, res.nsec) != (asked.sec, asked.nsec) {
            return Err("it is not what the system call says");
        }
    }
    // SAFETY: null means that only the clock is checked.
    if unsafe { arch::call(ours, clock::MONOTONIC as usize, 0, 0) } != 0 {
        return Err("without a place to write, it fails");
    }
    // SAFETY: as above.
    if unsafe { arch::call(ours, NO_CLOCK, 0, 0) } != -EINVAL {
        return Err("a clock that does not exist is no EINVAL");
    }
    Ok("as the system call says")
}

/// What the kernel calls `__kernel_long_t`: 64 bits on x32 as well.
#[cfg(target_arch = "x86_64")]
type Long = i64;
#[cfg(not(target_arch = "x86_64"))]
type Long = isize;

/// Two words of it.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Longs {
    sec: Long,
    rest: Long,
}

fn gettimeofday(ours: NonNull<()>) -> Outcome {
    let mut now = Longs::default();
    let mut zone = [-1_i32; 2];
    let (to, to_zone) = ((&raw mut now).expose_provenance(), (&raw mut zone).expose_provenance());
    let before = seconds_of(ClockId::REALTIME)?;
    // SAFETY: a `gettimeofday`, which writes to both.
    if unsafe { arch::call(ours, to, to_zone, 0) } != 0 {
        return Err("it fails");
    }
    let after = seconds_of(ClockId::REALTIME)?;
    if !(before..=after).contains(&(now.sec as i64)) || !(0..1_000_000).contains(&now.rest) {
        return Err("it is another time");
    }
    if zone == [-1; 2] {
        return Err("it writes no time zone");
    }
    // SAFETY: null is not written to.
    if unsafe { arch::call(ours, to, 0, 0) } != 0 {
        return Err("without a time zone, it fails");
    }
    Ok("within the kernel's seconds")
}

fn time(ours: NonNull<()>) -> Outcome {
    let mut written: Long = 0;
    let before = seconds_of(ClockId::REALTIME_COARSE)?;
    // SAFETY: a `time`, which writes to `written`.
    let now = unsafe { arch::call(ours, (&raw mut written).expose_provenance(), 0, 0) };
    let after = seconds_of(ClockId::REALTIME_COARSE)?;
    if !(before..=after).contains(&(now as i64)) {
        return Err("it is another time");
    }
    if written as isize != now {
        return Err("it writes another time than it says");
    }
    Ok("within the kernel's seconds")
}

fn getcpu(ours: NonNull<()>) -> Outcome {
    let (mut cpu, mut node) = (u32::MAX, u32::MAX);
    let (to, to_node) = ((&raw mut cpu).expose_provenance(), (&raw mut node).expose_provenance());
    // SAFETY: a `getcpu`, which writes to both.
    if unsafe { arch::call(ours, to, to_node, 0) } != 0 {
        return Err("it fails");
    }
    let asked = system_call::getcpu().map_err(|_| "the system call fails")?;
    // The only CPU, unless these are not the first programs of a machine with one.
    if (cpu, node) != (asked.cpu, asked.node) {
        return Err("it is not what the system call says");
    }
    Ok("as the system call says")
}

/// With a 32-bit `long`.
fn old_clock_gettime(ours: NonNull<()>) -> Outcome {
    let mut now = Longs::default();
    let to = (&raw mut now).expose_provenance();
    for id in [ClockId::MONOTONIC, ClockId::MONOTONIC_COARSE] {
        let before = seconds_of(id)?;
        // SAFETY: a `clock_gettime`, which writes to `now`.
        if unsafe { arch::call(ours, id.raw() as usize, to, 0) } != 0 {
            return Err("it fails");
        }
        let after = seconds_of(id)?;
        if !(before..=after).contains(&(now.sec as i64)) || !(0..1_000_000_000).contains(&now.rest)
        {
            return Err("it is another time");
        }
    }
    // SAFETY: as above.
    if unsafe { arch::call(ours, NO_CLOCK, to, 0) } != -EINVAL {
        return Err("a clock that does not exist is no EINVAL");
    }
    Ok("within the kernel's seconds")
}

fn old_clock_getres(ours: NonNull<()>) -> Outcome {
    let mut res = Longs::default();
    let to = (&raw mut res).expose_provenance();
    // SAFETY: a `clock_getres`, which writes to `res`.
    if unsafe { arch::call(ours, clock::MONOTONIC as usize, to, 0) } != 0 {
        return Err("it fails");
    }
    let asked =
        system_call::clock_getres(ClockId::MONOTONIC).map_err(|_| "the system call fails")?;
    if (res.sec as i64, res.rest as i64) != (asked.sec, asked.nsec) {
        return Err("it is not what the system call says");
    }
    Ok("as the system call says")
}

fn seconds_of(id: ClockId) -> Result<i64, &'static str> {
    system_call::clock_gettime(id).map(|now| now.sec).map_err(|_| "the system call fails")
}
