//! IBM Z, 64-bit.

/// Makes a system call with three arguments or six: its value, or a negative error number, as an `isize`.
/// Each argument is something that is cast to a `usize`.
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
            "svc 0",
            in("r1") $number as usize,
            inlateout("r2") $first as usize => result,
            in("r3") $second as usize,
            in("r4") $third as usize,
            $(in("r5") $fourth as usize,
            in("r6") $fifth as usize,
            in("r7") $sixth as usize,)?
            options(nostack),
        );
        result
    }};
}
