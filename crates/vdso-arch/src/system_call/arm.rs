//! 32-bit ARM, EABI.

/// Makes a system call with three arguments or six: its value, or a negative error number, as an `isize`.
/// Each argument is something that is cast to a `usize`. R7 may be the compiler's own, so it is exchanged for the
/// number and back.
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
            "mov {saved}, r7",
            "mov r7, {number}",
            "svc 0",
            "mov r7, {saved}",
            saved = out(reg) _,
            number = in(reg) $number as usize,
            inlateout("r0") $first as usize => result,
            in("r1") $second as usize,
            in("r2") $third as usize,
            $(in("r3") $fourth as usize,
            in("r4") $fifth as usize,
            in("r5") $sixth as usize,)?
            options(nostack),
        );
        result
    }};
}
