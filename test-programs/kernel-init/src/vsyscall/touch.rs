//! Reads, writes and jumps anywhere: what came of it, also where that is a signal.

use core::arch::global_asm;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use vdso_vsyscall::{Access, Registers};

use crate::system::{self, Errno, Told};

const SIGSEGV: usize = 11;

/// What was seen of a signal: `siginfo_t` and the `ucontext` of its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    pub code: i32,
    pub addr: u64,
    pub registers: Registers,
    pub trap: u64,
    pub error_code: u64,
    pub cr2: u64,
}

/// What came of an access.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The registers behind it. RIP is not known where there was no signal.
    pub after: Registers,
    /// RCX, RDX, R11: what a system call or a C function may change.
    pub others: [u64; 3],
    /// The byte that was read.
    pub byte: u8,
    pub signal: Option<Signal>,
}

/// The registers that an access is made with, and those behind it. The order is that of the assembly.
#[repr(C)]
struct Frame {
    addr: u64,
    access: u64,
    rax: u64,
    rdi: u64,
    rsi: u64,
    others: [u64; 3],
    /// What the stack pointer was before, and how far it is from that behind.
    rsp: u64,
}

unsafe extern "C" {
    fn touch_any(frame: *mut Frame);
    fn touched();
}

/// Where the handler has the program go on.
static STACK_AT_TOUCHED: AtomicUsize = AtomicUsize::new(0);
/// Of the last signal: code, address, RAX, RDI, RSI, RSP, RIP, error code, trap, CR2; the first word tells whether there
/// was one.
static SEEN: [AtomicU64; 11] = [const { AtomicU64::new(0) }; 11];

global_asm!(
    ".globl touch_any",
    "touch_any:",
    "push rbx",
    "push rbp",
    "push r12",
    "mov rbx, rdi",
    "mov [rip + {stack}], rsp",
    "mov [rbx + 64], rsp",
    "mov r12, [rbx]",
    "mov rbp, [rbx + 8]",
    "mov rax, [rbx + 16]",
    "mov rdi, [rbx + 24]",
    "mov rsi, [rbx + 32]",
    "mov rcx, [rbx + 40]",
    "mov rdx, [rbx + 48]",
    "mov r11, [rbx + 56]",
    "cmp rbp, 1",
    "je 1f",
    "ja 2f",
    "mov al, [r12]",
    "jmp touched",
    "1: mov [r12], al",
    "jmp touched",
    "2: call r12",
    ".globl touched",
    "touched:",
    "mov [rbx + 16], rax",
    "mov [rbx + 24], rdi",
    "mov [rbx + 32], rsi",
    "mov [rbx + 40], rcx",
    "mov [rbx + 48], rdx",
    "mov [rbx + 56], r11",
    "mov [rbx + 64], rsp",
    "mov rsp, [rip + {stack}]",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "ret",
    stack = sym STACK_AT_TOUCHED,
);

/// What RCX, RDX and R11 have before an access.
pub const OTHERS: [u64; 3] = [0xc0c0, 0xd0d0, 0xb0b0];

/// Has this process survive what it touches.
pub fn catch_faults() -> Result<(), Errno> {
    let handler = (handled as *const ()).expose_provenance();
    // SAFETY: `handled` has the program go on at the end of `touch_any`, which alone faults.
    unsafe { system::set_handler(SIGSEGV, handler, Told::Registers) }
}

/// Makes an access with these registers; RSP and RIP are its own.
pub fn touch(access: Access, addr: u64, rax: u64, rdi: u64, rsi: u64) -> Outcome {
    let mut frame = Frame { addr, access: access as u64, rax, rdi, rsi, others: OTHERS, rsp: 0 };
    SEEN[0].store(0, Ordering::Relaxed);
    // SAFETY: whatever it does beside writing to `frame` is a fault that the handler ends, or a function of the kernel's
    // that writes to where the caller's pointers say.
    unsafe { touch_any(&raw mut frame) };
    let before = STACK_AT_TOUCHED.load(Ordering::Relaxed) as u64;
    let Frame { rax, rdi, rsi, others, rsp, .. } = frame;
    let after = Registers { rax, rdi, rsi, rsp: rsp.wrapping_sub(before), rip: 0 };
    Outcome { after, others, byte: rax as u8, signal: seen(before) }
}

/// The last signal; its stack pointer as the distance from where the access was made.
fn seen(stack: u64) -> Option<Signal> {
    let [is_any, code, addr, rax, rdi, rsi, rsp, rip, error_code, trap, cr2] =
        SEEN.each_ref().map(|word| word.load(Ordering::Relaxed));
    let registers = Registers { rax, rdi, rsi, rsp: rsp.wrapping_sub(stack), rip };
    (is_any != 0).then_some(Signal { code: code as i32, addr, registers, trap, error_code, cr2 })
}

/// Where `mcontext_t` has a register, from the start of `ucontext_t`: `arch/x86/include/uapi/asm/sigcontext.h`.
const fn register(number: usize) -> usize {
    40 + number * 8
}

const RSI: usize = register(9);
const RDI: usize = register(8);
const RAX: usize = register(13);
const RSP: usize = register(15);
const RIP: usize = register(16);
const ERROR_CODE: usize = register(19);
const TRAP: usize = register(20);
const CR2: usize = register(22);

/// Keeps what it is told, and has the program go on.
unsafe extern "C" fn handled(_signal: i32, info: *const u8, context: *mut u8) {
    // SAFETY: `si_code` is there, 4 bytes.
    let code = unsafe { info.wrapping_add(8).cast::<i32>().read() };
    // SAFETY: `si_addr` is there, 8 bytes.
    let addr = unsafe { info.wrapping_add(16).cast::<u64>().read() };
    SEEN[0].store(1, Ordering::Relaxed);
    SEEN[1].store(code as u64, Ordering::Relaxed);
    SEEN[2].store(addr, Ordering::Relaxed);
    for (at, offset) in [RAX, RDI, RSI, RSP, RIP, ERROR_CODE, TRAP, CR2].into_iter().enumerate() {
        // SAFETY: the kernel gives a handler a `ucontext_t`, which has a word there.
        let word = unsafe { context.wrapping_add(offset).cast::<u64>().read() };
        SEEN[3 + at].store(word, Ordering::Relaxed);
    }
    let stack = STACK_AT_TOUCHED.load(Ordering::Relaxed) as u64;
    let touched = (touched as *const ()).expose_provenance() as u64;
    for (offset, value) in [(RSP, stack), (RIP, touched)] {
        // SAFETY: as above; the kernel takes the registers from there.
        unsafe { context.wrapping_add(offset).cast::<u64>().write(value) };
    }
}
