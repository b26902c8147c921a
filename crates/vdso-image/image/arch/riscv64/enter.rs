//! The image's ELF entry point: the last step of injection.
//!
//! The injected stub ends on a page that does not belong to the program. It cannot unmap that
//! itself, as it would unmap the code it runs on, so it jumps to this code, which
//!
//! 1. makes the system call that is set up in the registers (`munmap`);
//! 2. clears every register, as `execve` leaves them, and jumps to the address in T1.
//!
//! T1 keeps that address: there is no jump through memory. It is a register that linkers' own code
//! changes between any two functions, so no program begins with an eye on it.
//!
//! Only its beginning is at the entry point, as [`detour`](super::detour) follows closely.

use core::arch::global_asm;

global_asm!(
    ".pushsection .text.enter,\"ax\",%progbits",
    ".p2align 4",
    ".globl enter_program",
    ".hidden enter_program",
    ".type enter_program, @function",
    "enter_program:",
    ".cfi_startproc",
    // There is no caller: a backtrace ends here.
    ".cfi_undefined ra",
    "ecall",
    "j clear_registers",
    ".cfi_endproc",
    ".size enter_program, . - enter_program",
    ".popsection",
    ".pushsection .text.clear_registers,\"ax\",%progbits",
    ".type clear_registers, %function",
    "clear_registers:",
    ".cfi_startproc",
    ".cfi_undefined ra",
    // All but the stack pointer (x2) and T1 (x6).
    ".irp n, 1,3,4,5,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
    "li x\\n, 0",
    ".endr",
    "jr t1",
    ".cfi_endproc",
    ".size clear_registers, . - clear_registers",
    ".popsection",
);
