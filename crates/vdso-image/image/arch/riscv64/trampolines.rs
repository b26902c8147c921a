//! The return from a signal handler.
//!
//! The kernel sends all handlers to its own vDSO's trampoline, which stays mapped; this one is for
//! programs that look it up by name, or put it into their own frames.
//!
//! It has no unwind rules. The kernel's has some that tell of no register, and where there are any,
//! unwinders do not look at these two instructions, which they know by heart. As they look for rules one
//! byte before the return address, a NOP keeps them off the function before. Sources:
//! `riscv_fallback_frame_state` in libgcc; the images of Linux 6.12 and 7.2.

use core::arch::global_asm;

use super::NUMBERS;

global_asm!(
    ".pushsection .text.trampolines,\"ax\",%progbits",
    ".p2align 4",
    "nop",
    ".globl __vdso_rt_sigreturn",
    ".type __vdso_rt_sigreturn, %function",
    "__vdso_rt_sigreturn:",
    // Unwinders know the long forms.
    ".option push",
    ".option norvc",
    "li a7, {number}",
    "ecall",
    ".option pop",
    ".size __vdso_rt_sigreturn, . - __vdso_rt_sigreturn",
    ".popsection",
    number = const NUMBERS.rt_sigreturn,
);
