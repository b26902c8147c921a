//! 32-bit x86.

use core::arch::asm;

/// Numbers of `syscall_32.tbl`.
pub(crate) mod number {
    pub const READ: usize = 3;
    pub const CLOSE: usize = 6;
    pub const TIME: Option<usize> = Some(13);
    pub const GETTIMEOFDAY: Option<usize> = Some(78);
    pub const PRCTL: usize = 172;
    pub const CLOCK_GETTIME: Option<usize> = Some(265);
    pub const CLOCK_GETRES: Option<usize> = Some(266);
    pub const OPENAT: usize = 295;
    pub const GETCPU: usize = 318;
    pub const CLOCK_GETTIME64: Option<usize> = Some(403);
    pub const CLOCK_GETRES_TIME64: Option<usize> = Some(406);
}

/// By the software interrupt, which every kernel and processor has. `__kernel_vsyscall` would be
/// quicker, but this is what is done when there is no vDSO.
///
/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
#[inline]
pub(crate) unsafe fn system_call(number: usize, arguments: [usize; 5]) -> isize {
    let [first, second, third, fourth, fifth] = arguments;
    // The compiler keeps EBX and ESI to itself, so what goes there is loaded inside.
    let loaded = [number, first, fourth];
    let result: isize;
    // SAFETY: the system call convention; the caller answers for the call itself. EBX and ESI are
    // given back, and `loaded` is only read.
    unsafe {
        asm!(
            "push ebx",
            "push esi",
            "mov ebx, [eax + 4]",
            "mov esi, [eax + 8]",
            "mov eax, [eax]",
            "int 0x80",
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
