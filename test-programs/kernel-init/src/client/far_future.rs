//! The clock set beyond 2038, where 32-bit times have come to their end: with the vDSO as it is, without
//! its functions with 64-bit times, and without any.

use vdso_client::names::{Abi, Purpose};
use vdso_client::{ClockId, SystemTime, Timespec, clock_gettime, vdso, without_vdso};

use super::calls::{by_gettimeofday, by_time, coarse_seconds, microseconds};
use super::compare::{Wrong, brackets};
use super::patch;
use crate::report::Report;
use crate::{kernel, system};

/// 2040-01-01T00:00:00Z.
const BEYOND: Timespec = Timespec { sec: 2_208_988_800, nsec: 0 };

pub fn run(report: &mut Report) {
    let now = kernel::clock_gettime(ClockId::REALTIME).unwrap_or_default();
    if let Err(error) = kernel::clock_settime(ClockId::REALTIME, BEYOND) {
        return report.skip("in-2040", format_args!("the clock cannot be set: {error}"));
    }
    report.check("in-2040", right_in_a_copy(|| Ok(())));
    if let Some(name) = time64_function() {
        report.check("in-2040-without-time64", right_in_a_copy(|| patch::hide(&[name])));
    }
    let turn_off = || {
        without_vdso();
        Ok(())
    };
    report.check("in-2040-without-vdso", right_in_a_copy(turn_off));
    // Seconds later than it was: nobody looks at it but for the order of the kernel's messages.
    let _ = kernel::clock_settime(ClockId::REALTIME, now);
}

/// The function with 64-bit times, where `long` has 32 bits.
fn time64_function() -> Option<&'static str> {
    let functions = Abi::CURRENT?.functions;
    let is_it = |purpose| matches!(purpose, Purpose::Time64(vdso_client::Call::ClockGettime));
    let function = functions.iter().find(|function| is_it(function.purpose))?;
    vdso().ok()?.lookup(function.name, Some(function.version))?;
    Some(function.name)
}

/// In a process of its own, as there is no way back.
fn right_in_a_copy(
    prepare: impl FnOnce() -> Result<(), system::Errno>,
) -> Result<&'static str, &'static str> {
    const WRONG: usize = 1;
    const NOT_PREPARED: usize = 2;
    match system::fork() {
        Ok(None) if prepare().is_err() => system::exit(NOT_PREPARED),
        Ok(None) if is_right().is_err() => system::exit(WRONG),
        Ok(None) => system::exit(0),
        Ok(Some(child)) => match system::wait(child) {
            Ok(0) => Ok("every wall clock is right"),
            Ok(status) if status == (WRONG as i32) << 8 => Err("a wall clock is wrong"),
            _ => Err("it cannot be tried"),
        },
        Err(_) => Err("a process cannot be started"),
    }
}

fn is_right() -> Result<(), Wrong> {
    const READS: u32 = 100;
    for id in [ClockId::REALTIME, ClockId::REALTIME_COARSE, ClockId::TAI] {
        let kernel = || kernel::clock_gettime(id).map(|time| time.as_nanos());
        let client = || clock_gettime(id).map(|time| time.as_nanos());
        brackets(READS, kernel, client)?;
    }
    brackets(READS, microseconds, by_gettimeofday)?;
    brackets(READS, coarse_seconds, by_time)?;
    let kernel = || kernel::clock_gettime(ClockId::REALTIME).map(|time| time.as_nanos());
    brackets(READS, kernel, || Ok(SystemTime::now().timespec().as_nanos()))
}
