//! IBM Z, 64-bit.

use core::arch::asm;

/// Numbers of `arch/s390/kernel/syscalls/syscall.tbl`.
pub(crate) mod number {
    pub const READ: usize = 3;
    pub const CLOSE: usize = 6;
    pub const GETPID: usize = 20;
    pub const TIME: Option<usize> = None;
    pub const GETTIMEOFDAY: Option<usize> = Some(78);
    /// Takes the address of its arguments.
    pub const MMAP: usize = 90;
    pub const MUNMAP: usize = 91;
    pub const PRCTL: usize = 172;
    pub const RT_SIGPROCMASK: usize = 175;
    pub const MADVISE: usize = 219;
    pub const GETTID: usize = 236;
    pub const TGKILL: usize = 241;
    pub const CLOCK_GETTIME: Option<usize> = Some(260);
    pub const CLOCK_GETRES: Option<usize> = Some(261);
    pub const OPENAT: usize = 288;
    pub const GETCPU: usize = 311;
    pub const GETRANDOM: usize = 349;
    pub const CLOCK_GETTIME64: Option<usize> = None;
    pub const CLOCK_GETRES_TIME64: Option<usize> = None;
}

/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
#[inline]
pub(crate) unsafe fn system_call(number: usize, arguments: [usize; 6]) -> isize {
    let by_address = [(&raw const arguments).expose_provenance(), 0, 0, 0, 0, 0];
    let registers = if number == number::MMAP { by_address } else { arguments };
    let [first, second, third, fourth, fifth, sixth] = registers;
    let result: isize;
    // SAFETY: the system call convention; the caller answers for the call itself. The arguments stay
    // where their address says until it is done.
    unsafe {
        asm!(
            "svc 0",
            in("r1") number,
            inlateout("r2") first => result,
            in("r3") second,
            in("r4") third,
            in("r5") fourth,
            in("r6") fifth,
            in("r7") sixth,
            options(nostack),
        );
    }
    result
}
