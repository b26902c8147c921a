//! A program without a C library and without Rust's: reads every clock by the crate `vdso-client`.
//!
//! `_start` hands the stack over, by which the client finds the auxiliary vector; with the argument
//! `ask-kernel` it does not, so the client asks for the kernel's copy. What is printed is told in README.md;
//! with the argument `capabilities`, who answers each call.

#![no_std]
#![no_main]

use core::arch::{asm, global_asm};
use core::ffi::CStr;
use core::fmt::{self, Write};
use core::panic::PanicInfo;

use vdso_client::{Call, Capabilities, ClockId, Errno, auxv, clock_gettime, gettimeofday, system_call, time};

// The kernel leaves `argc` at the stack pointer, and a call needs the stack aligned.
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {start}",
    "ud2",
    start = sym start,
);

unsafe extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: the stack as the kernel made it, which nothing has moved.
    let has_argument = |text| unsafe { has_argument(stack, text) };
    if !has_argument(c"ask-kernel") {
        // SAFETY: as above.
        unsafe { auxv::set_startup_stack(stack) };
    }
    let printed =
        if has_argument(c"capabilities") { print_capabilities() } else { print_clocks() };
    exit(if printed.is_ok() { 0 } else { 1 })
}

/// Whether one of the arguments is `text`.
///
/// # Safety
/// `stack` must be as the kernel made it.
unsafe fn has_argument(stack: *const usize, text: &CStr) -> bool {
    // SAFETY: the caller's promise, for the number of arguments and what follows.
    let argument_count = unsafe { stack.read() };
    // The program's name is the first.
    (1..argument_count).any(|index| {
        // SAFETY: as above.
        let argument = unsafe { stack.add(1 + index).cast::<*const u8>().read() };
        let mut bytes = text.to_bytes_with_nul().iter().enumerate();
        // SAFETY: the argument has a zero byte at its end, and nothing is read behind a difference.
        bytes.all(|(at, &byte)| unsafe { argument.add(at).read() } == byte)
    })
}

fn print_clocks() -> fmt::Result {
    for id in ClockId::OF_VDSO {
        let raw = || system_call::clock_gettime(id).map(|now| now.as_nanos());
        let library = || clock_gettime(id).map(|now| now.as_nanos());
        print_line(id.name().ok_or(fmt::Error)?, raw, library)?;
    }
    let microseconds = |time: vdso_client::Timeval| {
        i128::from(time.sec) * 1_000_000_000 + i128::from(time.usec) * 1_000
    };
    print_line(
        "GETTIMEOFDAY",
        || system_call::gettimeofday().map(microseconds),
        || gettimeofday().map(microseconds),
    )?;
    let seconds = |seconds: i64| i128::from(seconds) * 1_000_000_000;
    print_line("TIME", || system_call::time().map(seconds), || time().map(seconds))
}

fn print_line(
    name: &str,
    raw: impl Fn() -> Result<i128, Errno>,
    library: impl Fn() -> Result<i128, Errno>,
) -> fmt::Result {
    let read = || Ok((raw()?, library()?, raw()?));
    let (before, now, after) = read().map_err(|_: Errno| fmt::Error)?;
    writeln!(Output, "{name} {before} {now} {after}")
}

fn print_capabilities() -> fmt::Result {
    let capabilities = Capabilities::probe();
    for call in Call::ALL {
        writeln!(Output, "{}: {}", call.name(), capabilities.answer(call))?;
    }
    let page = if capabilities.has_own_page() { "yes" } else { "no" };
    writeln!(Output, "own page: {page}")
}

/// Standard output, without a buffer.
struct Output;

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const WRITE: usize = 1;
        const STDOUT: usize = 1;
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let (number, length) = (WRITE, rest.len());
            let written: isize;
            // SAFETY: write(2) reads the bytes and nothing else.
            unsafe {
                asm!("syscall", inlateout("rax") number => written, in("rdi") STDOUT,
                    in("rsi") rest.as_ptr(), in("rdx") length, out("rcx") _, out("r11") _);
            }
            if written <= 0 {
                return Err(fmt::Error);
            }
            rest = &rest[written as usize..];
        }
        Ok(())
    }
}

fn exit(code: i32) -> ! {
    const EXIT_GROUP: usize = 231;
    // SAFETY: ends the process.
    unsafe { asm!("syscall", in("rax") EXIT_GROUP, in("rdi") code, options(noreturn)) }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(101)
}

// Named in the tables of a `core` that was built to unwind; nothing here does.
global_asm!(".globl rust_eh_personality", "rust_eh_personality: ud2");

// What compilers take from a C library. `rep` needs neither a loop, which the compiler would make a
// call of the very function of, nor alignment.
global_asm!(
    ".globl memcpy, memset, memmove, memcmp, bcmp",
    "memcpy: mov rax, rdi",
    "mov rcx, rdx",
    "rep movsb",
    "ret",
    "memset: mov r8, rdi",
    "mov eax, esi",
    "mov rcx, rdx",
    "rep stosb",
    "mov rax, r8",
    "ret",
    "memmove: mov rax, rdi",
    "mov rcx, rdx",
    "cmp rdi, rsi",
    "jbe 2f",
    "std",
    "lea rdi, [rdi + rcx - 1]",
    "lea rsi, [rsi + rcx - 1]",
    "rep movsb",
    "cld",
    "ret",
    "2: rep movsb",
    "ret",
    "memcmp:",
    "bcmp: xor eax, eax",
    "mov rcx, rdx",
    "cmp rax, rax",
    "repe cmpsb",
    "je 3f",
    "movzx eax, byte ptr [rdi - 1]",
    "movzx ecx, byte ptr [rsi - 1]",
    "sub eax, ecx",
    "3: ret",
);
