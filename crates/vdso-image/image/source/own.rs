//! `own`: the counter and our page, which our timekeeper publishes about once a second.

use core::mem::MaybeUninit;

use vdso_data::arithmetic::{Timespec, nanos_at};
use vdso_data::linux::{CLOCK_MODE_COUNTER, CLOCK_MODE_TIMENS};
use vdso_data::own::CounterView;
use vdso_data::sync::Ordering;
use vdso_data::{clock, latch};

use crate::{arch, kernel, pages};

/// How far before its line a counter value may be and still be one that was read just before the
/// line was published, cycles: over a second of any counter's. Further off the counter was reset.
const JUST_BEFORE_CYCLES: u64 = 1 << 32;

/// How far behind its line a settable clock is taken for slow rather than for set back, ns.
const SLOW_NOT_SET_NS: i64 = 1_000_000;

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
        beyond == 0
    });
    is_good && mode() == CLOCK_MODE_COUNTER
}

/// As `read`, for the whole of a line's life, and its start for a counter value from just before it.
#[inline(always)]
pub fn read_again(id: u32) -> Option<Timespec> {
    let (cycles, view) = line_now(id);
    let delta_cycles = cycles.wrapping_sub(view.cycle_last);
    if view.stale_cycles == 0 || mode() != CLOCK_MODE_COUNTER {
        None
    } else if delta_cycles <= view.stale_cycles {
        Some(at(&view, delta_cycles))
    } else if delta_cycles.wrapping_neg() <= JUST_BEFORE_CYCLES {
        Some(at(&view, 0))
    } else {
        None
    }
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
    let delta_cycles = cycles.wrapping_sub(view.cycle_last);
    let furthest = if delta_cycles as i64 <= 0 {
        at(&view, 0)
    } else if delta_cycles < view.stale_cycles {
        at(&view, delta_cycles)
    } else {
        at(&view, view.stale_cycles)
    };
    let behind = furthest.wrapping_sub(time);
    let is_slow = behind.sec == 0 && behind.nsec < SLOW_NOT_SET_NS;
    if time < furthest && (is_slow || !clock::is_in(id, clock::SETTABLE)) { furthest } else { time }
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
