//! A stub for Miri, which runs no machine code: neither a system call nor a vDSO. There is no
//! auxiliary vector, so every call comes here, and `clock_gettime` answers with a clock that goes on
//! by a microsecond each time it is read.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::errno::Errno;
use crate::timespec::Timespec;

pub(crate) mod number {
    pub const READ: usize = 0;
    pub const CLOSE: usize = 1;
    pub const OPENAT: usize = 2;
    pub const PRCTL: usize = 3;
    pub const CLOCK_GETTIME: Option<usize> = Some(4);
    pub const CLOCK_GETRES: Option<usize> = Some(5);
    pub const GETCPU: usize = 6;
    pub const MMAP: usize = 7;
    pub const MUNMAP: usize = 8;
    pub const GETPID: usize = 9;
    pub const GETTID: usize = 10;
    pub const TGKILL: usize = 11;
    pub const GETRANDOM: usize = 12;
    pub const MADVISE: usize = 13;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const GETTIMEOFDAY: Option<usize> = None;
    pub const TIME: Option<usize> = None;
    pub const CLOCK_GETTIME64: Option<usize> = CLOCK_GETTIME;
    pub const CLOCK_GETRES_TIME64: Option<usize> = CLOCK_GETRES;
}

const NSEC_PER_SEC: u64 = 1_000_000_000;
/// What a read adds, ns.
const STEP_NS: u64 = 1_000;
/// The clock, ns: it starts in 2001, so that spans before now can be taken.
static NOW_NS: AtomicU64 = AtomicU64::new(1_000_000_000 * NSEC_PER_SEC);

/// # Safety
/// Where an argument of `number` is a pointer, it must be null or writable.
pub(crate) unsafe fn system_call(number: usize, arguments: [usize; 6]) -> isize {
    let answer = match number {
        // Relaxed: the clock stands for itself.
        4 => NOW_NS.fetch_add(STEP_NS, Ordering::Relaxed),
        5 => STEP_NS,
        _ => return -(Errno::ENOSYS.raw() as isize),
    };
    let [_, time, ..] = arguments;
    let time = core::ptr::with_exposed_provenance_mut::<Timespec>(time);
    let (sec, nsec) = (answer / NSEC_PER_SEC, answer % NSEC_PER_SEC);
    // SAFETY: the caller's promise.
    unsafe { time.write(Timespec { sec: sec as i64, nsec: nsec as i64 }) };
    0
}
