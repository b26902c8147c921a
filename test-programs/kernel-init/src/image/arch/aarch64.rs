//! 64-bit ARM.

use core::arch::global_asm;

use super::{ENTRY_SP, RETURN_TO, handled, signals};

signals! { popped_bytes: 0, sp_column: 31 }

global_asm!(
    ".globl signal_handler",
    "signal_handler:",
    "adrp x9, {return_to}",
    "ldr x30, [x9, :lo12:{return_to}]",
    "adrp x9, {entry_sp}",
    "mov x10, sp",
    "str x10, [x9, :lo12:{entry_sp}]",
    "b {handled}",
    ".globl raise_signal",
    "raise_signal:",
    "mov x9, sp",
    "adr x10, 2f",
    "stp x9, x10, [x2]",
    "mov x8, #129",
    "svc #0",
    "2: ret",
    return_to = sym RETURN_TO,
    entry_sp = sym ENTRY_SP,
    handled = sym handled,
);
