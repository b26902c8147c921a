//! 32-bit x86.

use core::arch::asm;

/// Numbers of `syscall_32.tbl`.
pub(crate) mod number {
    pub const READ: usize = 3;
    pub const CLOSE: usize = 6;
    pub const GETPID: usize = 20;
    pub const TIME: Option<usize> = Some(13);
    pub const GETTIMEOFDAY: Option<usize> = Some(78);
    pub const MUNMAP: usize = 91;
    pub const PRCTL: usize = 172;
    pub const RT_SIGPROCMASK: usize = 175;
    /// `mmap2`, whose offset counts pages.
    pub const MMAP: usize = 192;
    pub const MADVISE: usize = 219;
    pub const GETTID: usize = 224;
    pub const CLOCK_GETTIME: Option<usize> = Some(265);
    pub const CLOCK_GETRES: Option<usize> = Some(266);
    pub const TGKILL: usize = 270;
    pub const OPENAT: usize = 295;
    pub const GETCPU: usize = 318;
    pub const GETRANDOM: usize = 355;
    pub const CLOCK_GETTIME64: Option<usize> = Some(403);
    pub const CLOCK_GETRES_TIME64: Option<usize> = Some(406);
}

/// By the software interrupt, which every kernel and processor has. `__kernel_vsyscall` would be
/// quicker, but this is what is done when there is no vDSO.
///
/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
#[inline]
pub(crate) unsafe fn system_call(number: usize, arguments: [usize; 6]) -> isize {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    // The compiler keeps EBX, ESI and EBP to itself, so what goes there is loaded inside.
    let loaded = [number, first, fourth, sixth];
    let result: isize;
    // SAFETY: the system call convention; the caller answers for the call itself. EBX, ESI
    // and EBP are given back, and `loaded` is only read.
    unsafe {
        asm!(
            "push ebx",
            "push esi",
            "push ebp",
            "mov ebx, [eax + 4]",
            "mov esi, [eax + 8]",
            "mov ebp, [eax + 12]",
            "mov eax, [eax]",
            "int 0x80",
            "pop ebp",
            "pop esi",
            "pop ebx",
            inlateout("eax") loaded.as_ptr() => result,
            in("ecx") second,
            in("edx") third,
            in("edi") fifth,
        );
    }
    result
}
