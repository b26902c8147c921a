//! x86-64 and x32.

use core::arch::asm;

#[cfg(target_pointer_width = "64")]
use vdso_data::own::Halves;

/// Numbers of `syscall_64.tbl`; x32 uses the same ones with a bit of its own.
pub(crate) mod number {
    const IS_X32: bool = cfg!(target_pointer_width = "32");
    const X32: usize = if IS_X32 { 0x4000_0000 } else { 0 };

    pub const READ: usize = X32;
    pub const CLOSE: usize = X32 + 3;
    pub const MMAP: usize = X32 + 9;
    pub const MUNMAP: usize = X32 + 11;
    pub const RT_SIGPROCMASK: usize = X32 + 14;
    pub const MADVISE: usize = X32 + 28;
    pub const GETPID: usize = X32 + 39;
    pub const GETTIMEOFDAY: Option<usize> = Some(X32 + 96);
    pub const PRCTL: usize = X32 + 157;
    pub const GETTID: usize = X32 + 186;
    /// Its result does not fit into 32 bits after 2038, and is taken for an error.
    pub const TIME: Option<usize> = if IS_X32 { None } else { Some(201) };
    pub const CLOCK_GETTIME: Option<usize> = Some(X32 + 228);
    pub const CLOCK_GETRES: Option<usize> = Some(X32 + 229);
    pub const TGKILL: usize = X32 + 234;
    pub const OPENAT: usize = X32 + 257;
    pub const GETCPU: usize = X32 + 309;
    pub const GETRANDOM: usize = X32 + 318;
    pub const CLOCK_GETTIME64: Option<usize> = None;
    pub const CLOCK_GETRES_TIME64: Option<usize> = None;
}

/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
#[inline]
pub(crate) unsafe fn system_call(number: usize, arguments: [usize; 6]) -> isize {
    let [first, second, third, fourth, fifth, sixth] = arguments.map(|argument| argument as u64);
    let result: u64;
    // SAFETY: the system call convention; the caller answers for the call itself.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as u64 => result,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            in("r10") fourth,
            in("r8") fifth,
            in("r9") sixth,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result as isize
}

/// The counter, not before any earlier instruction and load is done: RDTSCP waits for them.
///
/// # Safety
/// The processor must have RDTSCP, and the program must be allowed to read the counter.
#[cfg(target_pointer_width = "64")]
#[inline(always)]
pub(crate) unsafe fn counter_halves() -> Halves {
    let (low, high): (u32, u32);
    // SAFETY: the caller's promise. Not `nomem`, so that the compiler, too, keeps memory accesses in
    // place.
    unsafe { asm!("rdtscp", out("eax") low, out("edx") high, out("ecx") _, options(nostack)) };
    Halves { low, high }
}

/// The counter, after all earlier instructions and before all later ones, on any processor.
///
/// # Safety
/// The program must be allowed to read the counter.
#[cfg(target_pointer_width = "64")]
#[inline(always)]
pub(crate) unsafe fn counter_fenced() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller's promise. Not `nomem`: as above.
    unsafe {
        asm!("lfence", "rdtsc", "lfence", out("eax") low, out("edx") high, options(nostack));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// The counter at any moment that the processor likes: before or after its neighbours.
///
/// # Safety
/// The program must be allowed to read the counter.
#[cfg(target_pointer_width = "64")]
#[inline(always)]
pub(crate) unsafe fn counter_halves_unordered() -> Halves {
    let (low, high): (u32, u32);
    // SAFETY: the caller's promise.
    unsafe { asm!("rdtsc", out("eax") low, out("edx") high, options(nostack, nomem)) };
    Halves { low, high }
}
