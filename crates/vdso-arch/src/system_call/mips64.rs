//! 64-bit MIPS, n64. Inline assembly is not stable there: whoever makes system calls by it has a compiler that
//! allows it.

/// Makes a system call with three arguments: its value, or a negative error number, as an `isize`.
/// Each argument is something that is cast to a `usize`.
///
/// The caller answers for what the kernel does.
#[macro_export]
macro_rules! system_call {
    ($number:expr, $first:expr, $second:expr, $third:expr) => {{
        let (value, is_error): (isize, usize);
        ::core::arch::asm!(
            "syscall",
            inlateout("$2") $number as usize => value,
            in("$4") $first as usize,
            in("$5") $second as usize,
            in("$6") $third as usize,
            lateout("$7") is_error,
            lateout("$3") _,
            lateout("$8") _,
            lateout("$9") _,
            lateout("$10") _,
            lateout("$11") _,
            lateout("$12") _,
            lateout("$13") _,
            lateout("$14") _,
            lateout("$15") _,
            lateout("$24") _,
            lateout("$25") _,
            options(nostack),
        );
        if is_error == 0 { value } else { value.wrapping_neg() }
    }};
}
