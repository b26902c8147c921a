//! The image's ELF entry point: the last step of injection.
//!
//! The injected stub ends on a page that does not belong to the program. It cannot unmap that
//! itself, as it would unmap the code it runs on, so it jumps to this code, which
//!
//! 1. makes the system call that is set up in the registers (`munmap`);
//! 2. clears every register, as `execve` leaves them, and jumps to the address at `esp - 16`.
//!
//! Nothing below the stack pointer can be lost meanwhile: a process that has just been exec'd has no
//! signal handlers.

use core::arch::global_asm;

global_asm!(
    ".pushsection .text.enter,\"ax\",@progbits",
    ".p2align 4",
    ".globl enter_program",
    ".hidden enter_program",
    ".type enter_program, @function",
    "enter_program:",
    ".cfi_startproc",
    // There is no caller: a backtrace ends here.
    ".cfi_undefined eip",
    "int 0x80",
    "xor eax, eax",
    "xor ebx, ebx",
    "xor ecx, ecx",
    "xor edx, edx",
    "xor esi, esi",
    "xor edi, edi",
    "xor ebp, ebp",
    // The flags as execve sets them: interrupts on, and bit 1, which is always set.
    "push 0x202",
    "popfd",
    "jmp dword ptr [esp - 16]",
    ".cfi_endproc",
    ".size enter_program, . - enter_program",
    ".popsection",
);
