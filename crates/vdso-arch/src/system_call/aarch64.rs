//! 64-bit ARM.

/// Makes a system call with three arguments or six: its value, or a negative error number, as an `isize`.
/// Each argument is something that is cast to a `usize`.
///
/// With three arguments it is for code that is compiled without scalable vectors. With them the kernel throws away
/// all of them but what `v` registers hold, which the compiler cannot tell apart. With six arguments the list
/// has each caller save and restore v8 to v15, eight instructions that are lost in what a system call takes.
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
            in("x3") $fourth as usize,
            in("x4") $fifth as usize,
            in("x5") $sixth as usize,
            lateout("v0") _, lateout("v1") _, lateout("v2") _, lateout("v3") _,
            lateout("v4") _, lateout("v5") _, lateout("v6") _, lateout("v7") _,
            lateout("v8") _, lateout("v9") _, lateout("v10") _, lateout("v11") _,
            lateout("v12") _, lateout("v13") _, lateout("v14") _, lateout("v15") _,
            lateout("v16") _, lateout("v17") _, lateout("v18") _, lateout("v19") _,
            lateout("v20") _, lateout("v21") _, lateout("v22") _, lateout("v23") _,
            lateout("v24") _, lateout("v25") _, lateout("v26") _, lateout("v27") _,
            lateout("v28") _, lateout("v29") _, lateout("v30") _, lateout("v31") _,
            lateout("p0") _, lateout("p1") _, lateout("p2") _, lateout("p3") _,
            lateout("p4") _, lateout("p5") _, lateout("p6") _, lateout("p7") _,
            lateout("p8") _, lateout("p9") _, lateout("p10") _, lateout("p11") _,
            lateout("p12") _, lateout("p13") _, lateout("p14") _, lateout("p15") _,
            lateout("ffr") _,
        ] $number, $first, $second, $third)
    };
    (@ [$($operands:tt)*] $number:expr, $first:expr, $second:expr, $third:expr) => {{
        let result: isize;
        ::core::arch::asm!(
            "svc 0",
            in("x8") $number as usize,
            inlateout("x0") $first as usize => result,
            in("x1") $second as usize,
            in("x2") $third as usize,
            $($operands)*
            options(nostack),
        );
        result
    }};
}
