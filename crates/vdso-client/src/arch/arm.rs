//! 32-bit ARM, EABI.

use core::arch::asm;

/// Numbers of `arch/arm/tools/syscall.tbl`.
pub(crate) mod number {
    pub const READ: usize = 3;
    pub const CLOSE: usize = 6;
    pub const GETPID: usize = 20;
    pub const TIME: Option<usize> = None;
    pub const GETTIMEOFDAY: Option<usize> = Some(78);
    pub const MUNMAP: usize = 91;
    pub const PRCTL: usize = 172;
    pub const RT_SIGPROCMASK: usize = 175;
    /// `mmap2`, whose offset counts pages.
    pub const MMAP: usize = 192;
    pub const MADVISE: usize = 220;
    pub const GETTID: usize = 224;
    pub const CLOCK_GETTIME: Option<usize> = Some(263);
    pub const CLOCK_GETRES: Option<usize> = Some(264);
    pub const TGKILL: usize = 268;
    pub const OPENAT: usize = 322;
    pub const GETCPU: usize = 345;
    pub const GETRANDOM: usize = 384;
    pub const CLOCK_GETTIME64: Option<usize> = Some(403);
    pub const CLOCK_GETRES_TIME64: Option<usize> = Some(406);
}

/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
#[inline]
pub(crate) unsafe fn system_call(number: usize, arguments: [usize; 6]) -> isize {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    let result: isize;
    // SAFETY: the system call convention; the caller answers for the call itself. R7 is the
    // compiler's own in Thumb code, so it is exchanged for the number and back.
    unsafe {
        asm!(
            "mov {saved}, r7",
            "mov r7, {number}",
            "svc 0",
            "mov r7, {saved}",
            saved = out(reg) _,
            number = in(reg) number,
            inlateout("r0") first => result,
            in("r1") second,
            in("r2") third,
            in("r3") fourth,
            in("r4") fifth,
            in("r5") sixth,
            options(nostack),
        );
    }
    result
}
