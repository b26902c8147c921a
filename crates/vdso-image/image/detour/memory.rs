//! The program's memory, which may not be there: the kernel is asked to read or to write where it would say
//! `EFAULT`, so that nothing here faults.

use vdso_data::arithmetic::{NSEC_PER_SEC, Timespec};

use crate::arch::{self, number};

/// `EFAULT` of `include/uapi/asm-generic/errno-base.h`. Anything else that is said, by a filter of the program's own as well,
/// is taken for a yes: a wait that is not translated may never end, and bad addresses are rare.
const EFAULT: i64 = 14;

/// Bytes of a set of signals.
const SET_BYTES: u64 = 8;

/// The two words at `addr`; `None` if they cannot be read.
#[inline(never)]
pub fn read(addr: u64) -> Option<[u64; 2]> {
    is_readable(addr).then_some(())?;
    is_readable(addr.wrapping_add(SET_BYTES)).then_some(())?;
    // SAFETY: the kernel has just read them. Memory that another thread unmaps meanwhile is its mistake.
    Some(unsafe { load(addr) })
}

/// The two words at `addr`, one by one: both at once would be a call of `memcpy` where a processor may not load from any
/// address.
///
/// # Safety
/// They can be read.
pub unsafe fn load(addr: u64) -> [u64; 2] {
    let second_addr = addr.wrapping_add(8);
    // SAFETY: the caller answers for it.
    let first = unsafe { (addr as *const u64).read_unaligned() };
    // SAFETY: as above.
    let second = unsafe { (second_addr as *const u64).read_unaligned() };
    [first, second]
}

/// Writes two words to `addr`, likewise.
///
/// # Safety
/// They can be written, and nobody minds.
pub unsafe fn store(addr: u64, [first, second]: [u64; 2]) {
    let second_addr = addr.wrapping_add(8);
    // SAFETY: the caller answers for it.
    unsafe { (addr as *mut u64).write_unaligned(first) };
    // SAFETY: as above.
    unsafe { (second_addr as *mut u64).write_unaligned(second) };
}

/// The 32 bits at `addr`; `None` if they cannot be read, or if those behind them cannot.
pub fn read_u32(addr: u64) -> Option<u32> {
    is_readable(addr).then_some(())?;
    // SAFETY: as above.
    Some(unsafe { (addr as *const u32).read_unaligned() })
}

/// Whether the eight bytes there can be read: the kernel copies a set of signals with which, as there is no such
/// operation, nothing is to be done.
#[inline(never)]
fn is_readable(addr: u64) -> bool {
    const NO_OPERATION: u64 = u32::MAX as u64;
    let args = [NO_OPERATION, addr, 0, SET_BYTES, 0, 0];
    // SAFETY: the kernel reads what it is given, if it can, and changes nothing.
    unsafe { arch::syscall_6(number::RT_SIGPROCMASK, &args) != -EFAULT }
}

/// Writes two words to `addr`, if they can be written; says whether.
#[inline(never)]
pub fn write(addr: u64, words: [u64; 2]) -> bool {
    let can_be_written = is_writable(addr) && is_writable(addr.wrapping_add(SET_BYTES));
    if can_be_written {
        // SAFETY: the program has told the kernel to write there, which has just done so.
        unsafe { store(addr, words) };
    }
    can_be_written
}

/// Whether eight bytes can be written there, which are others then: the kernel says which signals are blocked.
#[inline(never)]
fn is_writable(addr: u64) -> bool {
    let args = [0, 0, addr, SET_BYTES, 0, 0];
    // SAFETY: the kernel writes where the program has told it to, if it can, and changes nothing else.
    unsafe { arch::syscall_6(number::RT_SIGPROCMASK, &args) != -EFAULT }
}

/// A `struct __kernel_timespec`: `None` if it cannot be read, or if the kernel would not take it.
#[inline(never)]
pub fn read_timespec(addr: u64) -> Option<Timespec> {
    valid(read(addr)?)
}

/// A time that the kernel takes.
pub fn valid([sec, nsec]: [u64; 2]) -> Option<Timespec> {
    (sec as i64 >= 0 && nsec < NSEC_PER_SEC)
        .then_some(Timespec { sec: sec as i64, nsec: nsec as i64 })
}

/// A time with any number of nanoseconds, which a few calls take.
pub fn of_unchecked_timespec([sec, nsec]: [u64; 2]) -> Option<Timespec> {
    let sec = (sec as i64).checked_add((nsec as i64).div_euclid(NSEC_PER_SEC as i64))?;
    let nsec = (nsec as i64).rem_euclid(NSEC_PER_SEC as i64);
    (sec >= 0).then_some(Timespec { sec, nsec })
}

/// As the kernel reads it.
pub fn words(time: Timespec) -> [u64; 2] {
    [time.sec as u64, time.nsec as u64]
}

const USEC_PER_SEC: u64 = 1_000_000;
const NSEC_PER_USEC: u64 = 1_000;

/// A `struct timeval`'s words, which `select` takes with any number of microseconds.
#[inline(never)]
pub fn of_timeval([sec, usec]: [u64; 2]) -> Option<Timespec> {
    let is_valid = sec as i64 >= 0 && usec as i64 >= 0;
    let sec = (sec as i64).checked_add((usec / USEC_PER_SEC) as i64)?;
    let nsec = (usec % USEC_PER_SEC * NSEC_PER_USEC) as i64;
    is_valid.then_some(Timespec { sec, nsec })
}

/// A `struct timeval` of less than a second's microseconds, as timers and sockets take it.
#[inline(never)]
pub fn valid_timeval(words: [u64; 2]) -> Option<Timespec> {
    let [_, usec] = words;
    (usec < USEC_PER_SEC).then(|| of_timeval(words)).flatten()
}

/// The words of a `struct timeval`, rounded up: a timer that is set must not become one that is not.
#[inline(never)]
pub fn timeval(time: Timespec) -> [u64; 2] {
    let usec = (time.nsec as u64).div_ceil(NSEC_PER_USEC);
    [(time.sec as u64).wrapping_add(usec / USEC_PER_SEC), usec % USEC_PER_SEC]
}
