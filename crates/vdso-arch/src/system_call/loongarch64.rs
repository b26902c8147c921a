//! 64-bit LoongArch.

/// Makes a system call with three arguments or six: its value, or a negative error number, as an `isize`.
/// Each argument is something that is cast to a `usize`. The kernel may change the temporary registers.
///
/// The caller answers for what the kernel does.
#[macro_export]
macro_rules! system_call {
    (
        $number:expr, $first:expr, $second:expr, $third:expr
        $(, $fourth:expr, $fifth:expr, $sixth:expr)?
    ) => {{
        let result: isize;
        ::core::arch::asm!(
            "syscall 0",
            in("$a7") $number as usize,
            inlateout("$a0") $first as usize => result,
            in("$a1") $second as usize,
            in("$a2") $third as usize,
            $(in("$a3") $fourth as usize,
            in("$a4") $fifth as usize,
            in("$a5") $sixth as usize,)?
            lateout("$t0") _,
            lateout("$t1") _,
            lateout("$t2") _,
            lateout("$t3") _,
            lateout("$t4") _,
            lateout("$t5") _,
            lateout("$t6") _,
            lateout("$t7") _,
            lateout("$t8") _,
            options(nostack),
        );
        result
    }};
}
