//! The return from a signal handler.
//!
//! The kernel sends handlers without a restorer of their own to its own vDSO's trampoline, which stays
//! mapped; this one is for programs that look it up by name, or put it into their own frames.
//!
//! It has no unwind rules. What a signal interrupts has a program counter and a link register that are
//! both needed, and old unwinders know no column for the former; all of them know these two instructions
//! instead, and look at them only where there are no rules. As they look for rules one byte before the
//! return address, a NOP keeps them off the function before. Source: `aarch64_fallback_frame_state` in
//! libgcc, and the images of Linux 6.1 to 7.2, which have no rules at all.

use core::arch::global_asm;

use super::NUMBERS;

global_asm!(
    ".pushsection .text.trampolines,\"ax\",%progbits",
    ".p2align 4",
    "nop",
    ".globl __kernel_rt_sigreturn",
    ".type __kernel_rt_sigreturn, %function",
    "__kernel_rt_sigreturn:",
    "mov x8, #{number}",
    "svc #0",
    ".size __kernel_rt_sigreturn, . - __kernel_rt_sigreturn",
    ".popsection",
    number = const NUMBERS.rt_sigreturn,
);
