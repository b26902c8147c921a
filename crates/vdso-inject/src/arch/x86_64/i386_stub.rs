//! The stub of i386 programs: 32-bit code, in a 64-bit launcher.
//!
//! | register | in the first stage | at the second's beginning |
//! |---|---|---|
//! | ebx, ecx, edx, esi, ebp | arguments of the calls | |
//! | edi | the file | the file |
//! | eax | | the mapping |
//!
//! A mapping takes six arguments, all registers but two: what else is needed is in the data. Calls are
//! made by the software interrupt, which needs no vDSO.

use std::arch::global_asm;
use std::mem::offset_of;

use vdso_data::PAGE_BYTES;
use vdso_data::process::{
    CLOCK_MODE_ADDR, COUNTER_MODE, HRES_SEQ_ADDR, NEVER_EVEN_SEQ, RAW_SEQ_ADDR,
};

use crate::stub::{
    DATA_BELOW_STACK, MemoryMap, PROCESS_PAGE_WORDS, REQUEST, REQUEST_ANNOUNCE, REQUEST_RESCUE,
    Stub, StubData, WithoutEntry,
};

unsafe extern "C" {
    static vdso_i386_first_stage: u8;
    static vdso_i386_with_file: u8;
    static vdso_i386_second_stage: u8;
    static vdso_i386_stub_end: u8;
}

/// See [`stub`](crate::stub).
pub const STUB: Stub = Stub {
    first_stage: &raw const vdso_i386_first_stage,
    with_file: &raw const vdso_i386_with_file,
    second_stage: &raw const vdso_i386_second_stage,
    end: &raw const vdso_i386_stub_end,
    without_entry: WithoutEntry::Fails,
};

/// Numbers of `arch/x86/entry/syscalls/syscall_32.tbl`.
mod number {
    pub const CLOSE: u32 = 6;
    pub const BRK: u32 = 45;
    pub const MUNMAP: u32 = 91;
    pub const MPROTECT: u32 = 125;
    pub const PRCTL: u32 = 172;
    pub const MMAP2: u32 = 192;
    pub const MADVISE: u32 = 219;
    pub const EXIT_GROUP: u32 = 252;
}

global_asm!(
    ".pushsection .rodata.vdso_i386_stub,\"a\",@progbits",
    ".globl vdso_i386_first_stage",
    ".hidden vdso_i386_first_stage",
    ".globl vdso_i386_with_file",
    ".hidden vdso_i386_with_file",
    ".globl vdso_i386_second_stage",
    ".hidden vdso_i386_second_stage",
    ".globl vdso_i386_stub_end",
    ".hidden vdso_i386_stub_end",
    ".code32",
    // Short, as the tracer writes it word by word: what it works on is in the registers already. Only eax
    // is not, as execve still returns in it. The data are at a fixed distance from the stack pointer.
    ".balign 8",
    "vdso_i386_first_stage:",
    "mov eax, {prctl}",
    "int 0x80",
    "mov edi, eax",
    // Here a program starts that has the file's descriptor, in edi.
    "vdso_i386_with_file:",
    "xor ebx, ebx",
    "mov ecx, [esp - {below} + {mapping_bytes}]",
    "mov eax, {mmap2}",
    "int 0x80",
    "cmp eax, -4095",
    "jae 9f",
    "mov ecx, [esp - {below} + {second_stage_offset}]",
    "add ecx, eax",
    "jmp ecx",
    // The file cannot be mapped. Only the supervisor can take the stub away now; without one the
    // program cannot go on.
    "9:",
    "mov ebx, {request}",
    "mov ecx, {rescue}",
    "mov edx, eax",
    "mov eax, {prctl}",
    "int 0x80",
    "ud2",
    // As it is written by words, a part of one would have to be read first.
    ".balign 8",
    "vdso_i386_second_stage:",
    "mov [esp - {below} + {mapping_addr}], eax",
    "mov [esp - {below} + {file}], edi",
    // the page of clocks, shared
    "mov ebp, [esp - {below} + {own_page}]",
    "lea ebx, [eax + ebp]",
    "mov ecx, {page}",
    "shr ebp, 12",
    "mov edx, {read}",
    "mov esi, {shared_fixed}",
    "mov eax, {mmap2}",
    "int 0x80",
    "cmp eax, -4095",
    "jae 8f",
    // the process page
    "mov ebx, [esp - {below} + {mapping_addr}]",
    "add ebx, [esp - {below} + {process_page_offset}]",
    // ecx is still the size of a page
    "mov edx, {read_write}",
    "mov esi, {anonymous_fixed}",
    "or edi, -1",
    "xor ebp, ebp",
    "mov eax, {mmap2}",
    "int 0x80",
    "cmp eax, -4095",
    "jae 8f",
    // No call takes six arguments from here on: ebp = the data
    "lea ebp, [esp - {below}]",
    "lea esi, [ebp + {process_page}]",
    "mov edi, eax",
    "mov ecx, {process_page_bytes}",
    "rep movsb",
    "cmp dword ptr [eax + {clock_mode_addr}], 0",
    "jne 3f",
    "lea ecx, [eax + {counter_mode}]",
    "mov [eax + {clock_mode_addr}], ecx",
    "lea ecx, [eax + {never_even_seq}]",
    "mov [eax + {hres_seq_addr}], ecx",
    "mov [eax + {raw_seq_addr}], ecx",
    "3:",
    "mov ebx, eax",
    "mov ecx, {page}",
    "mov edx, {read}",
    "mov eax, {mprotect}",
    "int 0x80",
    "test eax, eax",
    "js 8f",
    "mov ebx, [ebp + {file}]",
    "mov eax, {close}",
    "int 0x80",
    // take the first stage away: drop the changed copy of its page, or copy what was there
    "mov ebx, [ebp + {dropped_page_addr}]",
    "test ebx, ebx",
    "jz 4f",
    "mov ecx, {page}",
    "mov edx, {dontneed}",
    "mov eax, {madvise}",
    "int 0x80",
    "jmp 5f",
    "4:",
    "mov edi, [ebp + {first_stage_addr}]",
    "mov esi, [ebp + {original_addr}]",
    "mov ecx, [ebp + {first_stage_bytes}]",
    "rep movsb",
    // announce the image; there always is an entry to change (`WithoutEntry`)
    "5:",
    "mov edx, [ebp + {mapping_addr}]",
    "mov eax, [ebp + {auxv_value_addr}]",
    "mov [eax], edx",
    // The heap has no size yet, but a place.
    "xor ebx, ebx",
    "mov eax, {brk}",
    "int 0x80",
    "mov [ebp + {start_brk}], eax",
    "mov [ebp + {start_brk} + 8], eax",
    // and in the kernel's own copy; if it does not let us, only debuggers are told the old one
    "mov ebx, {set_mm}",
    "mov ecx, {set_mm_map}",
    "lea edx, [ebp + {memory_map}]",
    "mov esi, {memory_map_bytes}",
    "xor edi, edi",
    "mov eax, {prctl}",
    "int 0x80",
    "cmp dword ptr [ebp + {announces}], 0",
    "je 7f",
    "mov ebx, {request}",
    "mov ecx, {announce}",
    "mov edx, [ebp + {mapping_addr}]",
    "mov eax, {prctl}",
    "int 0x80",
    "7:",
    // forget the data, and leave through the image, which unmaps this page
    "mov eax, [ebp + {program_entry_addr}]",
    "mov [esp - 16], eax",
    "mov ebx, [ebp + {mapping_addr}]",
    "mov edx, [ebp + {entry_offset}]",
    "add edx, ebx",
    "add ebx, [ebp + {mapping_bytes}]",
    "sub ebx, {page}",
    "mov edi, ebp",
    "mov ecx, {data_bytes}",
    "xor eax, eax",
    "rep stosb",
    "mov ecx, {page}",
    "mov eax, {munmap}",
    "jmp edx",
    // The rest of the mapping failed: back to the first stage's way out, without what was mapped.
    "8:",
    "mov esi, eax",
    "mov ebx, [esp - {below} + {file}]",
    "mov eax, {close}",
    "int 0x80",
    "mov ebx, {request}",
    "mov ecx, {rescue}",
    "mov edx, esi",
    "mov eax, {prctl}",
    "int 0x80",
    "mov ebx, 125",
    "mov eax, {exit_group}",
    "int 0x80",
    "vdso_i386_stub_end:",
    ".code64",
    ".popsection",
    below = const DATA_BELOW_STACK,
    mapping_bytes = const offset_of!(StubData, mapping_bytes),
    second_stage_offset = const offset_of!(StubData, second_stage_offset),
    mapping_addr = const offset_of!(StubData, mapping_addr),
    file = const offset_of!(StubData, file),
    process_page_offset = const offset_of!(StubData, process_page_offset),
    own_page = const offset_of!(StubData, own_page_offset),
    dropped_page_addr = const offset_of!(StubData, dropped_page_addr),
    first_stage_addr = const offset_of!(StubData, first_stage_addr),
    original_addr = const offset_of!(StubData, original_addr),
    first_stage_bytes = const offset_of!(StubData, first_stage_bytes),
    auxv_value_addr = const offset_of!(StubData, auxv_value_addr),
    announces = const offset_of!(StubData, announces),
    program_entry_addr = const offset_of!(StubData, program_entry_addr),
    entry_offset = const offset_of!(StubData, entry_offset),
    memory_map = const offset_of!(StubData, memory_map),
    process_page = const offset_of!(StubData, process_page),
    memory_map_bytes = const size_of::<MemoryMap>(),
    start_brk = const offset_of!(StubData, memory_map) + offset_of!(MemoryMap, start_brk),
    process_page_bytes = const PROCESS_PAGE_WORDS * 8,
    clock_mode_addr = const CLOCK_MODE_ADDR,
    counter_mode = const COUNTER_MODE,
    hres_seq_addr = const HRES_SEQ_ADDR,
    raw_seq_addr = const RAW_SEQ_ADDR,
    never_even_seq = const NEVER_EVEN_SEQ,
    data_bytes = const size_of::<StubData>(),
    page = const PAGE_BYTES,
    request = const REQUEST,
    rescue = const REQUEST_RESCUE,
    announce = const REQUEST_ANNOUNCE,
    read = const libc::PROT_READ,
    read_write = const libc::PROT_READ | libc::PROT_WRITE,
    shared_fixed = const libc::MAP_SHARED | libc::MAP_FIXED,
    anonymous_fixed = const libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
    dontneed = const libc::MADV_DONTNEED,
    set_mm = const libc::PR_SET_MM,
    set_mm_map = const libc::PR_SET_MM_MAP,
    prctl = const number::PRCTL,
    brk = const number::BRK,
    mmap2 = const number::MMAP2,
    munmap = const number::MUNMAP,
    madvise = const number::MADVISE,
    mprotect = const number::MPROTECT,
    close = const number::CLOSE,
    exit_group = const number::EXIT_GROUP,
);
