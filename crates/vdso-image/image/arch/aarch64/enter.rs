//! The image's ELF entry point: the last step of injection.
//!
//! The injected stub ends on a page that does not belong to the program. It cannot unmap that
//! itself, as it would unmap the code it runs on, so it jumps to this code, which
//!
//! 1. makes the system call that is set up in the registers (`munmap`);
//! 2. clears every register, as `execve` leaves them, and goes to the address in X16.
//!
//! X16 keeps that address: there is no jump through memory. It is the register that linkers' own code
//! changes between any two functions, so no program begins with an eye on it. The jump is a RET, which
//! may arrive at any instruction where branch targets are checked.
//!
//! Only its beginning is at the entry point, as [`detour`](super::detour) follows closely.

use core::arch::global_asm;

global_asm!(
    ".pushsection .text.enter,\"ax\",%progbits",
    ".p2align 4",
    ".globl enter_program",
    ".hidden enter_program",
    ".type enter_program, %function",
    "enter_program:",
    ".cfi_startproc",
    // There is no caller: a backtrace ends here.
    ".cfi_undefined x30",
    "svc #0",
    "b clear_registers",
    ".cfi_endproc",
    ".size enter_program, . - enter_program",
    ".popsection",
    ".pushsection .text.clear_registers,\"ax\",%progbits",
    ".type clear_registers, %function",
    "clear_registers:",
    ".cfi_startproc",
    ".cfi_undefined x30",
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
    "mov x\\n, xzr",
    ".endr",
    "msr nzcv, xzr",
    "ret x16",
    ".cfi_endproc",
    ".size clear_registers, . - clear_registers",
    ".popsection",
);
