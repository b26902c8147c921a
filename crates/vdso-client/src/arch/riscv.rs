//! RISC-V, both widths. The 32-bit one was born with 64-bit times and has no other calls.
//!
//! Source for the vector registers: `Documentation/arch/riscv/vector.rst`, section 3 (Linux 6.18).

use core::arch::asm;

/// Numbers of `include/uapi/asm-generic/unistd.h`.
pub(crate) mod number {
    const IS_64_BIT: bool = cfg!(target_pointer_width = "64");

    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const READ: usize = 63;
    pub const CLOCK_GETTIME: Option<usize> = if IS_64_BIT { Some(113) } else { None };
    pub const CLOCK_GETRES: Option<usize> = if IS_64_BIT { Some(114) } else { None };
    pub const RT_SIGPROCMASK: usize = 135;
    pub const PRCTL: usize = 167;
    pub const GETCPU: usize = 168;
    pub const GETPID: usize = 172;
    pub const GETTID: usize = 178;
    pub const MUNMAP: usize = 215;
    pub const MMAP: usize = 222;
    pub const MADVISE: usize = 233;
    pub const TGKILL: usize = 131;
    pub const GETRANDOM: usize = 278;
    pub const GETTIMEOFDAY: Option<usize> = if IS_64_BIT { Some(169) } else { None };
    pub const TIME: Option<usize> = None;
    pub const CLOCK_GETTIME64: Option<usize> = if IS_64_BIT { None } else { Some(403) };
    pub const CLOCK_GETRES_TIME64: Option<usize> = if IS_64_BIT { None } else { Some(406) };
}

/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
#[inline]
pub(crate) unsafe fn system_call(number: usize, arguments: [usize; 6]) -> isize {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    let result: isize;
    // SAFETY: the system call convention; the caller answers for the call itself. The kernel throws the
    // vector registers away; with them go VL and VTYPE, which count as flags, and those the compiler
    // gives up for any assembly. Where vectors are not used the list costs nothing.
    unsafe {
        asm!(
            "ecall",
            in("a7") number,
            inlateout("a0") first => result,
            in("a1") second,
            in("a2") third,
            in("a3") fourth,
            in("a4") fifth,
            in("a5") sixth,
            lateout("v0") _, lateout("v1") _, lateout("v2") _, lateout("v3") _,
            lateout("v4") _, lateout("v5") _, lateout("v6") _, lateout("v7") _,
            lateout("v8") _, lateout("v9") _, lateout("v10") _, lateout("v11") _,
            lateout("v12") _, lateout("v13") _, lateout("v14") _, lateout("v15") _,
            lateout("v16") _, lateout("v17") _, lateout("v18") _, lateout("v19") _,
            lateout("v20") _, lateout("v21") _, lateout("v22") _, lateout("v23") _,
            lateout("v24") _, lateout("v25") _, lateout("v26") _, lateout("v27") _,
            lateout("v28") _, lateout("v29") _, lateout("v30") _, lateout("v31") _,
            options(nostack),
        );
    }
    result
}
