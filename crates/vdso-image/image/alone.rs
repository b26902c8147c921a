//! Where no Linux is below the image: what the page of clocks tells by itself, and what is said where nobody answers
//! system calls. The process page says so, by `FLAG_NO_LINUX` and `FLAG_NO_SYSTEM_CALLS`; all of it is for the source
//! `own`, and reached by paths that ask the kernel otherwise.

use core::ffi::c_int;

use vdso_data::arithmetic::{Timespec, rounded_down};
use vdso_data::clock;
use vdso_data::gettimeofday::Timezone;
use vdso_data::process::{FLAG_NO_LINUX, FLAG_NO_SYSTEM_CALLS};
use vdso_data::sync::Ordering;

use crate::pages;

/// What a clock is answered with that nobody has.
pub const EINVAL: c_int = 22;
/// What any other call is.
pub const ENOSYS: c_int = 38;

/// Whether no Linux is below.
#[inline(always)]
pub fn has_no_linux() -> bool {
    cfg!(source = "own") && pages::has_flags(FLAG_NO_LINUX)
}

/// Whether no system call is made.
#[inline(always)]
pub fn has_no_system_calls() -> bool {
    cfg!(source = "own") && pages::has_flags(FLAG_NO_SYSTEM_CALLS)
}

/// Whose line tells the time of `id`: that of a coarse clock is the line of its fine twin.
#[inline(always)]
pub fn line_of(id: u32) -> u32 {
    if has_no_linux() { clock::fine_twin(id) } else { id }
}

/// What clock `id` says when the clock of its line is at `time`: a coarse one, what that was at the last tick. Ticks are
/// the line's own, multiples of the resolution, so that this is right whenever the page was published last.
#[inline(always)]
pub fn as_of_tick(id: u32, time: Timespec) -> Timespec {
    if cfg!(not(source = "own")) || !clock::is_in(id, clock::COARSE) {
        return time;
    }
    // Relaxed: one word that stands for itself.
    let tick_ns = pages::own().header.coarse_res_ns.load(Ordering::Relaxed);
    Timespec { nsec: rounded_down(time.nsec as u64, tick_ns) as i64, ..time }
}

/// The time zone where nobody has said any.
#[inline(always)]
pub fn time_zone() -> Option<Timezone> {
    has_no_system_calls().then(Timezone::default)
}
