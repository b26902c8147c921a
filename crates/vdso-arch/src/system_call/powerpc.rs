//! PowerPC, both widths and byte orders.

/// Makes a system call with three arguments or six: its value, or a negative error number, as an `isize`.
/// Each argument is something that is cast to a `usize`.
///
/// The caller answers for what the kernel does.
#[macro_export]
macro_rules! system_call {
    ($number:expr, $first:expr, $second:expr, $third:expr) => {
        $crate::system_call!(@ [
            lateout("r6") _,
            lateout("r7") _,
            lateout("r8") _,
        ] $number, $first, $second, $third)
    };
    (
        $number:expr, $first:expr, $second:expr, $third:expr,
        $fourth:expr, $fifth:expr, $sixth:expr
    ) => {
        $crate::system_call!(@ [
            inlateout("r6") $fourth as usize => _,
            inlateout("r7") $fifth as usize => _,
            inlateout("r8") $sixth as usize => _,
        ] $number, $first, $second, $third)
    };
    (@ [$($operands:tt)*] $number:expr, $first:expr, $second:expr, $third:expr) => {{
        let (value, condition): (isize, usize);
        ::core::arch::asm!(
            "sc",
            "mfcr 0",
            inlateout("r0") $number as usize => condition,
            inlateout("r3") $first as usize => value,
            inlateout("r4") $second as usize => _,
            inlateout("r5") $third as usize => _,
            $($operands)*
            lateout("r9") _,
            lateout("r10") _,
            lateout("r11") _,
            lateout("r12") _,
            lateout("cr0") _,
            lateout("ctr") _,
            lateout("xer") _,
            options(nostack),
        );
        $crate::system_call::powerpc_result(value, condition)
    }};
}

/// Calls a function of the vDSO with at least one argument, and five at most: its value, or a negative error
/// number, as an `isize`. A C compiler's call loses the bit that tells errors.
///
/// Functions are plain code, not function descriptors, in every ABI. It is the C calling convention with its
/// volatile registers, and CR0 is read right behind it. The stack may be used, so this is not `nostack`: the
/// compiler then makes a frame with room for what a callee saves in its caller's.
///
/// The caller answers for what the function does.
#[macro_export]
macro_rules! powerpc_call {
    ($function:expr, $first:expr, $second:expr $(, $third:expr $(, $fourth:expr, $fifth:expr)?)?) => {{
        let (value, condition): (isize, usize);
        ::core::arch::asm!(
            "mtctr 12",
            "bctrl",
            "mfcr 0",
            inlateout("r12") $function as usize => _,
            inlateout("r3") $first as usize => value,
            inlateout("r4") $second as usize => _,
            $(inlateout("r5") $third as usize => _,
            $(inlateout("r6") $fourth as usize => _,
            inlateout("r7") $fifth as usize => _,)?)?
            lateout("r0") condition,
            clobber_abi("C"),
        );
        $crate::system_call::powerpc_result(value, condition)
    }};
}
