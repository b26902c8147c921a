//! 32-bit x86. By the software interrupt, which every kernel and processor has; `__kernel_vsyscall` is
//! quicker, where there is a vDSO.

/// Makes a system call with three arguments or six: its value, or a negative error number, as an `isize`.
/// Each argument is something that is cast to a `usize`.
///
/// With three arguments EBX is an operand, which code cannot have that finds its data by it
/// (position-independent code). With six, what goes to registers that the compiler keeps to itself is loaded
/// inside, and they are given back.
///
/// The caller answers for what the kernel does.
#[macro_export]
macro_rules! system_call {
    ($number:expr, $first:expr, $second:expr, $third:expr) => {{
        let result: isize;
        ::core::arch::asm!(
            "int 0x80",
            inlateout("eax") $number as usize => result,
            in("ebx") $first as usize,
            in("ecx") $second as usize,
            in("edx") $third as usize,
            options(nostack),
        );
        result
    }};
    (
        $number:expr, $first:expr, $second:expr, $third:expr,
        $fourth:expr, $fifth:expr, $sixth:expr
    ) => {{
        let loaded = [$number as usize, $first as usize, $fourth as usize, $sixth as usize];
        let result: isize;
        ::core::arch::asm!(
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
            in("ecx") $second as usize,
            in("edx") $third as usize,
            in("edi") $fifth as usize,
        );
        result
    }};
}
