//! A stub for Miri, which runs no machine code: neither a system call nor a vDSO. There is no
//! auxiliary vector, so every call comes here, and `clock_gettime` answers with a clock that goes on
//! by a microsecond each time it is read.

use core::sync::atomic::{AtomicU64, Ordering};

use super::NUMBERS;
use crate::errno::Errno;
use crate::timespec::Timespec;

const NSEC_PER_SEC: u64 = 1_000_000_000;
/// What a read adds, ns.
const STEP_NS: u64 = 1_000;
/// The clock, ns: it starts in 2001, so that spans before now can be taken.
static NOW_NS: AtomicU64 = AtomicU64::new(1_000_000_000 * NSEC_PER_SEC);

/// # Safety
/// Where an argument of `number` is a pointer, it must be null or writable.
pub(crate) unsafe fn system_call(number: u32, arguments: [usize; 6]) -> isize {
    let is = |calls: [Option<u32>; 2]| calls.contains(&Some(number));
    let answer = match () {
        // Relaxed: the clock stands for itself.
        () if is([NUMBERS.clock_gettime64, NUMBERS.clock_gettime]) => {
            NOW_NS.fetch_add(STEP_NS, Ordering::Relaxed)
        }
        () if is([NUMBERS.clock_getres_time64, NUMBERS.clock_getres]) => STEP_NS,
        () => return -(Errno::ENOSYS.raw() as isize),
    };
    let [_, time, ..] = arguments;
    let time = core::ptr::with_exposed_provenance_mut::<Timespec>(time);
    let (sec, nsec) = (answer / NSEC_PER_SEC, answer % NSEC_PER_SEC);
    // SAFETY: the caller's promise.
    unsafe { time.write(Timespec { sec: sec as i64, nsec: nsec as i64 }) };
    0
}
