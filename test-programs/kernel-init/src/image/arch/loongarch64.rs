//! 64-bit LoongArch.

use core::arch::global_asm;

use super::{ENTRY_SP, RETURN_TO, handled, signals};

signals! { popped_bytes: 0, sp_column: 3 }

global_asm!(
    ".globl signal_handler",
    "signal_handler:",
    "la.pcrel $t0, {return_to}",
    "ld.d $ra, $t0, 0",
    "la.pcrel $t0, {entry_sp}",
    "st.d $sp, $t0, 0",
    "b {handled}",
    ".globl raise_signal",
    "raise_signal:",
    "la.pcrel $t0, .Lraised",
    "st.d $sp, $a2, 0",
    "st.d $t0, $a2, 8",
    "li.w $a7, 129",
    "syscall 0",
    ".Lraised: ret",
    return_to = sym RETURN_TO,
    entry_sp = sym ENTRY_SP,
    handled = sym handled,
);
