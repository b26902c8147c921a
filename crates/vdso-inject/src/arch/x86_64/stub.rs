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

use vdso_arch::system_call::numbers::{X32, X86_64};

use crate::arch::operands::names::*;
use crate::stub::{Stub, WithoutEntry};

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

/// The instructions: `$numbers` are those of the system calls; `$added` make an entry of the auxiliary
/// vector, whose end is 16 bytes above `rdi`, and put the address of its value into `rax`; `$announced`
/// writes that.
macro_rules! stub_of_x86_64 {
    ($prefix:literal, $numbers:expr, added: [$($added:literal),+], announced: $announced:literal) => {
        stub_of_64_bits!(
            $numbers,
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
            // the program's table of blocks, and the counts behind it
            "cmp qword ptr [rbx + {counting_offset}], 0",
            "je 9f",
            "mov edi, {request}",
            "mov esi, {request_counts}",
            "mov edx, r12d",
            "mov r10, [rbx + {token}]",
            "mov eax, {prctl}",
            "syscall",
            // Whatever was answered: is that file there?
            "mov r15d, {step_look}",
            "mov edi, r12d",
            "lea rsi, [rbx + {status}]",
            "mov r9d, [rbx + {call_mark}]",
            "mov eax, {fstat}",
            "syscall",
            "test eax, eax",
            "js 8f",
            "mov r15d, {step_compare}",
            "xor eax, eax",
            "mov rdx, [rbx + {status_device}]",
            "cmp rdx, [rbx + {counts_device}]",
            "jne 8f",
            "mov rdx, [rbx + {status_inode}]",
            "cmp rdx, [rbx + {counts_inode}]",
            "jne 8f",
            "mov rdx, [rbx + {status_bytes}]",
            "cmp rdx, [rbx + {counts_bytes}]",
            "jne 8f",
            "mov r15d, {step_map}",
            "mov rdi, [rbx + {counting_offset}]",
            "lea rdi, [r13 + rdi + {table_bytes}]",
            "mov rsi, rdx",
            "mov edx, {read_write}",
            "mov r10d, {shared_fixed}",
            "mov r8d, r12d",
            "xor r9d, r9d",
            "mov eax, {mmap}",
            "syscall",
            "cmp rax, -4095",
            "jae 8f",
            "mov [rbx + {counts_addr}], rax",
            "lea rdi, [rax - {table_bytes}]",
            "mov esi, {table_bytes}",
            "mov r10d, {anonymous_fixed}",
            "or r8, -1",
            "xor r9d, r9d",
            "mov eax, {mmap}",
            "syscall",
            "cmp rax, -4095",
            "jae 8f",
            // Without a table that a child finds empty, threads are not told apart.
            "cmp qword ptr [rbx + {counts_table_addr}], 0",
            "je 9f",
            "mov [rbx + {counts_table_addr}], rax",
            "mov rdi, rax",
            "mov edx, {wipe_on_fork}",
            "mov eax, {madvise}",
            "syscall",
            "test eax, eax",
            "jz 9f",
            "mov qword ptr [rbx + {counts_table_addr}], 0",
            "9:",
            "mov esi, {page}",
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
            "mov rsi, [rbx + {second_stage_offset}]",
            "mov rdi, rbx",
            "xor eax, eax",
            "mov ecx, {data_words}",
            "rep stosq",
            "lea rdi, [r13 + rsi]",
            "mov esi, {page}",
            "mov eax, {munmap}",
            "add r14, r13",
            "jmp r14",
            // The rest of the mapping failed: back to where this page can be unmapped.
            "8:",
            "jmp qword ptr [rbx + {give_up_addr}]",
            concat!($prefix, "_stub_end:"),
            ".popsection",
            call_mark = const offset_of!(StubData, process_page)
                + offset_of!(vdso_data::process::ProcessPage, call_mark),
            image = const vdso_image::IMAGE,
            request = const REQUEST,
            request_counts = const REQUEST_COUNTS,
            counting_offset = const offset_of!(StubData, counting_offset),
            counts_device = const offset_of!(StubData, counts_identity) + offset_of!(Identity, device),
            counts_inode = const offset_of!(StubData, counts_identity) + offset_of!(Identity, inode),
            counts_bytes = const offset_of!(StubData, counts_identity) + offset_of!(Identity, bytes),
            counts_addr = const offset_of!(StubData, process_page)
                + offset_of!(vdso_data::process::ProcessPage, counts_addr),
            counts_table_addr = const offset_of!(StubData, process_page)
                + offset_of!(vdso_data::process::ProcessPage, counts_table_addr),
            table_bytes = const vdso_data::counts::TABLE_BYTES,
            wipe_on_fork = const libc::MADV_WIPEONFORK,
        );
    };
}

stub_of_x86_64!(
    "vdso_x86_64",
    X86_64,
    added: ["mov qword ptr [rdi - 16], {at_sysinfo_ehdr}", "lea rax, [rdi - 8]"],
    announced: "mov [rax], rdx"
);

// Two entries have that size: the other is `AT_IGNORE`.
const _: () = assert!(libc::AT_IGNORE == 1);
stub_of_x86_64!(
    "vdso_x32",
    X32,
    added: [
        "mov dword ptr [rdi - 8], {at_sysinfo_ehdr}",
        "lea rax, [rdi - 4]",
        "mov qword ptr [rdi], 1"
    ],
    announced: "mov [rax], edx"
);
