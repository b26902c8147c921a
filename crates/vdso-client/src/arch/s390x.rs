//! IBM Z, 64-bit.

use core::arch::asm;

/// Numbers of `arch/s390/kernel/syscalls/syscall.tbl`.
pub(crate) mod number {
    pub const READ: usize = 3;
    pub const CLOSE: usize = 6;
    pub const TIME: Option<usize> = None;
    pub const GETTIMEOFDAY: Option<usize> = Some(78);
    pub const PRCTL: usize = 172;
    pub const CLOCK_GETTIME: Option<usize> = Some(260);
    pub const CLOCK_GETRES: Option<usize> = Some(261);
    pub const OPENAT: usize = 288;
    pub const GETCPU: usize = 311;
    pub const CLOCK_GETTIME64: Option<usize> = None;
    pub const CLOCK_GETRES_TIME64: Option<usize> = None;
}

/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
#[inline]
pub(crate) unsafe fn system_call(number: usize, arguments: [usize; 5]) -> isize {
    let [first, second, third, fourth, fifth] = arguments;
    let result: isize;
    // SAFETY: the system call convention; the caller answers for the call itself.
    unsafe {
        asm!(
            "svc 0",
            in("r1") number,
            inlateout("r2") first => result,
            in("r3") second,
            in("r4") third,
            in("r5") fourth,
            in("r6") fifth,
            options(nostack),
        );
    }
    result
}
