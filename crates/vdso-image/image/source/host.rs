//! `host`: the running kernel's own page, plus the offset that our page gives.

use core::mem::MaybeUninit;

use vdso_data::arithmetic::Timespec;
use vdso_data::linux::{CLOCK_MODE_COUNTER, CLOCK_MODE_TIMENS};
use vdso_data::process::{KernelClock, ProcessPage};
use vdso_data::sync::Ordering;
use vdso_data::{clock, seqlock};

use crate::{arch, kernel, pages};

/// The kernel's time by the kernel's page, moved.
#[inline(always)]
pub fn read(id: u32) -> Option<Timespec> {
    let mut now = MaybeUninit::<Timespec>::uninit();
    // SAFETY: `now` is ours.
    let is_good = unsafe { read_to(id, now.as_mut_ptr()) };
    // SAFETY: written, if it is good.
    is_good.then(|| unsafe { now.assume_init() })
}

/// Writes the kernel's time by the kernel's page, moved; something else, if it says that it is not
/// good.
///
/// # Safety
/// `ts` must be writable.
#[inline(always)]
pub unsafe fn read_to(id: u32, ts: *mut Timespec) -> bool {
    let known = known_clock(pages::process(), id);
    let offset = pages::offset_of(id);
    let in_time_namespace = || kernel::mode(known) == CLOCK_MODE_TIMENS;
    let is_good = seqlock::read(kernel::seq(known), in_time_namespace, arch::counter_halves, |cycles| {
        let (delta_cycles, beyond) = cycles.since(kernel::cycle_last(known));
        let (mult, shift) = kernel::mult_and_shift(known);
        let base = kernel::basetime(known, id);
        let shift = shift & 63;
        // All that does not wait for the counter comes first.
        let base_ns = (base.nsec as u64).wrapping_add(offset.nsec << shift);
        let shifted_ns = delta_cycles.wrapping_mul(u64::from(mult)).wrapping_add(base_ns);
        let sec = (base.sec as u64).wrapping_add(offset.sec);
        // SAFETY: the caller promises that `ts` is writable.
        unsafe { ts.write(Timespec::carried(sec, shifted_ns >> shift)) };
        // Relaxed: the process page does not change.
        let max_cycles = known.max_cycles.load(Ordering::Relaxed);
        beyond == 0 && delta_cycles <= max_cycles && kernel::mode(known) == CLOCK_MODE_COUNTER
    });
    is_good == Some(true) && offset.is_all()
}

/// Nothing more is known than what `read` tried.
#[inline(always)]
pub fn read_again(_id: u32) -> Option<Timespec> {
    None
}

/// The kernel's time is this source's time.
#[inline(always)]
pub fn settle(_id: u32, time: Timespec) -> Timespec {
    time
}

#[inline(always)]
fn known_clock(process: &ProcessPage, id: u32) -> &KernelClock {
    if id == clock::MONOTONIC_RAW { &process.raw } else { &process.hres }
}
