//! The return from a signal handler.
//!
//! The kernel sends all handlers to its own vDSO's trampoline, which stays mapped; this one is for
//! programs that look it up by name, or put it into their own frames.
//!
//! Its unwind rules say where the kernel has saved the registers that a signal interrupts: in
//! `uc_mcontext` of the `struct rt_sigframe` 128 bytes above the stack pointer. The kernel's own rules
//! follow the pointers there; both always point to the same places of the frame. They begin one
//! instruction before the function, as unwinders look for them one byte before a return address.
//! Sources: `arch/powerpc/include/uapi/asm/{sigcontext,ptrace,elf}.h` and
//! `arch/powerpc/kernel/signal_64.c` (Linux 6.18); the ELFv2 ABI and GCC's `rs6000.h` for columns.

use core::arch::global_asm;

use super::NUMBERS;

/// From the stack pointer to `uc_mcontext.gp_regs`: the frame of the handler's caller, and `uc_flags`,
/// `uc_link`, `uc_stack`, `uc_sigmask` with its reserve, and nine words of `struct sigcontext`.
const REGISTERS: usize = 128 + 168 + 64;

/// What the first instruction takes off the stack.
const CALLER_FRAME: usize = 128;

/// The vector registers, from there: `vmx_reserve`, 48 words of general registers, 33 of the floating
/// point's and a pointer further, and aligned to 16 bytes. Where a program has never used them, what is
/// there is nobody's.
const VECTORS: usize = (REGISTERS + 384 + 264 + 8).next_multiple_of(16) - REGISTERS;

global_asm!(
    ".pushsection .text.trampolines,\"ax\",%progbits",
    ".p2align 4",
    ".cfi_startproc",
    ".cfi_signal_frame",
    // The program counter has a column that is no register's.
    ".cfi_return_column 67",
    ".cfi_def_cfa 1, {registers}",
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    ".cfi_offset \\n, 8*\\n",
    ".endr",
    ".cfi_offset 67, 8*32",
    ".cfi_offset 65, 8*36",
    // The condition register, by the column that unwinders take for all of it.
    ".cfi_offset 70, 8*38",
    ".irp n, 32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61,62,63",
    ".cfi_offset \\n, 384 + 8*(\\n - 32)",
    ".endr",
    ".irp n, 77,78,79,80,81,82,83,84,85,86,87,88,89,90,91,92,93,94,95,96,97,98,99,100,101,102,103,104,105,106,107,108",
    ".cfi_offset \\n, {vectors} + 16*(\\n - 77)",
    ".endr",
    "nop",
    ".globl __kernel_sigtramp_rt64",
    ".type __kernel_sigtramp_rt64, %function",
    "__kernel_sigtramp_rt64:",
    "addi 1, 1, {caller_frame}",
    ".cfi_def_cfa_offset {registers} - {caller_frame}",
    "li 0, {number}",
    "sc",
    ".cfi_endproc",
    ".size __kernel_sigtramp_rt64, . - __kernel_sigtramp_rt64",
    ".popsection",
    registers = const REGISTERS,
    vectors = const VECTORS,
    caller_frame = const CALLER_FRAME,
    number = const NUMBERS.rt_sigreturn,
);
