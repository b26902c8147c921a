//! Where code is: without an addressing mode for that, it is its return address.

use core::arch::global_asm;

global_asm!(
    ".pushsection .text.here,\"ax\",@progbits",
    ".p2align 4",
    ".globl address_in_eax",
    ".hidden address_in_eax",
    ".type address_in_eax, @function",
    "address_in_eax:",
    ".cfi_startproc",
    "mov eax, dword ptr [esp]",
    "ret",
    ".cfi_endproc",
    ".size address_in_eax, . - address_in_eax",
    ".popsection",
);
