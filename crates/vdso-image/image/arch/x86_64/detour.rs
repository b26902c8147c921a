//! Where a thread goes on that has reported a system call: at `detour`, which the linker script puts
//! [`FROM_ENTRY`](vdso_data::detour::FROM_ENTRY) bytes behind the image's entry point.
//!
//! It comes with its registers as the `syscall` instruction had them, but for the two that this instruction
//! changes itself: rcx has the address behind it, as ever, and r11 the call's number. rax has what whoever sent it
//! here knows beyond that. The call is made by [`detour`](crate::detour); then every register is as
//! that instruction leaves it, and the thread behind it.
//!
//! A signal's handler may run at any of these instructions, and may never return. So there is nothing here but
//! a frame on the thread's own stack, and a backtrace out of it shows who made the call.
//!
//! A stack that the kernel has not mapped as one, where it maps stacks, may have very little room: Go's goroutines
//! are promised 800 bytes beyond what is looked at, of which a system call's own functions take some. There the frame
//! alone is on it, and for the rest a stack is mapped for as long as the call takes. A handler that never returns leaves
//! that behind.

use core::arch::global_asm;

use super::number;
use crate::detour;

/// Bits of an address below those that tell whether the kernel maps stacks there: from 0x7000_0000_0000 on.
const STACKS_SHIFT: u32 = 44;
/// The least that these are. All of x32's memory is below, and none of its stacks is so small.
const STACKS: u32 = if cfg!(target_pointer_width = "32") { 0 } else { 7 };
/// Of a stack that is mapped for a call: with room for a signal's handler.
const ROOM_BYTES: u32 = 1 << 18;
/// For xmm0 to xmm15.
const VECTORS_BYTES: u32 = 256;
/// `PROT_READ | PROT_WRITE`, and `MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE`: `include/uapi/asm-generic/mman*.h`.
const READ_WRITE: u32 = 3;
const ANONYMOUS: u32 = 0x4022;

global_asm!(
    ".pushsection .text.detour,\"ax\",@progbits",
    ".hidden detour",
    ".type detour, @function",
    "detour:",
    ".cfi_startproc",
    ".cfi_def_cfa rsp, 0",
    ".cfi_register rip, rcx",
    // What the caller keeps below its stack pointer stays.
    "lea rsp, [rsp - 128]",
    ".cfi_adjust_cfa_offset 128",
    "pushfq",
    ".cfi_adjust_cfa_offset 8",
    "push rcx",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_rel_offset rip, 0",
    "push rbp",
    ".cfi_adjust_cfa_offset 8",
    ".cfi_rel_offset rbp, 0",
    // `vdso_data::detour::Call`, from its end
    "push rax",
    "push r11",
    "push r9",
    "push r8",
    "push r10",
    "push rdx",
    "push rsi",
    "push rdi",
    ".cfi_adjust_cfa_offset 64",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "cld",
    "mov rax, rbp",
    "shr rax, {stacks_shift}",
    "cmp rax, {stacks}",
    "jae 2f",
    "xor edi, edi",
    "mov esi, {room}",
    "mov edx, {read_write}",
    "mov r10d, {anonymous}",
    "mov r8, -1",
    "xor r9d, r9d",
    "mov eax, {mmap}",
    "syscall",
    "test rax, rax",
    "js 2f",
    "lea rsp, [rax + {room}]",
    "2:",
    "and rsp, -16",
    "sub rsp, {vectors}",
    "movaps [rsp], xmm0",
    "movaps [rsp + 16], xmm1",
    "movaps [rsp + 32], xmm2",
    "movaps [rsp + 48], xmm3",
    "movaps [rsp + 64], xmm4",
    "movaps [rsp + 80], xmm5",
    "movaps [rsp + 96], xmm6",
    "movaps [rsp + 112], xmm7",
    "movaps [rsp + 128], xmm8",
    "movaps [rsp + 144], xmm9",
    "movaps [rsp + 160], xmm10",
    "movaps [rsp + 176], xmm11",
    "movaps [rsp + 192], xmm12",
    "movaps [rsp + 208], xmm13",
    "movaps [rsp + 224], xmm14",
    "movaps [rsp + 240], xmm15",
    "mov rdi, rbp",
    "call {make}",
    "movaps xmm0, [rsp]",
    "movaps xmm1, [rsp + 16]",
    "movaps xmm2, [rsp + 32]",
    "movaps xmm3, [rsp + 48]",
    "movaps xmm4, [rsp + 64]",
    "movaps xmm5, [rsp + 80]",
    "movaps xmm6, [rsp + 96]",
    "movaps xmm7, [rsp + 112]",
    "movaps xmm8, [rsp + 128]",
    "movaps xmm9, [rsp + 144]",
    "movaps xmm10, [rsp + 160]",
    "movaps xmm11, [rsp + 176]",
    "movaps xmm12, [rsp + 192]",
    "movaps xmm13, [rsp + 208]",
    "movaps xmm14, [rsp + 224]",
    "movaps xmm15, [rsp + 240]",
    // Whether that is another stack.
    "mov rdx, rbp",
    "sub rdx, rsp",
    "cmp rdx, {vectors} + 16",
    "jb 3f",
    "lea rdi, [rsp + {vectors} - {room}]",
    "mov rsp, rbp",
    "mov r8, rax",
    "mov esi, {room}",
    "mov eax, {munmap}",
    "syscall",
    "mov rax, r8",
    "3:",
    "mov rsp, rbp",
    ".cfi_def_cfa_register rsp",
    "pop rdi",
    "pop rsi",
    "pop rdx",
    "pop r10",
    "pop r8",
    "pop r9",
    "lea rsp, [rsp + 16]",
    ".cfi_adjust_cfa_offset -64",
    "pop rbp",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_restore rbp",
    "pop rcx",
    ".cfi_adjust_cfa_offset -8",
    ".cfi_register rip, rcx",
    // Where the instruction leaves them, too.
    "mov r11, [rsp]",
    "popfq",
    ".cfi_adjust_cfa_offset -8",
    "lea rsp, [rsp + 128]",
    ".cfi_adjust_cfa_offset -128",
    "jmp rcx",
    ".cfi_endproc",
    ".size detour, . - detour",
    ".popsection",
    make = sym detour::make,
    mmap = const number::MMAP,
    munmap = const number::MUNMAP,
    stacks_shift = const STACKS_SHIFT,
    stacks = const STACKS,
    room = const ROOM_BYTES,
    vectors = const VECTORS_BYTES,
    read_write = const READ_WRITE,
    anonymous = const ANONYMOUS,
);
