//! x86-64 and x32.

/// Makes a system call with three arguments or six: its value, or a negative error number, as an `isize`.
/// Each argument is something that is cast to a full register, of which the kernel takes all 64 bits.
///
/// The caller answers for what the kernel does.
#[macro_export]
macro_rules! system_call {
    (
        $number:expr, $first:expr, $second:expr, $third:expr
        $(, $fourth:expr, $fifth:expr, $sixth:expr)?
    ) => {{
        let result: u64;
        ::core::arch::asm!(
            "syscall",
            inlateout("rax") $number as u64 => result,
            in("rdi") $first as u64,
            in("rsi") $second as u64,
            in("rdx") $third as u64,
            $(in("r10") $fourth as u64,
            in("r8") $fifth as u64,
            in("r9") $sixth as u64,)?
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
        result as isize
    }};
}
