//! MIPS: O32 and n64.
//!
//! Inline assembly is not stable here, so system calls go through the C library's `syscall`, which
//! keeps its error number in `errno`. vDSO functions are called as C functions are.

use core::ffi::c_long;

use crate::c_errno::keeping_errno;

#[cfg(not(feature = "libc-syscall"))]
compile_error!(
    "on this architecture vdso-client makes system calls by the C library: \
     enable the feature `libc-syscall`"
);

/// Numbers of `arch/mips/kernel/syscalls/syscall_{o32,n64}.tbl`.
pub(crate) mod number {
    const IS_64_BIT: bool = cfg!(target_pointer_width = "64");

    const fn by_width(o32: usize, n64: usize) -> usize {
        if IS_64_BIT { 5000 + n64 } else { 4000 + o32 }
    }

    pub const READ: usize = by_width(3, 0);
    pub const CLOSE: usize = by_width(6, 3);
    pub const GETPID: usize = by_width(20, 38);
    pub const MUNMAP: usize = by_width(91, 11);
    pub const MMAP: usize = by_width(90, 9);
    pub const TIME: Option<usize> = None;
    pub const GETTIMEOFDAY: Option<usize> = Some(by_width(78, 94));
    pub const PRCTL: usize = by_width(192, 153);
    pub const RT_SIGPROCMASK: usize = by_width(195, 14);
    pub const MADVISE: usize = by_width(218, 27);
    pub const GETTID: usize = by_width(222, 178);
    pub const CLOCK_GETTIME: Option<usize> = Some(by_width(263, 222));
    pub const CLOCK_GETRES: Option<usize> = Some(by_width(264, 223));
    pub const TGKILL: usize = by_width(266, 225);
    pub const OPENAT: usize = by_width(288, 247);
    pub const GETCPU: usize = by_width(312, 271);
    pub const GETRANDOM: usize = by_width(353, 313);
    pub const CLOCK_GETTIME64: Option<usize> = if IS_64_BIT { None } else { Some(4403) };
    pub const CLOCK_GETRES_TIME64: Option<usize> = if IS_64_BIT { None } else { Some(4406) };
}

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}

/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
pub(crate) unsafe fn system_call(number: usize, arguments: [usize; 6]) -> isize {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    keeping_errno(|errno| {
        // SAFETY: the caller answers for the call itself.
        match unsafe { syscall(number as c_long, first, second, third, fourth, fifth, sixth) } {
            // SAFETY: `errno` is this thread's.
            -1 => -(unsafe { errno.read() } as isize),
            result => result as isize,
        }
    })
}
