//! The stub of 64-bit RISC-V programs.
//!
//! | register | in the first stage | in the second |
//! |---|---|---|
//! | s1 | the data | the data |
//! | s2 | the request's name | the request's name |
//! | s3 | size of the mapping | size of the mapping |
//! | s4 | the second stage, from the mapping's start | the mapping |
//! | a4, s5 | the file | the file |
//!
//! The kernel keeps all registers but a0 through a system call.

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
    static vdso_riscv64_first_stage: u8;
    static vdso_riscv64_with_file: u8;
    static vdso_riscv64_second_stage: u8;
    static vdso_riscv64_stub_end: u8;
}

/// See [`stub`](crate::stub).
pub const STUB: Stub = Stub {
    first_stage: &raw const vdso_riscv64_first_stage,
    with_file: &raw const vdso_riscv64_with_file,
    second_stage: &raw const vdso_riscv64_second_stage,
    end: &raw const vdso_riscv64_stub_end,
    without_entry: WithoutEntry::Adds,
};

global_asm!(
    ".pushsection .rodata.vdso_riscv64_stub,\"a\",%progbits",
    ".globl vdso_riscv64_first_stage",
    ".hidden vdso_riscv64_first_stage",
    ".globl vdso_riscv64_with_file",
    ".hidden vdso_riscv64_with_file",
    ".globl vdso_riscv64_second_stage",
    ".hidden vdso_riscv64_second_stage",
    ".globl vdso_riscv64_stub_end",
    ".hidden vdso_riscv64_stub_end",
    // The linker must not shorten anything: distances between the symbols are taken before it does.
    ".option push",
    ".option norelax",
    // Short, as the tracer writes it word by word: what it works on is in the registers already.
    ".balign 8",
    "vdso_riscv64_first_stage:",
    "mv a0, s2",
    "ecall",
    "mv a4, a0",
    // Here a program starts that has the file's descriptor, in a4.
    "vdso_riscv64_with_file:",
    "li a0, 0",
    "mv a1, s3",
    "li a5, 0",
    "li a7, {mmap}",
    "ecall",
    "bltz a0, 9f",
    "add t0, a0, s4",
    "mv s4, a0",
    "jr t0",
    // The file cannot be mapped. Only the supervisor can take the stub away now; without one the
    // program cannot go on.
    "9:",
    "mv a2, a0",
    "mv a0, s2",
    "li a1, {rescue}",
    "li a7, {prctl}",
    "ecall",
    "unimp",
    // As it is written by words, a part of one would have to be read first.
    ".balign 8",
    "vdso_riscv64_second_stage:",
    "mv s5, a4",
    // the page of clocks, shared
    "li a5, {own_page}",
    "add a0, s4, a5",
    "li a1, {unit}",
    "li a2, {read}",
    "li a3, {shared_fixed}",
    "li a7, {mmap}",
    "ecall",
    "bltz a0, 8f",
    // the process page
    "li a5, {process_page_offset}",
    "add a0, s4, a5",
    "li a2, {read_write}",
    "li a3, {anonymous_fixed}",
    "li a4, -1",
    "li a5, 0",
    "ecall",
    "bltz a0, 8f",
    "addi t0, s1, {process_page}",
    "mv t1, a0",
    "li t2, {process_page_words}",
    "2:",
    "ld t3, 0(t0)",
    "sd t3, 0(t1)",
    "addi t0, t0, 8",
    "addi t1, t1, 8",
    "addi t2, t2, -1",
    "bnez t2, 2b",
    "ld t3, {clock_mode_addr}(a0)",
    "bnez t3, 3f",
    "addi t3, a0, {counter_mode}",
    "sd t3, {clock_mode_addr}(a0)",
    "addi t3, a0, {never_even_seq}",
    "sd t3, {hres_seq_addr}(a0)",
    "sd t3, {raw_seq_addr}(a0)",
    "3:",
    "li a2, {read}",
    "li a7, {mprotect}",
    "ecall",
    "bltz a0, 8f",
    "mv a0, s5",
    "li a7, {close}",
    "ecall",
    // take the first stage away: drop the changed copy of its page, or copy what was there
    "ld a0, {dropped_page_addr}(s1)",
    "beqz a0, 4f",
    "li a1, {page}",
    "li a2, {dontneed}",
    "li a7, {madvise}",
    "ecall",
    "j 5f",
    "4:",
    "ld a0, {first_stage_addr}(s1)",
    "ld t1, {original_addr}(s1)",
    "ld t2, {first_stage_bytes}(s1)",
    "add a1, a0, t2",
    "mv t0, a0",
    "41:",
    "ld t3, 0(t1)",
    "sd t3, 0(t0)",
    "addi t1, t1, 8",
    "addi t0, t0, 8",
    "bltu t0, a1, 41b",
    // What is executed there next, on whatever CPU, must be what has just been written.
    "li a2, 0",
    "li a7, {flush_icache}",
    "ecall",
    // announce the image
    "5:",
    "ld t0, {auxv_value_addr}(s1)",
    "bnez t0, 6f",
    // There is no entry to change: move everything from the stack pointer to the vector's end down
    // by one entry, and put ours in front of the last, which is still there.
    "ld t2, {stack_block_bytes}(s1)",
    "mv t0, sp",
    "addi sp, sp, -16",
    "mv t1, sp",
    "51:",
    "ld t3, 0(t0)",
    "sd t3, 0(t1)",
    "addi t0, t0, 8",
    "addi t1, t1, 8",
    "addi t2, t2, -8",
    "bnez t2, 51b",
    "li t3, {at_sysinfo_ehdr}",
    "sd t3, -16(t1)",
    "addi t0, t1, -8",
    "6:",
    "sd s4, 0(t0)",
    // The heap has no size yet, but a place.
    "li a0, 0",
    "li a7, {brk}",
    "ecall",
    "sd a0, {start_brk}(s1)",
    "sd a0, {start_brk} + 8(s1)",
    // and in the kernel's own copy; if it does not let us, only debuggers are told the old one
    "li a0, {set_mm}",
    "li a1, {set_mm_map}",
    "addi a2, s1, {memory_map}",
    "li a3, {memory_map_bytes}",
    "li a4, 0",
    "li a7, {prctl}",
    "ecall",
    "ld t0, {announces}(s1)",
    "beqz t0, 7f",
    "mv a0, s2",
    "li a1, {announce}",
    "mv a2, s4",
    "ecall",
    "7:",
    // forget the data, and leave through the image, which unmaps this page
    "ld t1, {program_entry_addr}(s1)",
    "ld t0, {entry_offset}(s1)",
    "add t0, t0, s4",
    "li t2, {data_words}",
    "71:",
    "sd zero, 0(s1)",
    "addi s1, s1, 8",
    "addi t2, t2, -1",
    "bnez t2, 71b",
    "li a1, {page}",
    "add a0, s4, s3",
    "sub a0, a0, a1",
    "li a7, {munmap}",
    "jr t0",
    // The rest of the mapping failed: back to the first stage's way out, without what was mapped.
    "8:",
    "mv s6, a0",
    "mv a0, s5",
    "li a7, {close}",
    "ecall",
    "mv a2, s6",
    "mv a0, s2",
    "li a1, {rescue}",
    "li a7, {prctl}",
    "ecall",
    "li a0, 125",
    "li a7, {exit_group}",
    "ecall",
    "vdso_riscv64_stub_end:",
    ".option pop",
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
    flush_icache = const FLUSH_ICACHE,
);

/// `riscv_flush_icache`, `arch/riscv/include/uapi/asm/unistd.h`.
const FLUSH_ICACHE: i64 = 259;
