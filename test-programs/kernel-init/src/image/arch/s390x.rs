//! IBM Z.

use core::arch::global_asm;

use super::{ENTRY_SP, RETURN_TO, handled, signals};

signals! { popped_bytes: 0, sp_column: 15 }

global_asm!(
    ".globl signal_handler",
    "signal_handler:",
    "larl %r1, {return_to}",
    "lg %r14, 0(%r1)",
    "larl %r1, {entry_sp}",
    "stg %r15, 0(%r1)",
    "jg {handled}",
    ".globl raise_signal",
    "raise_signal:",
    "larl %r1, 2f",
    "stg %r15, 0(%r4)",
    "stg %r1, 8(%r4)",
    "svc 37",
    "2: br %r14",
    return_to = sym RETURN_TO,
    entry_sp = sym ENTRY_SP,
    handled = sym handled,
);
