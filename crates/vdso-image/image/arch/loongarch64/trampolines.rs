//! The return from a signal handler.
//!
//! The kernel sends all handlers to its own vDSO's trampoline, which stays mapped; this one is for
//! programs that look it up by name, or put it into their own frames.
//!
//! Its unwind rules say where the kernel has saved the registers that a signal interrupts: in
//! `uc_mcontext` of the `struct rt_sigframe` at the stack pointer. They begin one instruction before the
//! function, as unwinders look for them one byte before a return address. Sources:
//! `arch/loongarch/include/uapi/asm/{sigcontext,ucontext}.h` and `arch/loongarch/kernel/signal.c`
//! (Linux 6.18).

use core::arch::global_asm;

use super::NUMBERS;

/// From the stack pointer to `uc_mcontext`: `struct siginfo`, and `uc_flags`, `uc_link`, `uc_stack`,
/// `uc_sigmask` with its reserve, aligned to 16 bytes.
const CONTEXT: usize = 128 + (8_usize + 8 + 24 + 128).next_multiple_of(16);

global_asm!(
    ".pushsection .text.trampolines,\"ax\",%progbits",
    ".p2align 4",
    ".cfi_startproc",
    ".cfi_signal_frame",
    // The program counter, which comes first, has the column of the register that is always zero.
    ".cfi_return_column 0",
    ".cfi_def_cfa 3, {context}",
    ".cfi_offset 0, 0",
    ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    ".cfi_offset \\n, 8 + 8*\\n",
    ".endr",
    "nop",
    ".globl __vdso_rt_sigreturn",
    ".type __vdso_rt_sigreturn, %function",
    "__vdso_rt_sigreturn:",
    "li.w $a7, {number}",
    "syscall 0",
    ".cfi_endproc",
    ".size __vdso_rt_sigreturn, . - __vdso_rt_sigreturn",
    ".popsection",
    context = const CONTEXT,
    number = const NUMBERS.rt_sigreturn,
);
