//! The system calls behind the vDSO's functions: what each call of this crate does when there is no
//! function for it. Also for comparisons.
//! `getpid` and `gettid` are behind [`ids`](crate::ids).
//!
//! On 32-bit architectures the calls with 64-bit times are made, and the old ones on kernels before
//! 5.1. Where an architecture lacks a call, another one with the same answer is made.
//!
//! # Errors
//! [`Errno::EINVAL`] for a clock that the kernel does not have; whatever a seccomp filter says.

use core::mem::MaybeUninit;

use crate::arch::{self, HAS_64_BIT_LONG_TIMES, NUMBERS};
use crate::calls::Timespec32;
use crate::calls::getcpu::Cpu;
use crate::calls::gettimeofday::{Timeval, Timezone};
use crate::clock_id::ClockId;
use crate::errno::Errno;
use crate::timespec::Timespec;

/// The time of a clock.
pub fn clock_gettime(id: ClockId) -> Result<Timespec, Errno> {
    by_clock(NUMBERS.clock_gettime, NUMBERS.clock_gettime64, id)
}

/// The resolution of a clock.
pub fn clock_getres(id: ClockId) -> Result<Timespec, Errno> {
    by_clock(NUMBERS.clock_getres, NUMBERS.clock_getres_time64, id)
}

/// The wall-clock time in microseconds.
pub fn gettimeofday() -> Result<Timeval, Errno> {
    match GETTIMEOFDAY {
        // SAFETY: it writes a `Timeval` where `long` has 64 bits.
        Some(number) if HAS_64_BIT_LONG_TIMES => unsafe { write_to(number, |time| [time, 0]) },
        _ => clock_gettime(ClockId::REALTIME).map(Timeval::from),
    }
}

/// The kernel's time zone.
pub fn timezone() -> Result<Timezone, Errno> {
    let number = GETTIMEOFDAY.ok_or(Errno::ENOSYS)?;
    // SAFETY: with a null for the time, it writes a `Timezone`.
    unsafe { write_to(number, |zone| [0, zone]) }
}

/// What stands for the kernel under Miri answers for clocks alone.
const GETTIMEOFDAY: Option<u32> = if cfg!(miri) { None } else { NUMBERS.gettimeofday };

/// x32's result does not fit into 32 bits after 2038, and would be taken for an error.
const TIME: Option<u32> =
    if cfg!(any(miri, all(target_arch = "x86_64", target_pointer_width = "32"))) {
        None
    } else {
        NUMBERS.time
    };

/// The seconds of the wall clock as of the last timer tick.
pub fn time() -> Result<i64, Errno> {
    match TIME {
        // SAFETY: it writes an `i64` where `long` has 64 bits.
        Some(number) if HAS_64_BIT_LONG_TIMES => unsafe { write_to(number, |time| [time, 0]) },
        _ => clock_gettime(ClockId::REALTIME_COARSE).map(|now| now.sec),
    }
}

/// The CPU that this thread runs on.
pub fn getcpu() -> Result<Cpu, Errno> {
    let mut node = 0u32;
    let node_address = (&raw mut node).expose_provenance();
    // SAFETY: it writes two words, one to `node`.
    let cpu = unsafe { write_to(NUMBERS.getcpu, |cpu| [cpu, node_address]) }?;
    Ok(Cpu { cpu, node })
}

/// The process that this is.
pub fn getpid() -> Result<u32, Errno> {
    id(NUMBERS.getpid)
}

/// The thread that this is.
pub fn gettid() -> Result<u32, Errno> {
    id(NUMBERS.gettid)
}

fn id(number: u32) -> Result<u32, Errno> {
    // SAFETY: both calls take nothing.
    Errno::check(unsafe { arch::system_call(number, [0; 6]) }).map(|id| id as u32)
}

/// The time of a clock by the call of 32-bit architectures that has 64-bit times.
pub(crate) fn clock_gettime64(id: ClockId) -> Result<Timespec, Errno> {
    by_clock64(NUMBERS.clock_gettime64, id)
}

fn by_clock64(number: Option<u32>, id: ClockId) -> Result<Timespec, Errno> {
    let number = number.ok_or(Errno::ENOSYS)?;
    // SAFETY: it writes a `Timespec`.
    unsafe { write_to(number, |time| [id.raw() as usize, time]) }
}

fn by_clock(number: Option<u32>, time64: Option<u32>, id: ClockId) -> Result<Timespec, Errno> {
    let answer = by_clock64(time64, id);
    if answer != Err(Errno::ENOSYS) {
        return answer;
    }
    let id = id.raw() as usize;
    let number = number.ok_or(Errno::ENOSYS)?;
    if HAS_64_BIT_LONG_TIMES {
        // SAFETY: it writes a `Timespec` where `long` has 64 bits.
        unsafe { write_to::<Timespec>(number, |time| [id, time]) }
    } else {
        // SAFETY: it writes a `Timespec32` elsewhere.
        unsafe { write_to::<Timespec32>(number, |time| [id, time]) }.map(Timespec::from)
    }
}

/// Makes a system call that writes a `T`; `arguments` makes its first two arguments of the address
/// that is to be written to.
///
/// # Safety
/// If it returns without an error, it must have written a `T` there, and nothing elsewhere but where
/// the caller says.
unsafe fn write_to<T>(
    number: u32,
    arguments: impl FnOnce(usize) -> [usize; 2],
) -> Result<T, Errno> {
    let mut written = MaybeUninit::<T>::uninit();
    let [first, second] = arguments(written.as_mut_ptr().expose_provenance());
    // SAFETY: the caller promises that it writes a `T` to `written` alone.
    Errno::check(unsafe { arch::system_call(number, [first, second, 0, 0, 0, 0]) })?;
    // SAFETY: there was no error.
    Ok(unsafe { written.assume_init() })
}
