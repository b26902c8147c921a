//! x86-64.
//!
//! # The stub
//!
//! At the end of `execve` a program stands at its first instruction, with empty registers and no
//! signal handlers. The stub has two stages. The first is put somewhere into the program's memory;
//! it maps the image's file and jumps into it. The second comes with that file, on a page of its
//! own behind the image: it builds the rest of the mapping, announces the image, takes the first
//! stage away, and leaves through the image's entry point, which takes the second one away. The
//! tracer has nothing to do after the one step that makes the program execute the first stage: if
//! it dies, the program goes on.
//!
//! What the stages work on lies below the stack pointer, where nobody reads until the program has
//! pushed something there: [`StubData`].

use std::arch::global_asm;
use std::mem::offset_of;

use nix::unistd::Pid;
use vdso_data::PAGE_BYTES;
use vdso_data::process::{
    CLOCK_MODE_ADDR, COUNTER_MODE, HRES_SEQ_ADDR, NEVER_EVEN_SEQ, ProcessPage, RAW_SEQ_ADDR,
};

use crate::error::{Attempt, Error, Result};

/// How far below the stack pointer [`StubData`] lies.
pub const DATA_BELOW_STACK: u64 = 2 * PAGE_BYTES as u64;

/// First argument of the `prctl` by which a stub talks to the supervisor: "vdso" in ASCII, which is
/// no option of the kernel's.
pub const REQUEST: u32 = u32::from_be_bytes(*b"vdso");
/// Second argument: answer with a descriptor of the image's file.
pub const REQUEST_FILE: u64 = 0;
/// Second argument: the image could not be mapped; take the stub away. The third is the error.
pub const REQUEST_RESCUE: u64 = 1;

/// Second argument: the image is in place; the third is its address.
pub const REQUEST_ANNOUNCE: u64 = 2;

/// What a stub works on. Written by the tracer.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct StubData {
    /// Size of the whole mapping.
    pub mapping_bytes: u64,
    /// The image's entry point, from the mapping's start.
    pub entry_offset: u64,
    /// Address of the value of `AT_SYSINFO_EHDR`; zero if there is none and one must be added.
    pub auxv_value_addr: u64,
    /// Bytes from the stack pointer to the end of the auxiliary vector.
    pub stack_block_bytes: u64,
    /// The stack pointer before the stub.
    pub stack_addr: u64,
    /// Where the program starts.
    pub program_entry_addr: u64,
    /// Where the first stage is.
    pub first_stage_addr: u64,
    /// How long it is.
    pub first_stage_bytes: u64,
    /// Where what was there before is kept.
    pub original_addr: u64,
    /// The page with the first stage, if its changed copy is to be dropped; else zero, and the bytes
    /// are copied back.
    pub dropped_page_addr: u64,
    /// Not zero: tell the supervisor when the image is in place.
    pub announces: u64,
    /// For `PR_SET_MM_MAP`.
    pub memory_map: MemoryMap,
    /// The process page, but for the addresses within it where they are zero.
    pub process_page: [u64; PROCESS_PAGE_WORDS],
}

/// Words of a process page that are worth copying.
pub const PROCESS_PAGE_WORDS: usize = size_of::<ProcessPage>() / 8;

/// `struct prctl_mm_map` of `include/uapi/linux/prctl.h`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct MemoryMap {
    pub start_code: u64,
    pub end_code: u64,
    pub start_data: u64,
    pub end_data: u64,
    pub start_brk: u64,
    pub brk: u64,
    pub start_stack: u64,
    pub arg_start: u64,
    pub arg_end: u64,
    pub env_start: u64,
    pub env_end: u64,
    pub auxv: u64,
    pub auxv_size: u32,
    pub exe_fd: i32,
}

global_asm!(
    ".pushsection .rodata.vdso_stub,\"a\",@progbits",
    ".globl vdso_first_stage",
    ".hidden vdso_first_stage",
    ".globl vdso_first_stage_with_file",
    ".hidden vdso_first_stage_with_file",
    ".globl vdso_second_stage",
    ".hidden vdso_second_stage",
    ".globl vdso_stub_end",
    ".hidden vdso_stub_end",
    // Short, as the tracer writes it word by word: what it works on is in the registers already, as
    // `Registers::start` sets them. Only rax is not, as execve still returns in it.
    ".balign 8",
    "vdso_first_stage:",
    "mov eax, r15d",
    "syscall",
    "mov r8, rax",
    // Here a program starts that has the file's descriptor, in r8.
    "vdso_first_stage_with_file:",
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
    "vdso_second_stage:",
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
    // by one entry, and put ours in front of the last, which is still there.
    "mov rcx, [rbx + {stack_block_bytes}]",
    "lea rdi, [rsp - 16]",
    "mov rsi, rsp",
    "rep movsb",
    "sub rsp, 16",
    "mov qword ptr [rdi - 16], {at_sysinfo_ehdr}",
    "lea rax, [rdi - 8]",
    "6:",
    "mov [rax], rdx",
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
    "vdso_stub_end:",
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
    prctl = const libc::SYS_prctl,
    brk = const libc::SYS_brk,
    mmap = const libc::SYS_mmap,
    munmap = const libc::SYS_munmap,
    madvise = const libc::SYS_madvise,
    mprotect = const libc::SYS_mprotect,
    close = const libc::SYS_close,
    exit_group = const libc::SYS_exit_group,
);

// The data, and the original code behind it, must not reach up to what the image's entry keeps right
// below the stack pointer.
const _: () = assert!(size_of::<StubData>() + MAX_PATCH_BYTES < DATA_BELOW_STACK as usize - 128);

/// More than a first stage.
pub const MAX_PATCH_BYTES: usize = 64;

/// The first stage; it runs at any address.
pub fn first_stage() -> &'static [u8] {
    between(&raw const vdso_first_stage, &raw const vdso_second_stage)
}

/// The second stage; it runs at any address.
pub fn second_stage() -> &'static [u8] {
    between(&raw const vdso_second_stage, &raw const vdso_stub_end)
}

unsafe extern "C" {
    static vdso_first_stage: u8;
    static vdso_first_stage_with_file: u8;
    static vdso_second_stage: u8;
    static vdso_stub_end: u8;
}

fn between(start: *const u8, end: *const u8) -> &'static [u8] {
    // SAFETY: the symbols bound one piece of read-only data.
    unsafe { std::slice::from_raw_parts(start, end as usize - start as usize) }
}

/// What the first stage works on.
#[derive(Clone, Copy, Debug)]
pub struct FirstStage {
    /// Where it is.
    pub addr: u64,
    /// Descriptor of the image's file in the program; without it, it is asked for.
    pub file: Option<i32>,
    /// Size of the whole mapping.
    pub mapping_bytes: u64,
    /// The second stage, from the mapping's start.
    pub second_stage_offset: u64,
    /// Where its [`StubData`] is.
    pub data_addr: u64,
}

/// Where a stopped program is.
#[derive(Clone, Copy, Debug)]
pub struct Registers(libc::user_regs_struct);

impl Registers {
    /// Reads those of a stopped tracee; an error for a 32-bit one.
    pub fn read(pid: Pid) -> Result<Self> {
        /// `__USER32_CS` in `arch/x86/include/asm/segment.h`.
        const USER32_CS: u64 = 0x23;
        let registers = nix::sys::ptrace::getregs(pid)
            .map_err(|errno| Error::on(pid, Attempt::Trace, errno))?;
        if registers.cs == USER32_CS {
            return Err(Error::Foreign { pid });
        }
        Ok(Self(registers))
    }

    /// The next instruction.
    pub fn instruction_addr(&self) -> u64 {
        self.0.rip
    }

    /// The stack pointer.
    pub fn stack_addr(&self) -> u64 {
        self.0.rsp
    }

    /// Makes a stopped program go on with the first stage: one write of all registers.
    pub fn start(&self, pid: Pid, stage: &FirstStage) -> Result<()> {
        let with_file = &raw const vdso_first_stage_with_file as u64;
        let skipped = with_file - &raw const vdso_first_stage as u64;
        let registers = libc::user_regs_struct {
            rip: stage.addr + if stage.file.is_some() { skipped } else { 0 },
            r8: stage.file.unwrap_or_default() as u64,
            rbx: stage.data_addr,
            r12: stage.mapping_bytes,
            r13: stage.second_stage_offset,
            r14: u64::from(REQUEST),
            r15: libc::SYS_prctl as u64,
            rbp: REQUEST_RESCUE,
            rdi: u64::from(REQUEST),
            rsi: REQUEST_FILE,
            rdx: (libc::PROT_READ | libc::PROT_EXEC) as u64,
            r10: libc::MAP_PRIVATE as u64,
            ..self.0
        };
        nix::sys::ptrace::setregs(pid, registers)
            .map_err(|errno| Error::on(pid, Attempt::Trace, errno))
    }

    /// Where a stub that was stopped has its data.
    pub fn stub_data_addr(&self) -> u64 {
        self.0.rbx
    }

    /// Puts a stopped program back to its very start.
    pub fn restart(pid: Pid, instruction_addr: u64, stack_addr: u64) -> Result<()> {
        let mut registers = nix::sys::ptrace::getregs(pid)
            .map_err(|errno| Error::on(pid, Attempt::Trace, errno))?;
        let blank = libc::user_regs_struct {
            rip: instruction_addr,
            rsp: stack_addr,
            eflags: 0x202,
            // No system call to restart.
            orig_rax: u64::MAX,
            r15: 0,
            r14: 0,
            r13: 0,
            r12: 0,
            rbp: 0,
            rbx: 0,
            r11: 0,
            r10: 0,
            r9: 0,
            r8: 0,
            rax: 0,
            rcx: 0,
            rdx: 0,
            rsi: 0,
            rdi: 0,
            ..registers
        };
        registers = blank;
        nix::sys::ptrace::setregs(pid, registers)
            .map_err(|errno| Error::on(pid, Attempt::Trace, errno))
    }
}
