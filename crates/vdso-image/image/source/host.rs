//! `host`: the running kernel's own page, plus the offset that our page gives.
//!
//! The counter is read as the kernel's own function does it: after the page's sequence number. The kernel
//! continues its line at the counter value of its update, which is up to a tick after the `cycle_last` that
//! it writes; a value from before an update, put into what the update has written, would be a time from
//! before others that have been read.

use core::hint::cold_path;
use core::mem::MaybeUninit;

use vdso_data::arithmetic::Timespec;
use vdso_data::linux::{CLOCK_MODE_COUNTER, CLOCK_MODE_TIMENS};
use vdso_data::own::Offset;
use vdso_data::sync::{AtomicU32, Ordering};
use vdso_data::{clock, seqlock};

use crate::kernel::Places;
use crate::{arch, pages};

/// The kernel's time by the kernel's page, moved.
#[inline(always)]
pub fn read(id: u32) -> Option<Timespec> {
    let mut now = MaybeUninit::<Timespec>::uninit();
    // SAFETY: `now` is ours.
    let is_good = unsafe { read_to(id, now.as_mut_ptr()) };
    // SAFETY: written, if it is good.
    is_good.then(|| unsafe { now.assume_init() })
}

/// Writes the kernel's time by the kernel's page, moved, if one try is enough for it; something else, if
/// it says that it is not good.
///
/// There are two functions that call it, so that each knows beforehand where its clock is.
///
/// # Safety
/// `ts` must be writable.
#[inline(always)]
pub unsafe fn read_to(id: u32, ts: *mut Timespec) -> bool {
    let places = places(id);
    let offset = pages::offset_of(id);
    if !offset.is_all() {
        cold_path();
        return false;
    }
    seqlock::try_read_at(places.seq, || counter(places.mode), |cycles| {
        let now = time_at(places, cycles?, offset)?;
        // SAFETY: the caller promises that `ts` is writable.
        unsafe { ts.write(now) };
        Some(())
    })
    .is_some()
}

/// The same, with something to do once beside it: behind the arithmetic, which takes longer here.
///
/// # Safety
/// `ts` must be writable.
#[cfg(counts)]
#[inline(always)]
pub unsafe fn try_to(id: u32, ts: *mut Timespec, beside: impl FnOnce()) -> bool {
    // SAFETY: the caller's promise is passed on.
    let is_read = unsafe { read_to(id, ts) };
    beside();
    is_read
}

/// As `read`, but waits while the kernel writes.
#[inline(always)]
pub fn read_again(id: u32) -> Option<Timespec> {
    let places = places(id);
    let offset = pages::offset_of(id);
    if !offset.is_all() {
        return None;
    }
    // Relaxed: looked at once more for as long as the number is odd.
    let in_time_namespace = || places.mode.load(Ordering::Relaxed) == CLOCK_MODE_TIMENS;
    seqlock::read(places.seq, in_time_namespace, || counter(places.mode), |cycles| {
        time_at(places, cycles?, offset)
    })
    .flatten()
}

/// The counter, if the kernel uses it.
#[inline(always)]
fn counter(mode: &AtomicU32) -> Option<u64> {
    // Relaxed: read under the lock, which tells whether it is of the same time as all else.
    (mode.load(Ordering::Relaxed) == CLOCK_MODE_COUNTER).then(arch::counter)
}

/// The kernel's clock at the counter, moved; `None` if that takes more than 64 bits. Under the lock.
#[inline(always)]
fn time_at(places: Places, cycles: u64, offset: Offset) -> Option<Timespec> {
    let Some(delta_cycles) = places.delta_cycles(cycles) else {
        cold_path();
        return None;
    };
    let (mult, shift) = places.mult_and_shift();
    let base = places.base();
    let shift = shift & 63;
    // All that does not wait for the counter comes first.
    let base_ns = (base.nsec as u64).wrapping_add(offset.nsec << shift);
    let sec = (base.sec as u64).wrapping_add(offset.sec);
    let shifted_ns = delta_cycles.wrapping_mul(u64::from(mult)).wrapping_add(base_ns);
    Some(Timespec::carried(sec, shifted_ns >> shift))
}

/// The kernel's time is this source's time.
#[inline(always)]
pub fn settle(_id: u32, time: Timespec) -> Timespec {
    time
}

#[inline(always)]
fn places(id: u32) -> Places<'static> {
    let process = pages::process();
    Places::of(if id == clock::MONOTONIC_RAW { &process.raw } else { &process.hres }, id)
}
