//! Every clock: what the client answers lies between two answers of the kernel's, and an error is the
//! kernel's own.

use core::fmt::{self, Display};

use vdso_client::{ClockId, clock_gettime, system_call};

use super::compare::{READS, brackets};
use crate::kernel;
use crate::report::Report;

/// Clocks that have no constant in the client. Source: `include/uapi/linux/time.h`.
const REALTIME_ALARM: i32 = 8;
const BOOTTIME_ALARM: i32 = 9;
/// The first and the last of the auxiliary clocks, which Linux has since 6.17 if it is configured.
const AUX: i32 = 16;
const AUX_LAST: i32 = 23;
/// The first process' CPU time, as clock_getcpuclockid(3) makes an id of a PID.
const CPUTIME_OF_FIRST: i32 = !1 << 3 | 2;

/// Clocks that no vDSO answers.
const OF_KERNEL: [ClockId; 7] = [
    ClockId::PROCESS_CPUTIME,
    ClockId::THREAD_CPUTIME,
    ClockId::from_raw(REALTIME_ALARM),
    ClockId::from_raw(BOOTTIME_ALARM),
    ClockId::from_raw(AUX),
    ClockId::from_raw(AUX_LAST),
    ClockId::from_raw(CPUTIME_OF_FIRST),
];

/// Ids that are no clock's: the one that was removed, one beyond all, the least, and a device's that is
/// not open.
const NO_CLOCK: [ClockId; 4] = [
    ClockId::from_raw(10),
    ClockId::from_raw(1000),
    ClockId::from_raw(i32::MIN),
    ClockId::from_raw(!99 << 3 | 3),
];

/// All that are compared.
pub fn all() -> impl Iterator<Item = ClockId> {
    ClockId::OF_VDSO.into_iter().chain(OF_KERNEL).chain(NO_CLOCK)
}

/// Whether it is an auxiliary clock's id.
pub fn is_auxiliary(id: ClockId) -> bool {
    (AUX..=AUX_LAST).contains(&id.raw())
}

/// The name of a clock.
pub struct Name(pub ClockId);

impl Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.name() {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "{}", self.0.raw()),
        }
    }
}

pub fn run(report: &mut Report) {
    for id in all() {
        gettime(id, report);
    }
    for id in NO_CLOCK {
        is_invalid(id, report);
    }
}

fn gettime(id: ClockId, report: &mut Report) {
    let kernel = || kernel::clock_gettime(id).map(|time| time.as_nanos());
    let client = || clock_gettime(id).map(|time| time.as_nanos());
    let system_call = || system_call::clock_gettime(id).map(|time| time.as_nanos());
    // An error stays what it is.
    let reads = if kernel().is_ok() { READS } else { 100 };
    let result = brackets(reads, kernel, client);
    let name = format_args!("clock_gettime-{}", Name(id));
    match (result, kernel()) {
        (Err(wrong), _) => report.fail(name, format_args!("{wrong} ns")),
        (Ok(()), Ok(_)) => report.ok(name, format_args!("{reads} reads")),
        (Ok(()), Err(error)) => report.ok(name, format_args!("{reads} times {error}")),
    }
    if let Err(wrong) = brackets(100, kernel, system_call) {
        report.fail(format_args!("system-call-{}", Name(id)), format_args!("{wrong} ns"));
    }
}

/// The kernel says EINVAL, and so does the client: on PowerPC by a bit beside the result.
fn is_invalid(id: ClockId, report: &mut Report) {
    let (expected, answer) = (kernel::clock_gettime(id), clock_gettime(id));
    let is_einval = answer.is_err_and(|error| error == vdso_client::Errno::EINVAL);
    let is_expected = expected.is_err_and(|error| error.into_raw() == 22);
    let what = format_args!("the client says {answer:?}, the kernel {expected:?}");
    let result = if is_einval && is_expected { Ok("EINVAL") } else { Err(what) };
    report.check(format_args!("invalid-{}", Name(id)), result);
}
