//! IBM Z: a callee saves its registers in its caller's frame, in 160 bytes.

use core::arch::global_asm;

use crate::start;

global_asm!(
    ".globl _start",
    "_start:",
    "lgr %r2, %r15",
    "lghi %r11, 0",
    "aghi %r15, -160",
    "xc 0(8, %r15), 0(%r15)",
    "brasl %r14, {start}",
    "j .+2",
    start = sym start,
);
