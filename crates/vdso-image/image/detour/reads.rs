//! Clocks that a program asks the kernel for itself: it is given what the image gives.
//!
//! The kernel makes the call first, with the program's own arguments: so it says what is wrong with them, and what it
//! has just written to can be written to again.

use core::ptr;

use vdso_data::arithmetic::{Timespec, whole_micros};
use vdso_data::clock;
use vdso_data::detour::Mark;

use super::memory::{Form, words};
use super::{Call, line, memory, now};
use crate::arch::Long;
use crate::{pages, slow};

const MARK: Mark = Mark::Low(2);

const EFAULT: i64 = -14;

/// `clock_gettime`.
#[inline(never)]
pub fn clock_gettime(call: Call) -> i64 {
    if call.form != Form::Time64 {
        return clock_gettime_in(call.form, call);
    }
    let result = call.make(MARK);
    let id = line(call.args[0] as u32);
    if result == 0 && (id as usize) < clock::LINES {
        overwrite(call.args[1], words(now(id)));
    }
    result
}

/// The same for who wants another form than the kernel gives.
fn clock_gettime_in(form: Form, call: Call) -> i64 {
    let mut host = [0u64; 2];
    let result = call.with(1, (&raw mut host).addr() as u64).make(MARK);
    if result != 0 {
        return result;
    }
    let id = line(call.args[0] as u32);
    let time = if (id as usize) < clock::LINES {
        words(now(id))
    } else {
        // SAFETY: it is ours; read anew, as the kernel has written.
        unsafe { (&raw const host).read_volatile() }
    };
    if memory::is_writable(call.args[1]) {
        // SAFETY: it is.
        unsafe { memory::overwrite(form, call.args[1], time) };
        0
    } else {
        EFAULT
    }
}

/// `gettimeofday`.
#[inline(never)]
pub fn gettimeofday(call: Call) -> i64 {
    let [time_addr, zone_addr, ..] = call.args;
    let result = call.make(MARK);
    if result != 0 {
        return result;
    }
    if time_addr != 0 {
        let Timespec { sec, nsec } = now(clock::REALTIME);
        // SAFETY: the kernel has just written there.
        unsafe { memory::overwrite(call.form, time_addr, [sec as u64, whole_micros(nsec as u64)]) };
    }
    if zone_addr != 0 && let Some(zone) = pages::own().time_zone() {
        overwrite(zone_addr, zone);
    }
    result
}

/// `time`.
#[inline(never)]
pub fn time(call: Call) -> i64 {
    let seconds_addr = call.args[0];
    if call.make(MARK) == EFAULT && seconds_addr != 0 {
        return EFAULT;
    }
    // SAFETY: a null pointer may be given.
    let seconds = unsafe { slow::time(ptr::null_mut()) };
    if seconds_addr != 0 {
        overwrite(seconds_addr, seconds);
    }
    seconds.into()
}

/// `times`: what has passed since a moment of the kernel's choice, by MONOTONIC; here it is zero of that.
#[inline(never)]
pub fn times(call: Call) -> i64 {
    /// `USER_HZ`, `include/asm-generic/param.h`.
    const TICKS_PER_SEC: i64 = 100;
    const NSEC_PER_TICK: u32 = 10_000_000;
    if call.make(MARK) == EFAULT && call.args[0] != 0 {
        return EFAULT;
    }
    let Timespec { sec, nsec } = now(clock::MONOTONIC);
    sec.wrapping_mul(TICKS_PER_SEC).wrapping_add((nsec as u32 / NSEC_PER_TICK).into())
}

/// `sysinfo`, which begins with the seconds of BOOTTIME, rounded up.
#[inline(never)]
pub fn sysinfo(call: Call) -> i64 {
    let result = call.make(MARK);
    if result == 0 {
        let Timespec { sec, nsec } = now(clock::BOOTTIME);
        overwrite(call.args[0], sec.wrapping_add(i64::from(nsec != 0)) as Long);
    }
    result
}

/// Writes where the kernel has just written.
fn overwrite<T>(addr: u64, value: T) {
    // SAFETY: it is writable, as the kernel has written there; the program has said that this is the place. Memory that
    // another thread unmaps meanwhile is its mistake.
    unsafe { (addr as *mut T).write_unaligned(value) };
}
