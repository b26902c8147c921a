//! RISC-V, both widths.

/// Makes a system call with three arguments or six: its value, or a negative error number, as an `isize`.
/// Each argument is something that is cast to a `usize`.
///
/// With three arguments it is for code that is compiled without vectors. The kernel throws the vector registers
/// away; with them go VL and VTYPE, which count as flags, and those the compiler gives up for any assembly.
/// Where vectors are not used the list costs nothing.
///
/// The caller answers for what the kernel does.
#[macro_export]
macro_rules! system_call {
    ($number:expr, $first:expr, $second:expr, $third:expr) => {
        $crate::system_call!(@ [] $number, $first, $second, $third)
    };
    (
        $number:expr, $first:expr, $second:expr, $third:expr,
        $fourth:expr, $fifth:expr, $sixth:expr
    ) => {
        $crate::system_call!(@ [
            in("a3") $fourth as usize,
            in("a4") $fifth as usize,
            in("a5") $sixth as usize,
            lateout("v0") _, lateout("v1") _, lateout("v2") _, lateout("v3") _,
            lateout("v4") _, lateout("v5") _, lateout("v6") _, lateout("v7") _,
            lateout("v8") _, lateout("v9") _, lateout("v10") _, lateout("v11") _,
            lateout("v12") _, lateout("v13") _, lateout("v14") _, lateout("v15") _,
            lateout("v16") _, lateout("v17") _, lateout("v18") _, lateout("v19") _,
            lateout("v20") _, lateout("v21") _, lateout("v22") _, lateout("v23") _,
            lateout("v24") _, lateout("v25") _, lateout("v26") _, lateout("v27") _,
            lateout("v28") _, lateout("v29") _, lateout("v30") _, lateout("v31") _,
        ] $number, $first, $second, $third)
    };
    (@ [$($operands:tt)*] $number:expr, $first:expr, $second:expr, $third:expr) => {{
        let result: isize;
        ::core::arch::asm!(
            "ecall",
            in("a7") $number as usize,
            inlateout("a0") $first as usize => result,
            in("a1") $second as usize,
            in("a2") $third as usize,
            $($operands)*
            options(nostack),
        );
        result
    }};
}
