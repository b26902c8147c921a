//! 32-bit ARM.

use core::arch::global_asm;

use crate::start;

global_asm!(
    ".globl _start",
    "_start:",
    "mov fp, #0",
    "mov lr, #0",
    "mov r0, sp",
    "bic sp, sp, #7",
    "bl {start}",
    "udf #0",
    start = sym start,
);
