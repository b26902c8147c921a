//! The stubs of x86-64 and of x32 programs: the same instructions, but for the numbers of system calls, by
//! which the kernel also tells what addresses a mapping may have, and the words of the auxiliary vector.
//!
//! | register | in the first stage | in the second |
//! |---|---|---|
//! | rbx | the data | the data |
//! | r12 | size of the mapping | the file |
//! | r13 | the second stage, from the mapping's start | the mapping |
//! | r14, r15, rbp | what a call for help needs | |

use std::arch::global_asm;
use std::mem::offset_of;

use vdso_data::PAGE_BYTES;
use vdso_data::process::{
    CLOCK_MODE_ADDR, COUNTER_MODE, HRES_SEQ_ADDR, NEVER_EVEN_SEQ, RAW_SEQ_ADDR,
};

use super::X32_BIT;
use crate::stub::{
    MemoryMap, PROCESS_PAGE_WORDS, REQUEST, REQUEST_ANNOUNCE, REQUEST_RESCUE, Stub, StubData,
    WithoutEntry,
};

unsafe extern "C" {
    static vdso_x86_64_first_stage: u8;
    static vdso_x86_64_with_file: u8;
    static vdso_x86_64_second_stage: u8;
    static vdso_x86_64_stub_end: u8;
    static vdso_x32_first_stage: u8;
    static vdso_x32_with_file: u8;
    static vdso_x32_second_stage: u8;
    static vdso_x32_stub_end: u8;
}

/// See [`stub`](crate::stub).
pub const STUB: Stub = Stub {
    first_stage: &raw const vdso_x86_64_first_stage,
    with_file: &raw const vdso_x86_64_with_file,
    second_stage: &raw const vdso_x86_64_second_stage,
    end: &raw const vdso_x86_64_stub_end,
    without_entry: WithoutEntry::Adds,
};

/// That of x32 programs.
pub const X32_STUB: Stub = Stub {
    first_stage: &raw const vdso_x32_first_stage,
    with_file: &raw const vdso_x32_with_file,
    second_stage: &raw const vdso_x32_second_stage,
    end: &raw const vdso_x32_stub_end,
    without_entry: WithoutEntry::Adds,
};

/// The instructions: `$bit` is set in the numbers of system calls; `$added` make an entry of the auxiliary
/// vector, whose end is 16 bytes above `rdi`, and put the address of its value into `rax`; `$announced`
/// writes that.
macro_rules! stub {
    ($prefix:literal, bit: $bit:expr, added: [$($added:literal),+], announced: $announced:literal) => {
        global_asm!(
            ".pushsection .rodata.vdso_stub,\"a\",@progbits",
            concat!(".globl ", $prefix, "_first_stage"),
            concat!(".hidden ", $prefix, "_first_stage"),
            concat!(".globl ", $prefix, "_with_file"),
            concat!(".hidden ", $prefix, "_with_file"),
            concat!(".globl ", $prefix, "_second_stage"),
            concat!(".hidden ", $prefix, "_second_stage"),
            concat!(".globl ", $prefix, "_stub_end"),
            concat!(".hidden ", $prefix, "_stub_end"),
            // Short, as the tracer writes it word by word: what it works on is in the registers already, as
            // `Registers::start` sets them. Only rax is not, as execve still returns in it.
            ".balign 8",
            concat!($prefix, "_first_stage:"),
            "mov eax, r15d",
            "syscall",
            "mov r8, rax",
            // Here a program starts that has the file's descriptor, in r8.
            concat!($prefix, "_with_file:"),
            "push {mmap}",
            "pop rax",
            "xor edi, edi",
            "mov rsi, r12",
            "syscall",
            "test rax, rax",
            "js 9f",
            "mov rcx, r13",
            "mov r13, rax",
            "add rcx, rax",
            "jmp rcx",
            // The file cannot be mapped. Only the supervisor can take the stub away now; without one the
            // program cannot go on.
            "9:",
            "mov edi, r14d",
            "mov esi, ebp",
            "mov rdx, rax",
            "mov eax, r15d",
            "syscall",
            "ud2",
            // As it is written by words, a part of one would have to be read first.
            ".balign 8",
            // rbx = the data, r12 = the file, r13 = the mapping
            concat!($prefix, "_second_stage:"),
            "mov r12, r8",
            // the page of clocks, shared
            "lea rdi, [r13 + {own_page}]",
            "mov esi, {page}",
            "mov edx, {read}",
            "mov r10d, {shared_fixed}",
            "mov r9d, {own_page}",
            "mov eax, {mmap}",
            "syscall",
            "cmp rax, -4095",
            "jae 8f",
            // the process page
            "lea rdi, [r13 + {process_page_offset}]",
            "mov edx, {read_write}",
            "mov r10d, {anonymous_fixed}",
            "or r8, -1",
            "xor r9d, r9d",
            "mov eax, {mmap}",
            "syscall",
            "cmp rax, -4095",
            "jae 8f",
            "mov rdi, rax",
            "lea rsi, [rbx + {process_page}]",
            "mov ecx, {process_page_words}",
            "rep movsq",
            "cmp qword ptr [rax + {clock_mode_addr}], 0",
            "jne 3f",
            "lea rcx, [rax + {counter_mode}]",
            "mov [rax + {clock_mode_addr}], rcx",
            "lea rcx, [rax + {never_even_seq}]",
            "mov [rax + {hres_seq_addr}], rcx",
            "mov [rax + {raw_seq_addr}], rcx",
            "3:",
            "mov rdi, rax",
            "mov esi, {page}",
            "mov edx, {read}",
            "mov eax, {mprotect}",
            "syscall",
            "test rax, rax",
            "js 8f",
            "mov rdi, r12",
            "mov eax, {close}",
            "syscall",
            // take the first stage away: drop the changed copy of its page, or copy what was there
            "mov rdi, [rbx + {dropped_page_addr}]",
            "test rdi, rdi",
            "jz 4f",
            "mov esi, {page}",
            "mov edx, {dontneed}",
            "mov eax, {madvise}",
            "syscall",
            "jmp 5f",
            "4:",
            "mov rdi, [rbx + {first_stage_addr}]",
            "mov rsi, [rbx + {original_addr}]",
            "mov rcx, [rbx + {first_stage_bytes}]",
            "rep movsb",
            // announce the image
            "5:",
            "lea rdx, [r13 + {image}]",
            "mov rax, [rbx + {auxv_value_addr}]",
            "test rax, rax",
            "jnz 6f",
            // There is no entry to change: move everything from the stack pointer to the vector's end down
            // by what keeps its alignment, and put ours in front of the last, which is still there.
            "mov rcx, [rbx + {stack_block_bytes}]",
            "lea rdi, [rsp - 16]",
            "mov rsi, rsp",
            "rep movsb",
            "sub rsp, 16",
            $($added,)+
            "6:",
            $announced,
            // The heap has no size yet, but a place.
            "xor edi, edi",
            "mov eax, {brk}",
            "syscall",
            "mov [rbx + {start_brk}], rax",
            "mov [rbx + {start_brk} + 8], rax",
            // and in the kernel's own copy; if it does not let us, only debuggers are told the old one
            "mov edi, {set_mm}",
            "mov esi, {set_mm_map}",
            "lea rdx, [rbx + {memory_map}]",
            "mov r10d, {memory_map_bytes}",
            "xor r8d, r8d",
            "mov eax, {prctl}",
            "syscall",
            "cmp qword ptr [rbx + {announces}], 0",
            "je 7f",
            "mov edi, {request}",
            "mov esi, {announce}",
            "lea rdx, [r13 + {image}]",
            "mov eax, {prctl}",
            "syscall",
            "7:",
            // forget the data, and leave through the image, which unmaps this page
            "mov rax, [rbx + {program_entry_addr}]",
            "mov [rsp - 16], rax",
            "mov r14, [rbx + {entry_offset}]",
            "mov rsi, [rbx + {mapping_bytes}]",
            "mov rdi, rbx",
            "xor eax, eax",
            "mov ecx, {data_words}",
            "rep stosq",
            "lea rdi, [r13 + rsi - {page}]",
            "mov esi, {page}",
            "mov eax, {munmap}",
            "add r14, r13",
            "jmp r14",
            // The rest of the mapping failed: back to the first stage's way out, without what was mapped.
            "8:",
            "mov r15, rax",
            "mov rdi, r12",
            "mov eax, {close}",
            "syscall",
            "mov rdx, r15",
            "mov edi, {request}",
            "mov esi, {rescue}",
            "mov eax, {prctl}",
            "syscall",
            "mov edi, 125",
            "mov eax, {exit_group}",
            "syscall",
            concat!($prefix, "_stub_end:"),
            ".popsection",
            mapping_bytes = const offset_of!(StubData, mapping_bytes),
            entry_offset = const offset_of!(StubData, entry_offset),
            auxv_value_addr = const offset_of!(StubData, auxv_value_addr),
            stack_block_bytes = const offset_of!(StubData, stack_block_bytes),
            program_entry_addr = const offset_of!(StubData, program_entry_addr),
            first_stage_addr = const offset_of!(StubData, first_stage_addr),
            first_stage_bytes = const offset_of!(StubData, first_stage_bytes),
            original_addr = const offset_of!(StubData, original_addr),
            dropped_page_addr = const offset_of!(StubData, dropped_page_addr),
            memory_map = const offset_of!(StubData, memory_map),
            memory_map_bytes = const size_of::<MemoryMap>(),
            start_brk = const offset_of!(StubData, memory_map) + offset_of!(MemoryMap, start_brk),
            process_page = const offset_of!(StubData, process_page),
            process_page_words = const PROCESS_PAGE_WORDS,
            clock_mode_addr = const CLOCK_MODE_ADDR,
            counter_mode = const COUNTER_MODE,
            hres_seq_addr = const HRES_SEQ_ADDR,
            raw_seq_addr = const RAW_SEQ_ADDR,
            never_even_seq = const NEVER_EVEN_SEQ,
            data_words = const size_of::<StubData>() / 8,
            page = const PAGE_BYTES,
            image = const vdso_image::IMAGE,
            own_page = const vdso_image::OWN_PAGE,
            process_page_offset = const vdso_image::PROCESS_PAGE,
            request = const REQUEST,
            rescue = const REQUEST_RESCUE,
            announce = const REQUEST_ANNOUNCE,
            announces = const offset_of!(StubData, announces),
            at_sysinfo_ehdr = const libc::AT_SYSINFO_EHDR,
            read = const libc::PROT_READ,
            read_write = const libc::PROT_READ | libc::PROT_WRITE,
            shared_fixed = const libc::MAP_SHARED | libc::MAP_FIXED,
            anonymous_fixed = const libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
            dontneed = const libc::MADV_DONTNEED,
            set_mm = const libc::PR_SET_MM,
            set_mm_map = const libc::PR_SET_MM_MAP,
            prctl = const $bit | libc::SYS_prctl,
            brk = const $bit | libc::SYS_brk,
            mmap = const $bit | libc::SYS_mmap,
            munmap = const $bit | libc::SYS_munmap,
            madvise = const $bit | libc::SYS_madvise,
            mprotect = const $bit | libc::SYS_mprotect,
            close = const $bit | libc::SYS_close,
            exit_group = const $bit | libc::SYS_exit_group,
        );
    };
}

stub!(
    "vdso_x86_64",
    bit: 0,
    added: ["mov qword ptr [rdi - 16], {at_sysinfo_ehdr}", "lea rax, [rdi - 8]"],
    announced: "mov [rax], rdx"
);

// Two entries have that size: the other is `AT_IGNORE`.
const _: () = assert!(libc::AT_IGNORE == 1);
stub!(
    "vdso_x32",
    bit: X32_BIT as libc::c_long,
    added: [
        "mov dword ptr [rdi - 8], {at_sysinfo_ehdr}",
        "lea rax, [rdi - 4]",
        "mov qword ptr [rdi], 1"
    ],
    announced: "mov [rax], edx"
);
