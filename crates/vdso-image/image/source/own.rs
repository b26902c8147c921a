//! `own`: the counter and our page, which our timekeeper publishes about once a second.

use core::mem::MaybeUninit;

use vdso_data::arithmetic::{Timespec, nanos_at};
use vdso_data::linux::{CLOCK_MODE_COUNTER, CLOCK_MODE_TIMENS};
use vdso_data::own::CounterView;
use vdso_data::sync::Ordering;
use vdso_data::{clock, latch};

use crate::{alone, arch, kernel, pages};

/// How far before its line a counter value may be and still be one that was read just before the
/// line was published, cycles: over a second of any counter's. Further off the counter was reset.
const JUST_BEFORE_CYCLES: u64 = 1 << 32;

/// By which part of what a line gains in its life the host may have been slewed meanwhile: the kernel
/// allows itself 11 %, `clocksource_max_adjustment` in `kernel/time/clocksource.c` (Linux 6.18). A
/// settable clock that is further behind was set back.
const SLEWED_DIVISOR: u64 = 8;

/// The least that a line is taken to gain, for the same.
const LEAST_GAINED: Timespec = Timespec { sec: 0, nsec: 8_000_000 };

/// The clock's line at the counter.
#[inline(always)]
pub fn read(id: u32) -> Option<Timespec> {
    let mut now = MaybeUninit::<Timespec>::uninit();
    // SAFETY: `now` is ours.
    let is_good = unsafe { read_to(id, now.as_mut_ptr()) };
    // SAFETY: written, if it is good.
    is_good.then(|| unsafe { now.assume_init() })
}

/// Writes the clock's line at the counter; something else, if it says that it is not good.
///
/// It writes at every try, before it knows: so no register is held until then, and none is saved.
///
/// # Safety
/// `ts` must be writable.
#[inline(always)]
pub unsafe fn read_to(id: u32, ts: *mut Timespec) -> bool {
    let page = pages::own();
    let is_good = latch::read(&page.header.seq, arch::counter_halves, |cycles, copy| {
        let line = page.line(copy, id);
        let (delta_cycles, beyond) = cycles.since(line.load_cycle_last());
        let nanos = nanos_at(line.load_nanos(), delta_cycles, line.load_mult());
        let now = Timespec::carried(line.sec.load(Ordering::Relaxed), nanos.ns);
        // SAFETY: the caller promises that `ts` is writable.
        unsafe { ts.write(now) };
        // Relaxed: under the latch.
        beyond == 0 && delta_cycles <= line.stale_cycles.load(Ordering::Relaxed)
    });
    is_good && mode() == CLOCK_MODE_COUNTER
}

/// One try of the same, with something to do once beside it: right behind the counter's read, ahead of the arithmetic.
///
/// # Safety
/// `ts` must be writable.
#[cfg(counts)]
#[inline(always)]
pub unsafe fn try_to(id: u32, ts: *mut Timespec, beside: impl FnOnce()) -> bool {
    let page = pages::own();
    let sample = || {
        let cycles = arch::counter_halves();
        beside();
        cycles
    };
    let read = latch::try_read(&page.header.seq, sample, |cycles, copy| {
        let line = page.line(copy, id);
        let (delta_cycles, beyond) = cycles.since(line.load_cycle_last());
        let nanos = nanos_at(line.load_nanos(), delta_cycles, line.load_mult());
        let now = Timespec::carried(line.sec.load(Ordering::Relaxed), nanos.ns);
        // SAFETY: the caller promises that `ts` is writable.
        unsafe { ts.write(now) };
        // Relaxed: under the latch.
        (beyond == 0 && delta_cycles <= line.stale_cycles.load(Ordering::Relaxed)).then_some(())
    });
    read.is_some() && mode() == CLOCK_MODE_COUNTER
}

/// As `read`, for the whole of a line's life, and its start for a counter value from just before it. Where nobody
/// below knows better, also its end for ever after, and its start for any value before it.
#[inline(always)]
pub fn read_again(id: u32) -> Option<Timespec> {
    let (cycles, view) = line_now(id);
    if view.stale_cycles == 0 || mode() != CLOCK_MODE_COUNTER {
        return None;
    }
    let delta_cycles = cycles.wrapping_sub(view.cycle_last);
    let is_good = delta_cycles <= view.stale_cycles
        || delta_cycles.wrapping_neg() <= JUST_BEFORE_CYCLES
        || alone::has_no_system_calls();
    is_good.then(|| reached(&view, cycles))
}

/// The line cannot be used: nobody publishes any more, or the kernel has given the counter up.
/// `time`, which is the kernel's, is right, but a reader may have been further along the line: the
/// clock waits there rather than go back.
#[inline(always)]
pub fn settle(id: u32, time: Timespec) -> Timespec {
    let (cycles, view) = line_now(id);
    if view.stale_cycles == 0 || mode() == CLOCK_MODE_TIMENS {
        return time;
    }
    let furthest = reached(&view, cycles);
    if time >= furthest || clock::is_in(id, clock::SETTABLE) && was_set_back(&view, furthest, time) {
        return time;
    }
    furthest
}

/// How far along a line its readers may have got.
#[inline(always)]
fn reached(view: &CounterView, cycles: u64) -> Timespec {
    let delta_cycles = cycles.wrapping_sub(view.cycle_last);
    let cycles_on_line = if delta_cycles <= view.stale_cycles {
        delta_cycles
    } else if delta_cycles as i64 <= 0 {
        0
    } else {
        view.stale_cycles
    };
    at(view, cycles_on_line)
}

/// Whether a clock that may be set is further behind than slewing can have brought it.
#[inline(always)]
fn was_set_back(view: &CounterView, furthest: Timespec, time: Timespec) -> bool {
    let behind = furthest.wrapping_sub(time);
    let gained = at(view, view.stale_cycles).wrapping_sub(at(view, 0));
    // A line that gains nothing to speak of may have been ahead before.
    let gained = if gained < LEAST_GAINED { LEAST_GAINED } else { gained };
    let sec = (behind.sec as u64).saturating_mul(SLEWED_DIVISOR).min(i64::MAX as u64 - 8);
    Timespec::carried(sec, (behind.nsec as u64).wrapping_mul(SLEWED_DIVISOR)) > gained
}

#[inline(always)]
fn line_now(id: u32) -> (u64, CounterView) {
    let page = pages::own();
    latch::read(&page.header.seq, arch::counter, |cycles, copy| {
        (cycles, page.line(copy, id).load_counter_view())
    })
}

#[inline(always)]
fn at(view: &CounterView, delta_cycles: u64) -> Timespec {
    let nanos = nanos_at(view.nanos, delta_cycles, view.mult);
    Timespec::carried(view.sec as u64, nanos.ns)
}

#[inline(always)]
fn mode() -> u32 {
    kernel::counter_mode(pages::process())
}
