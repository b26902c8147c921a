//! 64-bit PowerPC, ELFv2: `r12` holds the address of `_start`, and `r2` is made of it.

use core::arch::global_asm;

use crate::start;

global_asm!(
    ".globl _start",
    "_start:",
    "addis 2, 12, .TOC.-_start@ha",
    "addi 2, 2, .TOC.-_start@l",
    "mr 3, 1",
    "clrrdi 1, 1, 4",
    "li 0, 0",
    "stdu 0, -32(1)",
    "mtlr 0",
    "bl {start}",
    "nop",
    "trap",
    start = sym start,
);
