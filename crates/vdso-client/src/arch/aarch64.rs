//! 64-bit ARM.

use core::arch::asm;

/// Numbers of `include/uapi/asm-generic/unistd.h`.
pub(crate) mod number {
    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const READ: usize = 63;
    pub const CLOCK_GETTIME: Option<usize> = Some(113);
    pub const CLOCK_GETRES: Option<usize> = Some(114);
    pub const PRCTL: usize = 167;
    pub const GETCPU: usize = 168;
    pub const GETTIMEOFDAY: Option<usize> = Some(169);
    pub const TIME: Option<usize> = None;
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
            in("x8") number,
            inlateout("x0") first => result,
            in("x1") second,
            in("x2") third,
            in("x3") fourth,
            in("x4") fifth,
            options(nostack),
        );
    }
    result
}
