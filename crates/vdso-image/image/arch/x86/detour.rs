//! Where a thread goes on that has reported a system call: at `detour`, which the linker script puts
//! [`FROM_ENTRY`](vdso_data::detour::FROM_ENTRY) bytes behind the image's entry point.
//!
//! It comes with its registers as the `int 0x80` instruction had them; that changes eax alone, so eax has the call's number,
//! and two words are on the stack: what whoever sent it here knows beyond that, and above it the address behind the
//! instruction. Nobody keeps anything below a stack pointer. The call is made by [`detour`](crate::detour); then every register
//! is as that instruction leaves it, and the thread behind it.
//!
//! A signal's handler may run at any of these instructions, and may never return. So there is nothing here but
//! a frame on the thread's own stack, and a backtrace out of it shows who made the call.
//!
//! A stack that the kernel has not mapped may have very little room: Go's goroutines have theirs in a heap at low
//! addresses. There the frame alone is on it, and for the rest a stack is mapped for as long as the call takes. A handler that
//! never returns leaves that behind.

use core::arch::global_asm;

use super::number;
use crate::detour;

/// The bit of an address that is set where the kernel maps stacks, from the highest addresses of a program down.
const STACKS_SHIFT: u32 = 31;
/// Of a stack that is mapped for a call: with room for a signal's handler.
const ROOM_BYTES: u32 = 1 << 18;
/// For xmm0 to xmm7.
const VECTORS_BYTES: u32 = 128;
/// The argument of [`detour::make`], and what aligns the stack.
const ARGUMENT_BYTES: u32 = 16;
/// `PROT_READ | PROT_WRITE`, and `MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE`: `include/uapi/asm-generic/mman*.h`.
const READ_WRITE: u32 = 3;
const ANONYMOUS: u32 = 0x4022;

global_asm!(
    ".pushsection .text.detour,\"ax\",@progbits",
    ".hidden detour",
    ".type detour, @function",
    "detour:",
    ".cfi_startproc",
    // The address to go back to is the second word.
    ".cfi_def_cfa esp, 8",
    "pushfd",
    ".cfi_adjust_cfa_offset 4",
    // `detour::Frame`, from its end
    "push dword ptr [esp + 4]",
    "push eax",
    ".cfi_adjust_cfa_offset 8",
    "push ebp",
    ".cfi_adjust_cfa_offset 4",
    ".cfi_rel_offset ebp, 0",
    "push edi",
    ".cfi_adjust_cfa_offset 4",
    ".cfi_rel_offset edi, 0",
    "push esi",
    ".cfi_adjust_cfa_offset 4",
    ".cfi_rel_offset esi, 0",
    "push edx",
    "push ecx",
    "push ebx",
    ".cfi_adjust_cfa_offset 12",
    ".cfi_rel_offset ebx, 0",
    "mov ebp, esp",
    ".cfi_def_cfa_register ebp",
    "cld",
    "mov eax, ebp",
    "shr eax, {stacks_shift}",
    "jnz 2f",
    "push ebp",
    "xor ebx, ebx",
    "mov ecx, {room}",
    "mov edx, {read_write}",
    "mov esi, {anonymous}",
    "mov edi, -1",
    "xor ebp, ebp",
    ".cfi_def_cfa esp, 48",
    "mov eax, {mmap}",
    "int 0x80",
    "pop ebp",
    ".cfi_def_cfa ebp, 44",
    // Errors are the last of all addresses.
    "cmp eax, -4096",
    "ja 2f",
    "lea esp, [eax + {room}]",
    "2:",
    "and esp, -16",
    "sub esp, {vectors} + {argument}",
    "movaps [esp + 16], xmm0",
    "movaps [esp + 32], xmm1",
    "movaps [esp + 48], xmm2",
    "movaps [esp + 64], xmm3",
    "movaps [esp + 80], xmm4",
    "movaps [esp + 96], xmm5",
    "movaps [esp + 112], xmm6",
    "movaps [esp + 128], xmm7",
    "mov [esp], ebp",
    "call {make}",
    "movaps xmm0, [esp + 16]",
    "movaps xmm1, [esp + 32]",
    "movaps xmm2, [esp + 48]",
    "movaps xmm3, [esp + 64]",
    "movaps xmm4, [esp + 80]",
    "movaps xmm5, [esp + 96]",
    "movaps xmm6, [esp + 112]",
    "movaps xmm7, [esp + 128]",
    // Whether that is another stack.
    "mov edx, ebp",
    "sub edx, esp",
    "cmp edx, {vectors} + {argument} + 16",
    "jb 3f",
    "lea ebx, [esp + {vectors} + {argument} - {room}]",
    "mov esp, ebp",
    "mov esi, eax",
    "mov ecx, {room}",
    "mov eax, {munmap}",
    "int 0x80",
    "mov eax, esi",
    "3:",
    "mov esp, ebp",
    ".cfi_def_cfa_register esp",
    "pop ebx",
    ".cfi_adjust_cfa_offset -4",
    ".cfi_restore ebx",
    "pop ecx",
    "pop edx",
    ".cfi_adjust_cfa_offset -8",
    "pop esi",
    ".cfi_adjust_cfa_offset -4",
    ".cfi_restore esi",
    "pop edi",
    ".cfi_adjust_cfa_offset -4",
    ".cfi_restore edi",
    "pop ebp",
    ".cfi_adjust_cfa_offset -4",
    ".cfi_restore ebp",
    "lea esp, [esp + 8]",
    ".cfi_adjust_cfa_offset -8",
    "popfd",
    ".cfi_adjust_cfa_offset -4",
    "lea esp, [esp + 4]",
    ".cfi_adjust_cfa_offset -4",
    "ret",
    ".cfi_endproc",
    ".size detour, . - detour",
    // Makes a system call: its number, and the address of its six arguments. Every register is an argument's, so a backtrace
    // out of the call needs rules.
    ".p2align 4",
    ".globl system_call_6",
    ".hidden system_call_6",
    ".type system_call_6, @function",
    "system_call_6:",
    ".cfi_startproc",
    "push ebx",
    ".cfi_adjust_cfa_offset 4",
    ".cfi_rel_offset ebx, 0",
    "push esi",
    ".cfi_adjust_cfa_offset 4",
    ".cfi_rel_offset esi, 0",
    "push edi",
    ".cfi_adjust_cfa_offset 4",
    ".cfi_rel_offset edi, 0",
    "push ebp",
    ".cfi_adjust_cfa_offset 4",
    ".cfi_rel_offset ebp, 0",
    "mov eax, [esp + 20]",
    "mov edx, [esp + 24]",
    "mov ebx, [edx]",
    "mov ecx, [edx + 4]",
    "mov esi, [edx + 12]",
    "mov edi, [edx + 16]",
    "mov ebp, [edx + 20]",
    "mov edx, [edx + 8]",
    "int 0x80",
    "pop ebp",
    ".cfi_adjust_cfa_offset -4",
    ".cfi_restore ebp",
    "pop edi",
    ".cfi_adjust_cfa_offset -4",
    ".cfi_restore edi",
    "pop esi",
    ".cfi_adjust_cfa_offset -4",
    ".cfi_restore esi",
    "pop ebx",
    ".cfi_adjust_cfa_offset -4",
    ".cfi_restore ebx",
    "ret",
    ".cfi_endproc",
    ".size system_call_6, . - system_call_6",
    ".popsection",
    make = sym detour::make,
    mmap = const number::MMAP2,
    munmap = const number::MUNMAP,
    stacks_shift = const STACKS_SHIFT,
    room = const ROOM_BYTES,
    vectors = const VECTORS_BYTES,
    argument = const ARGUMENT_BYTES,
    read_write = const READ_WRITE,
    anonymous = const ANONYMOUS,
);
