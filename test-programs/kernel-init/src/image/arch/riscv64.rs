//! 64-bit RISC-V.

use core::arch::global_asm;

use super::{ENTRY_SP, RETURN_TO, handled, signals};

signals! { popped_bytes: 0, sp_column: 2 }

global_asm!(
    ".globl signal_handler",
    "signal_handler:",
    "lla t0, {return_to}",
    "ld ra, 0(t0)",
    "lla t0, {entry_sp}",
    "sd sp, 0(t0)",
    "tail {handled}",
    ".globl raise_signal",
    "raise_signal:",
    "lla t0, 2f",
    "sd sp, 0(a2)",
    "sd t0, 8(a2)",
    "li a7, 129",
    "ecall",
    "2: ret",
    return_to = sym RETURN_TO,
    entry_sp = sym ENTRY_SP,
    handled = sym handled,
);
