//! x86-64.
//!
//! # The stub
//!
//! At the end of `execve` a program stands at its first instruction, with empty registers and no
//! signal handlers. The stub is written over that instruction; it maps the image, announces it, and
//! leaves through the image's entry point, which takes the stub away again. The tracer has nothing
//! to do after the one write that puts the stub there: if it dies, the program goes on.
//!
//! What the stub works on lies below the stack pointer, where nobody reads until the program has
//! pushed something there: [`StubData`].

use std::arch::global_asm;
use std::mem::offset_of;

use nix::unistd::Pid;
use vdso_data::PAGE_BYTES;
use vdso_data::process::{
    CLOCK_MODE_ADDR, COUNTER_MODE, HRES_SEQ_ADDR, NEVER_EVEN_SEQ, ProcessPage,
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

/// `StubData::fd` of a stub that asks for its descriptor.
pub const ASK_FOR_FILE: i64 = -1;

/// What a stub works on. Written by the tracer.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct StubData {
    /// Descriptor of the image's file in the program, or [`ASK_FOR_FILE`].
    pub fd: i64,
    /// Where the file can usually be opened without asking; zero-terminated.
    pub path: [u8; PATH_BYTES],
    /// The file's `st_dev`: in another mount or pid namespace the path may lead elsewhere.
    pub device: u64,
    /// The file's `st_ino`.
    pub inode: u64,
    /// For the program's own look at what it has opened.
    pub file_status: [u64; FILE_STATUS_WORDS],
    /// Size of the whole mapping.
    pub mapping_bytes: u64,
    /// The image's entry point, from the mapping's start.
    pub entry_offset: u64,
    /// Address of the value of `AT_SYSINFO_EHDR`; zero if there is none and one must be added.
    pub auxv_value_addr: u64,
    /// Bytes from the stack pointer to the end of the auxiliary vector.
    pub stack_block_bytes: u64,
    /// Where the program starts.
    pub program_entry_addr: u64,
    /// `madvise`, or a system call that does nothing.
    pub restore_call: u64,
    /// The page that the stub is on.
    pub stub_page_addr: u64,
    /// Bytes to copy back where the page is writable, else zero.
    pub restore_bytes: u64,
    /// Where the stub is.
    pub patch_addr: u64,
    /// How long it is.
    pub patch_bytes: u64,
    /// Where what was there before is kept.
    pub original_addr: u64,
    /// The stack pointer before the stub.
    pub stack_addr: u64,
    /// For `PR_SET_MM_MAP`.
    pub memory_map: MemoryMap,
    /// The process page, but for the two addresses within it where they are zero.
    pub process_page: [u64; PROCESS_PAGE_WORDS],
}

/// Room for `/proc/PID/fd/NUMBER`.
pub const PATH_BYTES: usize = 48;

/// Words of `struct stat`, whose first two are the device and the inode.
pub const FILE_STATUS_WORDS: usize = size_of::<libc::stat>() / 8;

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

/// `MADV_DONTNEED` takes a changed copy of a file's page away.
pub const RESTORE_BY_MADVISE: u64 = libc::SYS_madvise as u64;
/// A call without an effect, where the bytes are copied back instead.
pub const RESTORE_BY_COPY: u64 = libc::SYS_getpid as u64;

global_asm!(
    ".pushsection .rodata.vdso_stub,\"a\",@progbits",
    ".globl vdso_stub_start",
    ".hidden vdso_stub_start",
    ".globl vdso_stub_end",
    ".hidden vdso_stub_end",
    "vdso_stub_start:",
    "lea rbx, [rsp - {below}]",
    // r12 = the file
    "mov r12, [rbx + {fd}]",
    "test r12, r12",
    "jns 2f",
    "lea rdi, [rbx + {path}]",
    "mov esi, {read_only}",
    "mov eax, {open}",
    "syscall",
    "mov r12, rax",
    "test rax, rax",
    "js 6f",
    "mov edi, eax",
    "lea rsi, [rbx + {file_status}]",
    "mov eax, {fstat}",
    "syscall",
    "mov rax, [rbx + {file_status}]",
    "cmp rax, [rbx + {device}]",
    "jne 5f",
    "mov rax, [rbx + {file_status} + 8]",
    "cmp rax, [rbx + {inode}]",
    "je 2f",
    "5:",
    "mov rdi, r12",
    "mov eax, {close}",
    "syscall",
    // It cannot be opened, or is another: ask for it.
    "6:",
    "mov edi, {request}",
    "xor esi, esi",
    "mov eax, {prctl}",
    "syscall",
    "mov r12, rax",
    "test rax, rax",
    "js 9f",
    // r13 = the whole file, private, readable and executable
    "2:",
    "xor edi, edi",
    "mov rsi, [rbx + {mapping_bytes}]",
    "mov edx, {read_exec}",
    "mov r10d, {private}",
    "mov r8, r12",
    "xor r9d, r9d",
    "mov eax, {mmap}",
    "syscall",
    "cmp rax, -4095",
    "jae 9f",
    "mov r13, rax",
    // the page of clocks, shared
    "mov rdi, r13",
    "mov esi, {page}",
    "mov edx, {read}",
    "mov r10d, {shared_fixed}",
    "mov eax, {mmap}",
    "syscall",
    "cmp rax, -4095",
    "jae 9f",
    // the process page
    "lea rdi, [r13 + {page}]",
    "mov edx, {read_write}",
    "mov r10d, {anonymous_fixed}",
    "or r8, -1",
    "mov eax, {mmap}",
    "syscall",
    "cmp rax, -4095",
    "jae 9f",
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
    "3:",
    "mov rdi, rax",
    "mov esi, {page}",
    "mov edx, {read}",
    "mov eax, {mprotect}",
    "syscall",
    "mov rdi, r12",
    "mov eax, {close}",
    "syscall",
    // announce the image
    "lea rdx, [r13 + {image}]",
    "mov rax, [rbx + {auxv_value_addr}]",
    "test rax, rax",
    "jnz 4f",
    // There is no entry to change: move everything from the stack pointer to the vector's end down
    // by one entry, and put ours in front of the last, which is still there.
    "mov rcx, [rbx + {stack_block_bytes}]",
    "lea rdi, [rsp - 16]",
    "mov rsi, rsp",
    "rep movsb",
    "sub rsp, 16",
    "mov qword ptr [rdi - 16], {at_sysinfo_ehdr}",
    "lea rax, [rdi - 8]",
    "4:",
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
    // leave through the image
    "add r13, [rbx + {entry_offset}]",
    "mov rax, [rbx + {program_entry_addr}]",
    "mov [rsp - 16], rax",
    "mov rdi, [rbx + {stub_page_addr}]",
    "mov r8, [rbx + {restore_bytes}]",
    "mov r9, [rbx + {patch_addr}]",
    "mov r10, [rbx + {original_addr}]",
    "mov r14, [rbx + {restore_call}]",
    // forget the data
    "mov rdx, rdi",
    "mov rdi, rbx",
    "xor eax, eax",
    "mov ecx, {data_words}",
    "rep stosq",
    "mov rdi, rdx",
    "mov esi, {page}",
    "mov edx, {dontneed}",
    "mov rax, r14",
    "jmp r13",
    // The image cannot be mapped. Only the supervisor can take the stub away now; without one
    // the program cannot go on.
    "9:",
    "mov r15, rax",
    "mov rdi, r12",
    "mov eax, {close}",
    "syscall",
    "mov rdi, r13",
    "mov rsi, [rbx + {mapping_bytes}]",
    "test rdi, rdi",
    "jz 8f",
    "mov eax, {munmap}",
    "syscall",
    "8:",
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
    below = const DATA_BELOW_STACK,
    fd = const offset_of!(StubData, fd),
    path = const offset_of!(StubData, path),
    device = const offset_of!(StubData, device),
    inode = const offset_of!(StubData, inode),
    file_status = const offset_of!(StubData, file_status),
    read_only = const libc::O_RDONLY | libc::O_CLOEXEC,
    open = const libc::SYS_open,
    fstat = const libc::SYS_fstat,
    mapping_bytes = const offset_of!(StubData, mapping_bytes),
    entry_offset = const offset_of!(StubData, entry_offset),
    auxv_value_addr = const offset_of!(StubData, auxv_value_addr),
    stack_block_bytes = const offset_of!(StubData, stack_block_bytes),
    program_entry_addr = const offset_of!(StubData, program_entry_addr),
    restore_call = const offset_of!(StubData, restore_call),
    stub_page_addr = const offset_of!(StubData, stub_page_addr),
    restore_bytes = const offset_of!(StubData, restore_bytes),
    patch_addr = const offset_of!(StubData, patch_addr),
    original_addr = const offset_of!(StubData, original_addr),
    memory_map = const offset_of!(StubData, memory_map),
    memory_map_bytes = const size_of::<MemoryMap>(),
    process_page = const offset_of!(StubData, process_page),
    process_page_words = const PROCESS_PAGE_WORDS,
    clock_mode_addr = const CLOCK_MODE_ADDR,
    counter_mode = const COUNTER_MODE,
    hres_seq_addr = const HRES_SEQ_ADDR,
    never_even_seq = const NEVER_EVEN_SEQ,
    data_words = const size_of::<StubData>() / 8,
    page = const PAGE_BYTES,
    image = const vdso_image::IMAGE,
    request = const REQUEST,
    rescue = const REQUEST_RESCUE,
    at_sysinfo_ehdr = const libc::AT_SYSINFO_EHDR,
    read = const libc::PROT_READ,
    read_write = const libc::PROT_READ | libc::PROT_WRITE,
    read_exec = const libc::PROT_READ | libc::PROT_EXEC,
    private = const libc::MAP_PRIVATE,
    shared_fixed = const libc::MAP_SHARED | libc::MAP_FIXED,
    anonymous_fixed = const libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
    dontneed = const libc::MADV_DONTNEED,
    set_mm = const libc::PR_SET_MM,
    set_mm_map = const libc::PR_SET_MM_MAP,
    prctl = const libc::SYS_prctl,
    brk = const libc::SYS_brk,
    start_brk = const offset_of!(StubData, memory_map) + offset_of!(MemoryMap, start_brk),
    mmap = const libc::SYS_mmap,
    munmap = const libc::SYS_munmap,
    mprotect = const libc::SYS_mprotect,
    close = const libc::SYS_close,
    exit_group = const libc::SYS_exit_group,
);

// The layout of the mapping that the stub builds.
const _: () = assert!(
    vdso_image::OWN_PAGE == 0
        && vdso_image::PROCESS_PAGE == PAGE_BYTES
        && vdso_image::IMAGE == 2 * PAGE_BYTES
);
// The data, and the original code behind it, must not reach up to what `enter_program` keeps right
// below the stack pointer.
const _: () = assert!(size_of::<StubData>() + MAX_PATCH_BYTES < DATA_BELOW_STACK as usize - 128);

/// More than a stub and a jump.
pub const MAX_PATCH_BYTES: usize = 1024;

/// The stub's instructions; they run at any address.
pub fn stub() -> &'static [u8] {
    unsafe extern "C" {
        static vdso_stub_start: u8;
        static vdso_stub_end: u8;
    }
    let start = &raw const vdso_stub_start;
    let end = &raw const vdso_stub_end;
    // SAFETY: both symbols bound one piece of read-only data.
    unsafe { std::slice::from_raw_parts(start, end as usize - start as usize) }
}

/// The instructions that go from `from` to `to`, which are less than 2 GiB apart.
pub fn jump(from: u64, to: u64) -> [u8; JUMP_BYTES] {
    const JMP_REL32: u8 = 0xe9;
    let distance = to.wrapping_sub(from + JUMP_BYTES as u64) as u32;
    let mut bytes = [JMP_REL32, 0, 0, 0, 0];
    bytes[1..].copy_from_slice(&distance.to_le_bytes());
    bytes
}

/// Bytes of a [`jump`].
pub const JUMP_BYTES: usize = 5;

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
