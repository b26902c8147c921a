//! The stubs of x86-64 and of x32 programs: the same instructions, but for the numbers of system calls, by
//! which the kernel also tells what addresses a mapping may have, and the words of the auxiliary vector.
//!
//! | register | what |
//! |---|---|
//! | rbx | the data |
//! | r12 | the file |
//! | r13 | the mapping |
//! | r14 | in the first stage, what the request for the file was answered |
//! | r15 | what the stub is about, until nothing can fail any more |

use std::arch::global_asm;
use std::mem::offset_of;

use vdso_data::PAGE_BYTES;
use vdso_data::process::{
    CLOCK_MODE_ADDR, COUNTER_MODE, HRES_SEQ_ADDR, NEVER_EVEN_SEQ, ProcessPage, RAW_SEQ_ADDR,
};

use super::X32_BIT;
use crate::stub::{
    MemoryMap, PROCESS_PAGE_WORDS, REQUEST, REQUEST_ANNOUNCE, REQUEST_FILE, REQUEST_RESCUE, Stub,
    StubData, WithoutEntry, step,
};
use vdso_map::Identity;

unsafe extern "C" {
    static vdso_x86_64_first_stage: u8;
    static vdso_x86_64_with_file: u8;
    static vdso_x86_64_give_up: u8;
    static vdso_x86_64_leave: u8;
    static vdso_x86_64_second_stage: u8;
    static vdso_x86_64_stub_end: u8;
    static vdso_x32_first_stage: u8;
    static vdso_x32_with_file: u8;
    static vdso_x32_give_up: u8;
    static vdso_x32_leave: u8;
    static vdso_x32_second_stage: u8;
    static vdso_x32_stub_end: u8;
}

/// See [`stub`](crate::stub).
pub const STUB: Stub = Stub {
    first_stage: &raw const vdso_x86_64_first_stage,
    with_file: &raw const vdso_x86_64_with_file,
    give_up: &raw const vdso_x86_64_give_up,
    leave: &raw const vdso_x86_64_leave,
    second_stage: &raw const vdso_x86_64_second_stage,
    end: &raw const vdso_x86_64_stub_end,
    without_entry: WithoutEntry::Adds,
};

/// That of x32 programs.
pub const X32_STUB: Stub = Stub {
    first_stage: &raw const vdso_x32_first_stage,
    with_file: &raw const vdso_x32_with_file,
    give_up: &raw const vdso_x32_give_up,
    leave: &raw const vdso_x32_leave,
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
            concat!(".globl ", $prefix, "_give_up"),
            concat!(".hidden ", $prefix, "_give_up"),
            concat!(".globl ", $prefix, "_leave"),
            concat!(".hidden ", $prefix, "_leave"),
            concat!(".globl ", $prefix, "_second_stage"),
            concat!(".hidden ", $prefix, "_second_stage"),
            concat!(".globl ", $prefix, "_stub_end"),
            concat!(".hidden ", $prefix, "_stub_end"),
            // rbx is set by `Registers::start`. Not rax, as execve has yet to return in it.
            ".balign 8",
            concat!($prefix, "_first_stage:"),
            // a place for the file's descriptor, which cannot be mapped
            "mov r15d, {step_descriptor}",
            "xor edi, edi",
            "mov esi, {cloexec}",
            "mov eax, {eventfd}",
            "syscall",
            "mov r12d, eax",
            "test eax, eax",
            "js 9f",
            // have the file put there
            "mov edi, {request}",
            "mov esi, {request_file}",
            "mov edx, r12d",
            "mov r10, [rbx + {token}]",
            "mov eax, {prctl}",
            "syscall",
            "mov r14, rax",
            "jmp 2f",
            // Here a program starts that has the file.
            concat!($prefix, "_with_file:"),
            "mov r12d, [rbx + {file}]",
            "xor r14d, r14d",
            // Whatever was answered: is it there?
            "2:",
            "mov r15d, {step_look}",
            "mov edi, r12d",
            "lea rsi, [rbx + {status}]",
            // Marked, where programs report this call.
            "mov r9d, [rbx + {call_mark}]",
            "mov eax, {fstat}",
            "syscall",
            "test eax, eax",
            "js 9f",
            "mov rax, [rbx + {status_device}]",
            "cmp rax, [rbx + {file_device}]",
            "jne 8f",
            "mov rax, [rbx + {status_inode}]",
            "cmp rax, [rbx + {file_inode}]",
            "jne 8f",
            "mov rax, [rbx + {status_bytes}]",
            "cmp rax, [rbx + {file_bytes}]",
            "jne 8f",
            "mov r15d, {step_map}",
            "xor edi, edi",
            "mov rsi, [rbx + {mapping_bytes}]",
            "mov edx, {read_execute}",
            "mov r10d, {private}",
            "mov r8d, r12d",
            "mov r9, [rbx + {file_offset}]",
            "mov eax, {mmap}",
            "syscall",
            "cmp rax, -4095",
            "jae 9f",
            "mov r13, rax",
            "mov [rbx + {mapping_addr}], rax",
            "add rax, [rbx + {second_stage_offset}]",
            "jmp rax",
            // Another file: the answer's error is why, or else that there was none, if what is there is
            // still the stub's own descriptor, which has no size.
            "8:",
            "mov r15d, {step_answer}",
            "mov eax, r14d",
            "test eax, eax",
            "js 9f",
            "xor eax, eax",
            "cmp [rbx + {status_bytes}], rax",
            "je 9f",
            "mov r15d, {step_compare}",
            // It failed, by the error in eax. Without what was made, ask to be taken away.
            concat!($prefix, "_give_up:"),
            "9:",
            "neg eax",
            "or r15d, eax",
            "mov edi, r12d",
            "mov eax, {close}",
            "syscall",
            "mov rdi, [rbx + {mapping_addr}]",
            "test rdi, rdi",
            "jz 3f",
            "mov rsi, [rbx + {mapping_bytes}]",
            "mov eax, {munmap}",
            "syscall",
            "3:",
            "mov edi, {request}",
            "mov esi, {rescue}",
            "mov edx, r15d",
            "mov r10, [rbx + {token}]",
            "mov eax, {prctl}",
            "syscall",
            // Nobody does that. Over code of the program's own the rest runs from elsewhere.
            "cmp qword ptr [rbx + {covers}], 0",
            "je 5f",
            "xor edi, edi",
            "mov esi, {page}",
            "mov edx, {read_write_execute}",
            "mov r10d, {anonymous}",
            "or r8, -1",
            "xor r9d, r9d",
            "mov eax, {mmap}",
            "syscall",
            "cmp rax, -4095",
            "jae 6f",
            "mov rdi, rax",
            "mov rsi, [rbx + {leave_addr}]",
            "mov rcx, [rbx + {leave_bytes}]",
            "rep movsb",
            "jmp rax",
            concat!($prefix, "_leave:"),
            "mov rdi, [rbx + {dropped_page_addr}]",
            "test rdi, rdi",
            "jz 4f",
            "mov esi, {page}",
            "mov edx, {dontneed}",
            "mov eax, {madvise}",
            "syscall",
            "test eax, eax",
            "jz 5f",
            // The program's first instructions cannot be had back.
            "6:",
            "mov edi, 125",
            "mov eax, {exit_group}",
            "syscall",
            "4:",
            "mov rdi, [rbx + {first_stage_addr}]",
            "mov rsi, [rbx + {original_addr}]",
            "mov rcx, [rbx + {first_stage_bytes}]",
            "rep movsb",
            // Forget the data, and start the program as execve does.
            "5:",
            "mov rax, [rbx + {program_entry_addr}]",
            "mov [rsp - 16], rax",
            "mov rdi, rbx",
            "xor eax, eax",
            "mov ecx, {data_words}",
            "rep stosq",
            "xor ebx, ebx",
            "xor edx, edx",
            "xor esi, esi",
            "xor edi, edi",
            "xor ebp, ebp",
            "xor r8d, r8d",
            "xor r9d, r9d",
            "xor r10d, r10d",
            "xor r11d, r11d",
            "xor r12d, r12d",
            "xor r13d, r13d",
            "xor r14d, r14d",
            "xor r15d, r15d",
            "push 0x202",
            "popfq",
            "jmp qword ptr [rsp - 16]",
            // As it may be written by words, a part of one would have to be read first.
            ".balign 8",
            concat!($prefix, "_second_stage:"),
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
            // take the first stage away: drop the changed copy of its page, or copy what was there
            "mov rdi, [rbx + {dropped_page_addr}]",
            "test rdi, rdi",
            "jz 4f",
            "mov esi, {page}",
            "mov edx, {dontneed}",
            "mov eax, {madvise}",
            "syscall",
            // Only what lies over the program's own code must not stay.
            "test eax, eax",
            "jz 5f",
            "mov r15d, {step_uncover}",
            "cmp qword ptr [rbx + {covers}], 0",
            "jne 8f",
            "jmp 5f",
            "4:",
            "mov rdi, [rbx + {first_stage_addr}]",
            "mov rsi, [rbx + {original_addr}]",
            "mov rcx, [rbx + {first_stage_bytes}]",
            "rep movsb",
            // announce the image
            "5:",
            "mov rdi, r12",
            "mov eax, {close}",
            "syscall",
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
            "mov r10, [rbx + {token}]",
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
            // The rest of the mapping failed: back to where this page can be unmapped.
            "8:",
            "jmp qword ptr [rbx + {give_up_addr}]",
            concat!($prefix, "_stub_end:"),
            ".popsection",
            token = const offset_of!(StubData, token),
            file = const offset_of!(StubData, file),
            mapping_addr = const offset_of!(StubData, mapping_addr),
            mapping_bytes = const offset_of!(StubData, mapping_bytes),
            second_stage_offset = const offset_of!(StubData, second_stage_offset),
            file_offset = const offset_of!(StubData, file_offset),
            file_device = const offset_of!(StubData, identity) + offset_of!(Identity, device),
            file_inode = const offset_of!(StubData, identity) + offset_of!(Identity, inode),
            file_bytes = const offset_of!(StubData, identity) + offset_of!(Identity, bytes),
            covers = const offset_of!(StubData, covers),
            give_up_addr = const offset_of!(StubData, give_up_addr),
            leave_addr = const offset_of!(StubData, leave_addr),
            leave_bytes = const offset_of!(StubData, leave_bytes),
            status = const offset_of!(StubData, status),
            status_device = const offset_of!(StubData, status) + offset_of!(libc::stat, st_dev),
            status_inode = const offset_of!(StubData, status) + offset_of!(libc::stat, st_ino),
            status_bytes = const offset_of!(StubData, status) + offset_of!(libc::stat, st_size),
            call_mark = const offset_of!(StubData, process_page) + offset_of!(ProcessPage, call_mark),
            step_descriptor = const step::DESCRIPTOR,
            step_answer = const step::ANSWER,
            step_look = const step::LOOK,
            step_compare = const step::COMPARE,
            step_map = const step::MAP,
            step_uncover = const step::UNCOVER,
            request_file = const REQUEST_FILE,
            cloexec = const libc::EFD_CLOEXEC,
            read_execute = const libc::PROT_READ | libc::PROT_EXEC,
            read_write_execute = const libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
            private = const libc::MAP_PRIVATE,
            anonymous = const libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            eventfd = const $bit | libc::SYS_eventfd2,
            fstat = const $bit | libc::SYS_fstat,
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
