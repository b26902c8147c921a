//! MIPS: O32 and n64. Linkers look for `__start` here. A function expects its own address in `$25`. O32 callees keep their first four
//! arguments in 16 bytes of the caller's frame.

use core::arch::global_asm;

use crate::start;

#[cfg(target_arch = "mips64")]
global_asm!(
    ".set push",
    ".set noreorder",
    ".globl __start",
    "__start:",
    "move $30, $0",
    "move $31, $0",
    "move $4, $29",
    "lui $25, %hi({start})",
    "daddiu $25, $25, %lo({start})",
    "daddiu $8, $0, -16",
    "and $29, $29, $8",
    "jalr $25",
    "nop",
    "break",
    ".set pop",
    start = sym start,
);

#[cfg(target_arch = "mips")]
global_asm!(
    ".set push",
    ".set noreorder",
    ".globl __start",
    "__start:",
    "move $30, $0",
    "move $31, $0",
    "move $4, $29",
    "lui $25, %hi({start})",
    "addiu $25, $25, %lo({start})",
    "addiu $8, $0, -8",
    "and $29, $29, $8",
    "addiu $29, $29, -16",
    "jalr $25",
    "nop",
    "break",
    ".set pop",
    start = sym start,
);
