//! PowerPC, both widths and byte orders.
//!
//! System calls and vDSO functions alike report an error by the bit SO of the condition register's
//! field 0, with the positive error number as the result. A C compiler's call loses that bit.
//! Source: `Documentation/arch/powerpc/syscall64-abi.rst` (Linux 6.18).

use core::arch::asm;
use core::ptr::NonNull;

/// Numbers of `arch/powerpc/kernel/syscalls/syscall.tbl`.
pub(crate) mod number {
    const IS_64_BIT: bool = cfg!(target_pointer_width = "64");

    pub const READ: usize = 3;
    pub const CLOSE: usize = 6;
    pub const GETPID: usize = 20;
    pub const TIME: Option<usize> = Some(13);
    pub const GETTIMEOFDAY: Option<usize> = Some(78);
    pub const MMAP: usize = 90;
    pub const MUNMAP: usize = 91;
    pub const PRCTL: usize = 171;
    pub const RT_SIGPROCMASK: usize = 174;
    pub const MADVISE: usize = 205;
    pub const GETTID: usize = 207;
    pub const CLOCK_GETTIME: Option<usize> = Some(246);
    pub const CLOCK_GETRES: Option<usize> = Some(247);
    pub const TGKILL: usize = 250;
    pub const OPENAT: usize = 286;
    pub const GETCPU: usize = 302;
    pub const GETRANDOM: usize = 359;
    pub const CLOCK_GETTIME64: Option<usize> = if IS_64_BIT { None } else { Some(403) };
    pub const CLOCK_GETRES_TIME64: Option<usize> = if IS_64_BIT { None } else { Some(406) };
}

/// SO of field 0, as `mfcr` gives the condition register.
const SUMMARY_OVERFLOW: usize = 1 << 28;

const fn result(value: isize, condition: usize) -> isize {
    if condition & SUMMARY_OVERFLOW != 0 { value.wrapping_neg() } else { value }
}

/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
#[inline]
pub(crate) unsafe fn system_call(number: usize, arguments: [usize; 6]) -> isize {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    let (value, condition): (isize, usize);
    // SAFETY: the system call convention; the caller answers for the call itself.
    unsafe {
        asm!(
            "sc",
            "mfcr 0",
            inlateout("r0") number => condition,
            inlateout("r3") first => value,
            inlateout("r4") second => _,
            inlateout("r5") third => _,
            inlateout("r6") fourth => _,
            inlateout("r7") fifth => _,
            inlateout("r8") sixth => _,
            lateout("r9") _,
            lateout("r10") _,
            lateout("r11") _,
            lateout("r12") _,
            lateout("cr0") _,
            lateout("ctr") _,
            lateout("xer") _,
            options(nostack),
        );
    }
    result(value, condition)
}

/// Calls a vDSO function. They are plain code, not function descriptors, in every ABI.
///
/// # Safety
/// It must be such a function, it must take arguments of this kind, the first two at most, and
/// what it does with them must be sound.
#[inline]
pub(crate) unsafe fn call(function: NonNull<()>, first: usize, second: usize) -> isize {
    let (value, condition): (isize, usize);
    // SAFETY: the C calling convention with its volatile registers, and CR0 read right after it; the
    // caller answers for the call itself. The stack may be used, so not `nostack`: the compiler then
    // makes a frame with room for what a callee saves in its caller's.
    unsafe {
        asm!(
            "mtctr 12",
            "bctrl",
            "mfcr 0",
            inlateout("r12") function.as_ptr() => _,
            inlateout("r3") first => value,
            inlateout("r4") second => _,
            lateout("r0") condition,
            clobber_abi("C"),
        );
    }
    result(value, condition)
}

/// The same with five arguments.
///
/// # Safety
/// As for [`call`].
#[inline]
pub(crate) unsafe fn call_with_five(function: NonNull<()>, arguments: [usize; 5]) -> isize {
    let [first, second, third, fourth, fifth] = arguments;
    let (value, condition): (isize, usize);
    // SAFETY: the C calling convention with its volatile registers, and CR0 read right after it; the
    // caller answers for the call itself. The stack may be used, so not `nostack`: the compiler then
    // makes a frame with room for what a callee saves in its caller's.
    unsafe {
        asm!(
            "mtctr 12",
            "bctrl",
            "mfcr 0",
            inlateout("r12") function.as_ptr() => _,
            inlateout("r3") first => value,
            inlateout("r4") second => _,
            inlateout("r5") third => _,
            inlateout("r6") fourth => _,
            inlateout("r7") fifth => _,
            lateout("r0") condition,
            clobber_abi("C"),
        );
    }
    result(value, condition)
}
