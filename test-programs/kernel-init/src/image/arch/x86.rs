//! 32-bit x86.

use core::arch::global_asm;

use super::{ENTRY_SP, RETURN_TO, handled, signals};

// A return pops its address.
signals! { popped_bytes: 4, sp_column: 4 }

global_asm!(
    ".globl signal_handler",
    "signal_handler:",
    "mov eax, dword ptr [{return_to}]",
    "mov dword ptr [esp], eax",
    "mov dword ptr [{entry_sp}], esp",
    "jmp {handled}",
    ".globl raise_signal",
    "raise_signal:",
    "push ebx",
    "mov ebx, dword ptr [esp + 8]",
    "mov ecx, dword ptr [esp + 12]",
    "mov edx, dword ptr [esp + 16]",
    "mov dword ptr [edx], esp",
    "lea eax, [2f]",
    "mov dword ptr [edx + 4], eax",
    "mov eax, 37",
    "int 0x80",
    "2: pop ebx",
    "ret",
    return_to = sym RETURN_TO,
    entry_sp = sym ENTRY_SP,
    handled = sym handled,
);
