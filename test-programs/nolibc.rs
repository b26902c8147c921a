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
use core::sync::atomic::{AtomicUsize, Ordering};

use vdso_client::{Call, Capabilities, ClockId, Errno, auxv, clock_gettime, gettimeofday, time};

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
    // SAFETY: as above.
    HOST_CLOCK_MARK.store(unsafe { host_clock_mark(stack) }, Ordering::Relaxed);
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

/// What marks a system call that gives the host's clock: see `host_clock.h`.
static HOST_CLOCK_MARK: AtomicUsize = AtomicUsize::new(0);

/// # Safety
/// `stack` must be as the kernel made it.
unsafe fn host_clock_mark(stack: *const usize) -> usize {
    const AT_SYSINFO_EHDR: usize = 33;
    const MAGIC: u64 = u64::from_be_bytes(*b"vdsoproc");
    // SAFETY: the caller's promise, here and below: arguments, a null, the environment, a null, the vector.
    let mut word = unsafe { stack.add(stack.read() + 2) };
    // SAFETY: as above.
    while unsafe { word.read() } != 0 {
        word = word.wrapping_add(1);
    }
    word = word.wrapping_add(1);
    // SAFETY: as above.
    while unsafe { word.read() } != AT_SYSINFO_EHDR {
        // SAFETY: as above.
        if unsafe { word.read() } == 0 {
            return 0;
        }
        word = word.wrapping_add(2);
    }
    // SAFETY: as above.
    let mut page = unsafe { word.wrapping_add(1).read() };
    // SAFETY: an ELF header; the kernel's own image has no entry point.
    if unsafe { *((page + 24) as *const u64) } == 0 {
        return 0;
    }
    // SAFETY: the pages are behind the image.
    while unsafe { *(page as *const u64) } != MAGIC {
        page += 4096;
    }
    // SAFETY: in the page that was found.
    unsafe { *((page + 36) as *const u32) as usize }
}

/// The host's answer to a call with one or two arguments.
fn host(number: usize, first: usize, second: usize) -> Result<i64, Errno> {
    let result: i64;
    // SAFETY: the calls below write to what they are given and nowhere else.
    unsafe {
        asm!("syscall", inlateout("rax") number as i64 => result, in("rdi") first, in("rsi") second,
            in("rdx") HOST_CLOCK_MARK.load(Ordering::Relaxed), out("rcx") _, out("r11") _);
    }
    if (-4095..0).contains(&result) { Err(Errno::from_raw(-result as i32)) } else { Ok(result) }
}

/// `clock_gettime` or `gettimeofday` of the host: seconds, and the rest of them.
fn host_pair(number: usize, arguments: impl Fn(usize) -> [usize; 2]) -> Result<(i128, i128), Errno> {
    let mut pair = [0i64; 2];
    let [first, second] = arguments((&raw mut pair).addr());
    host(number, first, second)?;
    // SAFETY: it is ours; read anew, as the kernel has written.
    let [sec, rest] = unsafe { (&raw const pair).read_volatile() };
    Ok((i128::from(sec), i128::from(rest)))
}

fn print_clocks() -> fmt::Result {
    const CLOCK_GETTIME: usize = 228;
    const GETTIMEOFDAY: usize = 96;
    const TIME: usize = 201;
    for id in ClockId::OF_VDSO {
        let raw = || {
            let pair = host_pair(CLOCK_GETTIME, |time| [id.raw() as usize, time])?;
            Ok(pair.0 * 1_000_000_000 + pair.1)
        };
        let library = || clock_gettime(id).map(|now| now.as_nanos());
        print_line(id.name().ok_or(fmt::Error)?, raw, library)?;
    }
    let microseconds = |time: vdso_client::Timeval| {
        i128::from(time.sec) * 1_000_000_000 + i128::from(time.usec) * 1_000
    };
    print_line(
        "GETTIMEOFDAY",
        || {
            let pair = host_pair(GETTIMEOFDAY, |time| [time, 0])?;
            Ok(pair.0 * 1_000_000_000 + pair.1 * 1_000)
        },
        || gettimeofday().map(microseconds),
    )?;
    let seconds = |seconds: i64| i128::from(seconds) * 1_000_000_000;
    print_line("TIME", || host(TIME, 0, 0).map(seconds), || time().map(seconds))
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
