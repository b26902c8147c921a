//! The calls beside clock_gettime: resolutions, `gettimeofday`, `time`, the time zone, `getcpu`.

use vdso_client::{
    ClockId, Errno, Timeval, clock_getres, getcpu, gettimeofday, system_call, time, timezone,
};

use super::clocks::{self, Name};
use super::compare::{READS, Wrong, bracket, brackets};
use crate::report::Report;
use crate::{kernel, system};

const NSEC_PER_SEC: i128 = 1_000_000_000;

pub fn run(report: &mut Report) {
    for id in clocks::all() {
        getres(id, report);
    }
    say(report, "gettimeofday", brackets(READS, microseconds, by_gettimeofday));
    say(report, "time", brackets(READS, coarse_seconds, by_time));
    same_time_zone(report);
    cpus(report);
}

fn say(report: &mut Report, name: &str, result: Result<(), Wrong>) {
    match result {
        Ok(()) => report.ok(name, format_args!("{READS} reads")),
        Err(wrong) => report.fail(name, wrong),
    }
}

fn getres(id: ClockId, report: &mut Report) {
    let kernel = || kernel::clock_getres(id).map(|time| time.as_nanos());
    let client = || clock_getres(id).map(|time| time.as_nanos());
    let system_call = || system_call::clock_getres(id).map(|time| time.as_nanos());
    let result = bracket(&kernel, &client).and_then(|()| bracket(&kernel, &system_call));
    let name = format_args!("clock_getres-{}", Name(id));
    match (result, kernel()) {
        // Linux 7.2's vDSO answers for them without a look at whether there are any.
        (Err(Wrong::OtherError { client: Ok(_), kernel: Err(_) }), _)
            if clocks::is_auxiliary(id) =>
        {
            report
                .note("resolution-of-no-clock", "the kernel's vDSO gives one for auxiliary clocks");
        }
        (Err(wrong), _) => report.fail(name, format_args!("{wrong} ns")),
        (Ok(()), Ok(resolution)) => report.ok(name, format_args!("{resolution} ns")),
        (Ok(()), Err(error)) => report.ok(name, format_args!("{error}")),
    }
}

/// The wall clock in whole microseconds, as gettimeofday(2) rounds it.
pub fn microseconds() -> Result<i128, system::Errno> {
    kernel::clock_gettime(ClockId::REALTIME).map(|time| time.as_nanos() / 1_000)
}

pub fn by_gettimeofday() -> Result<i128, Errno> {
    let all = |time: Timeval| i128::from(time.sec) * 1_000_000 + i128::from(time.usec);
    gettimeofday().map(all)
}

/// The second of the last tick, as time(2) has it.
pub fn coarse_seconds() -> Result<i128, system::Errno> {
    kernel::clock_gettime(ClockId::REALTIME_COARSE).map(|time| time.as_nanos() / NSEC_PER_SEC)
}

pub fn by_time() -> Result<i128, Errno> {
    time().map(i128::from)
}

fn same_time_zone(report: &mut Report) {
    let (read, asked) = (timezone(), system_call::timezone());
    let what = format_args!("the client says {read:?}, the kernel {asked:?}");
    report.check("timezone", if read == asked { Ok("the same") } else { Err(what) });
}

/// On each CPU that there is.
fn cpus(report: &mut Report) {
    /// As many as the tool's machines have, and one that they have not.
    const CPUS: usize = 3;
    let mut seen = 0;
    for cpu in 0..CPUS {
        if kernel::move_to(cpu).is_err() {
            continue;
        }
        seen += 1;
        let expected = kernel::getcpu().map_err(system::Errno::into_raw);
        for answer in [getcpu(), system_call::getcpu()] {
            let answer = answer.map_err(Errno::raw);
            if answer != expected || !answer.is_ok_and(|it| it.cpu as usize == cpu) {
                let what = format_args!("the client says {answer:?}, the kernel {expected:?}");
                return report.fail("getcpu", what);
            }
        }
    }
    let result = format_args!("on {seen} CPUs");
    report.check("getcpu", if seen > 0 { Ok(result) } else { Err(result) });
}
