//! 64-bit RISC-V. Nothing is linked relative to `gp`.

use core::arch::global_asm;

use crate::start;

global_asm!(
    ".globl _start",
    "_start:",
    "mv s0, zero",
    "mv ra, zero",
    "mv a0, sp",
    "andi sp, sp, -16",
    "call {start}",
    "ebreak",
    start = sym start,
);
