//! An image of the `own` source whose process page says that no Linux is below, and that nobody answers system
//! calls: what it answers by its pages alone. Its clocks are the counter, in nanoseconds.

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use vdso_client::{Call, Cpu, system_call};
use vdso_data::architecture::Architecture;
use vdso_data::arithmetic::Timespec;
use vdso_data::clock;
use vdso_data::process::{FLAG_NO_LINUX, FLAG_NO_SYSTEM_CALLS, ProcessPage};

use super::mapped::Mapped;
use super::{arch, kernel, publisher};
use crate::report::Report;

type Outcome = Result<&'static str, &'static str>;

const TICK_NS: u32 = 4_000_000;
const EINVAL: isize = 22;
const ENOSYS: isize = 38;
/// More than any `gettimeofday` writes.
type Room = [u64; 4];

pub fn run(report: &mut Report, architecture: &'static Architecture) {
    let image = match Mapped::with(architecture, "own", leave_alone) {
        Ok(image) => image,
        Err(error) => return report.fail("own-alone", format_args!("cannot map it: {error}")),
    };
    let function = |call| {
        let name = kernel::name_of(call)?;
        image.function(name)
    };
    let Some(clock_gettime) = function(Call::ClockGettime) else {
        return report.fail("own-alone", "the image lacks clock_gettime");
    };
    report.check("own-alone-never-published", unpublished(clock_gettime));
    publisher::count(image.own);
    image.own.header.coarse_res_ns.store(TICK_NS, Ordering::Relaxed);
    report.check("own-alone-clocks", clocks(clock_gettime));
    for (name, call, check) in [
        ("own-alone-clock_getres", Call::ClockGetres, resolutions as fn(NonNull<()>) -> Outcome),
        ("own-alone-gettimeofday", Call::Gettimeofday, gettimeofday),
        ("own-alone-getcpu", Call::Getcpu, getcpu),
    ] {
        let Some(function) = function(call) else { continue };
        // Kernels of 32 bits leave the register alone in which a page without Linux promises the CPU.
        let is_kept = !cfg!(target_arch = "x86") || kernel::getcpu().is_some();
        match call {
            Call::Getcpu if !is_kept => {
                report.skip(name, "this kernel keeps the CPU in no register")
            }
            _ => report.check(name, check(function)),
        }
    }
}

/// Nothing but what the processor has.
pub fn leave_alone(page: &ProcessPage) {
    page.flags.fetch_or(FLAG_NO_LINUX | FLAG_NO_SYSTEM_CALLS, Ordering::Relaxed);
    let functions = &page.functions;
    for slot in [&functions.clock_gettime, &functions.gettimeofday, &functions.getcpu] {
        slot.store(0, Ordering::Relaxed);
    }
}

fn unpublished(clock_gettime: NonNull<()>) -> Outcome {
    for id in [clock::REALTIME, clock::MONOTONIC_COARSE] {
        if kernel::read(clock_gettime, id) != Err(-EINVAL) {
            return Err("a clock that was never published is no EINVAL");
        }
    }
    Ok("EINVAL")
}

fn clocks(clock_gettime: NonNull<()>) -> Outcome {
    const READS: u32 = 10_000;
    let read = |id| kernel::read(clock_gettime, id).map_err(|_| "a clock is an error");
    for id in [clock::REALTIME_COARSE, clock::MONOTONIC_COARSE] {
        let mut last = 0;
        for _ in 0..READS {
            let (before, now, after) = (read(clock::TAI)?, read(id)?, read(clock::BOOTTIME)?);
            let [before, time, after] = [before, now, after].map(publisher::cycles);
            // A second is a number of whole ticks.
            let is_tick = time % u64::from(TICK_NS) == 0;
            let is_last = time <= after && before < time + u64::from(TICK_NS);
            if !is_tick || !is_last || time < last {
                return Err("a coarse clock is not its twin's last tick");
            }
            last = time;
        }
    }
    for id in [2, 99, u32::MAX] {
        if kernel::read(clock_gettime, id) != Err(-EINVAL) {
            return Err("a clock that no page has is no EINVAL");
        }
    }
    Ok("each tick is the last of the fine clock")
}

fn resolutions(clock_getres: NonNull<()>) -> Outcome {
    let tick = Timespec { sec: 0, nsec: i64::from(TICK_NS) };
    if kernel::read(clock_getres, clock::REALTIME_COARSE) != Ok(tick) {
        return Err("it is not the tick");
    }
    // That of the fine clocks is not on this page.
    for id in [clock::MONOTONIC, 2, 99] {
        if kernel::read(clock_getres, id) != Err(-EINVAL) {
            return Err("a resolution that nobody knows is no EINVAL");
        }
    }
    Ok("the tick, or EINVAL")
}

fn gettimeofday(function: NonNull<()>) -> Outcome {
    let (mut now, mut zone): (Room, [u32; 2]) = ([0; 4], [7; 2]);
    let (to, to_zone) = ((&raw mut now).expose_provenance(), (&raw mut zone).expose_provenance());
    // SAFETY: a `gettimeofday`, which writes to both.
    let result = unsafe { arch::call(function, to, to_zone, 0) };
    if result != 0 || zone != [0; 2] {
        return Err("it is not UTC");
    }
    Ok("UTC")
}

fn getcpu(function: NonNull<()>) -> Outcome {
    let (mut cpu, mut node) = (u32::MAX, u32::MAX);
    let (to, to_node) = ((&raw mut cpu).expose_provenance(), (&raw mut node).expose_provenance());
    let asked = || system_call::getcpu().map_err(|_| "the system call fails");
    let before = asked()?;
    // SAFETY: a `getcpu`, which writes to both.
    let result = unsafe { arch::call(function, to, to_node, 0) };
    let now = Cpu { cpu, node };
    match result {
        // This may have been moved to another one once.
        0 if now == before || now == asked()? => Ok("by a register"),
        result if result == -ENOSYS => Ok("ENOSYS, as no register tells"),
        _ => Err("it is another CPU"),
    }
}
