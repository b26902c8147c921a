//! 64-bit LoongArch.

use core::arch::asm;

/// Numbers of `include/uapi/asm-generic/unistd.h`.
pub(crate) mod number {
    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const READ: usize = 63;
    pub const CLOCK_GETTIME: Option<usize> = Some(113);
    pub const CLOCK_GETRES: Option<usize> = Some(114);
    pub const RT_SIGPROCMASK: usize = 135;
    pub const PRCTL: usize = 167;
    pub const GETCPU: usize = 168;
    pub const GETTIMEOFDAY: Option<usize> = Some(169);
    pub const GETPID: usize = 172;
    pub const GETTID: usize = 178;
    pub const MUNMAP: usize = 215;
    pub const MMAP: usize = 222;
    pub const MADVISE: usize = 233;
    pub const TGKILL: usize = 131;
    pub const GETRANDOM: usize = 278;
    pub const TIME: Option<usize> = None;
    pub const CLOCK_GETTIME64: Option<usize> = None;
    pub const CLOCK_GETRES_TIME64: Option<usize> = None;
}

/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
#[inline]
pub(crate) unsafe fn system_call(number: usize, arguments: [usize; 6]) -> isize {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    let result: isize;
    // SAFETY: the system call convention; the caller answers for the call itself. The kernel may
    // change the temporary registers.
    unsafe {
        asm!(
            "syscall 0",
            in("$a7") number,
            inlateout("$a0") first => result,
            in("$a1") second,
            in("$a2") third,
            in("$a3") fourth,
            in("$a4") fifth,
            in("$a5") sixth,
            lateout("$t0") _,
            lateout("$t1") _,
            lateout("$t2") _,
            lateout("$t3") _,
            lateout("$t4") _,
            lateout("$t5") _,
            lateout("$t6") _,
            lateout("$t7") _,
            lateout("$t8") _,
            options(nostack),
        );
    }
    result
}
