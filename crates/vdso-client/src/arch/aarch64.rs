//! 64-bit ARM.
//!
//! Source for the vector registers: `Documentation/arch/arm64/sve.rst`, section 3 (Linux 6.18).

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
    // Where there are scalable vectors the kernel throws away all of them but what `v` registers hold,
    // which the compiler cannot tell apart. The list has each caller save and restore v8 to v15, eight
    // instructions that are lost in what a system call takes.
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
            in("x5") sixth,
            lateout("v0") _, lateout("v1") _, lateout("v2") _, lateout("v3") _,
            lateout("v4") _, lateout("v5") _, lateout("v6") _, lateout("v7") _,
            lateout("v8") _, lateout("v9") _, lateout("v10") _, lateout("v11") _,
            lateout("v12") _, lateout("v13") _, lateout("v14") _, lateout("v15") _,
            lateout("v16") _, lateout("v17") _, lateout("v18") _, lateout("v19") _,
            lateout("v20") _, lateout("v21") _, lateout("v22") _, lateout("v23") _,
            lateout("v24") _, lateout("v25") _, lateout("v26") _, lateout("v27") _,
            lateout("v28") _, lateout("v29") _, lateout("v30") _, lateout("v31") _,
            lateout("p0") _, lateout("p1") _, lateout("p2") _, lateout("p3") _,
            lateout("p4") _, lateout("p5") _, lateout("p6") _, lateout("p7") _,
            lateout("p8") _, lateout("p9") _, lateout("p10") _, lateout("p11") _,
            lateout("p12") _, lateout("p13") _, lateout("p14") _, lateout("p15") _,
            lateout("ffr") _,
            options(nostack),
        );
    }
    result
}
