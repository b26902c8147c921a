//! RISC-V, both widths. The 32-bit one was born with 64-bit times and has no other calls.

use core::arch::asm;

/// Numbers of `include/uapi/asm-generic/unistd.h`.
pub(crate) mod number {
    const IS_64_BIT: bool = cfg!(target_pointer_width = "64");

    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const READ: usize = 63;
    pub const CLOCK_GETTIME: Option<usize> = if IS_64_BIT { Some(113) } else { None };
    pub const CLOCK_GETRES: Option<usize> = if IS_64_BIT { Some(114) } else { None };
    pub const PRCTL: usize = 167;
    pub const GETCPU: usize = 168;
    pub const GETTIMEOFDAY: Option<usize> = if IS_64_BIT { Some(169) } else { None };
    pub const TIME: Option<usize> = None;
    pub const CLOCK_GETTIME64: Option<usize> = if IS_64_BIT { None } else { Some(403) };
    pub const CLOCK_GETRES_TIME64: Option<usize> = if IS_64_BIT { None } else { Some(406) };
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
            "ecall",
            in("a7") number,
            inlateout("a0") first => result,
            in("a1") second,
            in("a2") third,
            in("a3") fourth,
            in("a4") fifth,
            options(nostack),
        );
    }
    result
}
