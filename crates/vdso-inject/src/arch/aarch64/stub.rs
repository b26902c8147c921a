//! The stub of arm64 programs.
//!
//! | register | in the first stage | in the second |
//! |---|---|---|
//! | x19 | the data | the data |
//! | x20 | the request's name | the request's name |
//! | x21 | size of the mapping | size of the mapping |
//! | x22 | the second stage, from the mapping's start | the mapping |
//! | x4, x23 | the file | the file |
//!
//! The kernel keeps all registers but x0 through a system call.

use std::arch::global_asm;
use std::mem::offset_of;

use vdso_data::PAGE_BYTES;
use vdso_data::process::{
    CLOCK_MODE_ADDR, COUNTER_MODE, HRES_SEQ_ADDR, NEVER_EVEN_SEQ, RAW_SEQ_ADDR,
};

use crate::stub::{
    MemoryMap, PROCESS_PAGE_WORDS, REQUEST_ANNOUNCE, REQUEST_RESCUE, Stub, StubData, WithoutEntry,
};

unsafe extern "C" {
    static vdso_arm64_first_stage: u8;
    static vdso_arm64_with_file: u8;
    static vdso_arm64_second_stage: u8;
    static vdso_arm64_stub_end: u8;
}

/// See [`stub`](crate::stub).
pub const STUB: Stub = Stub {
    first_stage: &raw const vdso_arm64_first_stage,
    with_file: &raw const vdso_arm64_with_file,
    second_stage: &raw const vdso_arm64_second_stage,
    end: &raw const vdso_arm64_stub_end,
    without_entry: WithoutEntry::Adds,
};

global_asm!(
    ".pushsection .rodata.vdso_arm64_stub,\"a\",%progbits",
    ".globl vdso_arm64_first_stage",
    ".hidden vdso_arm64_first_stage",
    ".globl vdso_arm64_with_file",
    ".hidden vdso_arm64_with_file",
    ".globl vdso_arm64_second_stage",
    ".hidden vdso_arm64_second_stage",
    ".globl vdso_arm64_stub_end",
    ".hidden vdso_arm64_stub_end",
    // Short, as the tracer writes it word by word: what it works on is in the registers already.
    ".balign 8",
    "vdso_arm64_first_stage:",
    "mov x0, x20",
    "svc #0",
    "mov x4, x0",
    // Here a program starts that has the file's descriptor, in x4.
    "vdso_arm64_with_file:",
    "mov x0, xzr",
    "mov x1, x21",
    "mov x5, xzr",
    "mov x8, #{mmap}",
    "svc #0",
    "tbnz x0, #63, 9f",
    "add x9, x0, x22",
    "mov x22, x0",
    "br x9",
    // The file cannot be mapped. Only the supervisor can take the stub away now; without one the
    // program cannot go on.
    "9:",
    "mov x2, x0",
    "mov x0, x20",
    "mov x1, #{rescue}",
    "mov x8, #{prctl}",
    "svc #0",
    "udf #0",
    // As it is written by words, a part of one would have to be read first.
    ".balign 8",
    "vdso_arm64_second_stage:",
    "mov x23, x4",
    // the page of clocks, shared
    "mov x5, #{own_page}",
    "add x0, x22, x5",
    "mov x1, #{unit}",
    "mov x2, #{read}",
    "mov x3, #{shared_fixed}",
    "mov x8, #{mmap}",
    "svc #0",
    "tbnz x0, #63, 8f",
    // the process page
    "mov x5, #{process_page_offset}",
    "add x0, x22, x5",
    "mov x2, #{read_write}",
    "mov x3, #{anonymous_fixed}",
    "mov x4, #-1",
    "mov x5, xzr",
    "svc #0",
    "tbnz x0, #63, 8f",
    "add x9, x19, #{process_page}",
    "mov x10, x0",
    "mov x11, #{process_page_words}",
    "2:",
    "ldr x12, [x9], #8",
    "str x12, [x10], #8",
    "subs x11, x11, #1",
    "b.ne 2b",
    "ldr x12, [x0, #{clock_mode_addr}]",
    "cbnz x12, 3f",
    "add x12, x0, #{counter_mode}",
    "str x12, [x0, #{clock_mode_addr}]",
    "add x12, x0, #{never_even_seq}",
    "str x12, [x0, #{hres_seq_addr}]",
    "str x12, [x0, #{raw_seq_addr}]",
    "3:",
    "mov x2, #{read}",
    "mov x8, #{mprotect}",
    "svc #0",
    "tbnz x0, #63, 8f",
    "mov x0, x23",
    "mov x8, #{close}",
    "svc #0",
    // take the first stage away: drop the changed copy of its page, or copy what was there
    "ldr x0, [x19, #{dropped_page_addr}]",
    "cbz x0, 4f",
    "mov x1, #{page}",
    "mov x2, #{dontneed}",
    "mov x8, #{madvise}",
    "svc #0",
    "b 5f",
    "4:",
    "ldr x9, [x19, #{first_stage_addr}]",
    "ldr x10, [x19, #{original_addr}]",
    "ldr x11, [x19, #{first_stage_bytes}]",
    "41:",
    "ldr w12, [x10], #4",
    "str w12, [x9]",
    // What is executed there next must be what has just been written.
    "dc cvau, x9",
    "dsb ish",
    "ic ivau, x9",
    "dsb ish",
    "add x9, x9, #4",
    "subs x11, x11, #4",
    "b.ne 41b",
    "isb",
    // announce the image
    "5:",
    "ldr x9, [x19, #{auxv_value_addr}]",
    "cbnz x9, 6f",
    // There is no entry to change: move everything from the stack pointer to the vector's end down
    // by one entry, and put ours in front of the last, which is still there.
    "ldr x11, [x19, #{stack_block_bytes}]",
    "mov x9, sp",
    "sub sp, sp, #16",
    "mov x10, sp",
    "51:",
    "ldr x12, [x9], #8",
    "str x12, [x10], #8",
    "subs x11, x11, #8",
    "b.ne 51b",
    "mov x12, #{at_sysinfo_ehdr}",
    "str x12, [x10, #-16]",
    "sub x9, x10, #8",
    "6:",
    "str x22, [x9]",
    // The heap has no size yet, but a place.
    "mov x0, xzr",
    "mov x8, #{brk}",
    "svc #0",
    "str x0, [x19, #{start_brk}]",
    "str x0, [x19, #{start_brk} + 8]",
    // and in the kernel's own copy; if it does not let us, only debuggers are told the old one
    "mov x0, #{set_mm}",
    "mov x1, #{set_mm_map}",
    "add x2, x19, #{memory_map}",
    "mov x3, #{memory_map_bytes}",
    "mov x4, xzr",
    "mov x8, #{prctl}",
    "svc #0",
    "ldr x9, [x19, #{announces}]",
    "cbz x9, 7f",
    "mov x0, x20",
    "mov x1, #{announce}",
    "mov x2, x22",
    "svc #0",
    "7:",
    // forget the data, and leave through the image, which unmaps this page
    "ldr x16, [x19, #{program_entry_addr}]",
    "ldr x9, [x19, #{entry_offset}]",
    "add x9, x9, x22",
    "mov x11, #{data_words}",
    "71:",
    "str xzr, [x19], #8",
    "subs x11, x11, #1",
    "b.ne 71b",
    "mov x1, #{page}",
    "add x0, x22, x21",
    "sub x0, x0, x1",
    "mov x8, #{munmap}",
    "br x9",
    // The rest of the mapping failed: back to the first stage's way out, without what was mapped.
    "8:",
    "mov x24, x0",
    "mov x0, x23",
    "mov x8, #{close}",
    "svc #0",
    "mov x2, x24",
    "mov x0, x20",
    "mov x1, #{rescue}",
    "mov x8, #{prctl}",
    "svc #0",
    "mov x0, #125",
    "mov x8, #{exit_group}",
    "svc #0",
    "vdso_arm64_stub_end:",
    ".popsection",
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
    unit = const vdso_image::ARCHITECTURE.page_bytes,
    own_page = const vdso_image::OWN_PAGE,
    process_page_offset = const vdso_image::PROCESS_PAGE,
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
    prctl = const libc::SYS_prctl,
    brk = const libc::SYS_brk,
    mmap = const libc::SYS_mmap,
    munmap = const libc::SYS_munmap,
    madvise = const libc::SYS_madvise,
    mprotect = const libc::SYS_mprotect,
    close = const libc::SYS_close,
    exit_group = const libc::SYS_exit_group,
);
