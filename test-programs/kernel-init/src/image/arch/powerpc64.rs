//! 64-bit PowerPC, ELFv2: `r12` holds a handler's address, and `r2` is made of it.

use core::arch::{asm, global_asm};
use core::ptr::NonNull;

use super::{ENTRY_SP, RETURN_TO, handled, signals};

signals! { popped_bytes: 0, sp_column: 1 }

global_asm!(
    ".globl signal_handler",
    "signal_handler:",
    "addis 2, 12, .TOC.-signal_handler@ha",
    "addi 2, 2, .TOC.-signal_handler@l",
    "addis 9, 2, {return_to}@toc@ha",
    "ld 9, {return_to}@toc@l(9)",
    "mtlr 9",
    "addis 9, 2, {entry_sp}@toc@ha",
    "std 1, {entry_sp}@toc@l(9)",
    "b {handled}",
    ".globl raise_signal",
    "raise_signal:",
    "mflr 8",
    "bcl 20, 31, 2f",
    "2: mflr 9",
    "addi 9, 9, 3f-2b",
    "mtlr 8",
    "std 1, 0(5)",
    "std 9, 8(5)",
    "li 0, 37",
    "sc",
    "3: blr",
    return_to = sym RETURN_TO,
    entry_sp = sym ENTRY_SP,
    handled = sym handled,
);

/// Calls a vDSO function: the value, or a negative errno where SO of the condition register's field 0 is
/// set. R2 must be as before, which a call of an ordinary function would not show.
///
/// # Safety
/// It must be such a function, and what it does with these arguments must be sound.
pub unsafe fn call(function: NonNull<()>, first: usize, second: usize, third: usize) -> isize {
    let (value, condition, toc_before, toc_after): (isize, usize, usize, usize);
    // SAFETY: the C calling convention with its volatile registers; the caller answers for the call.
    unsafe {
        asm!(
            "mr 14, 2",
            "mtctr 12",
            "bctrl",
            "mfcr 0",
            "mr 12, 2",
            "mr 2, 14",
            inlateout("r12") function.as_ptr() => toc_after,
            inlateout("r3") first => value,
            inlateout("r4") second => _,
            inlateout("r5") third => _,
            lateout("r0") condition,
            lateout("r14") toc_before,
            clobber_abi("C"),
        );
    }
    assert_eq!(toc_before, toc_after);
    vdso_arch::system_call::powerpc_result(value, condition)
}
