//! x86-64.

mod enter;
mod exports;

use core::arch::asm;
use core::ffi::{c_int, c_void};

use vdso_data::arithmetic::Timespec;
use vdso_data::gettimeofday::Timeval;
use vdso_data::own::Halves;
use vdso_data::process::FLAG_RDPID;

use crate::pages;

/// The time-stamp counter. RDTSCP waits for every earlier instruction and load, so two reads that
/// are ordered by the program, on whatever CPUs, are ordered in the counter.
#[inline(always)]
pub fn counter_halves() -> Halves {
    let (low, high): (u32, u32);
    // SAFETY: reads a counter. That user mode may do so, and that the CPU has RDTSCP, is checked
    // before an image that calls this is chosen. Not `nomem`, so that the compiler, too, keeps
    // memory accesses in place.
    unsafe { asm!("rdtscp", out("eax") low, out("edx") high, out("ecx") _, options(nostack)) };
    Halves { low, high }
}

/// The same in one piece.
#[inline(always)]
pub fn counter() -> u64 {
    counter_halves().joined()
}

/// The address that the linker script gives `own_page`.
#[inline(always)]
pub fn own_page() -> *const u8 {
    let page;
    // SAFETY: computes an address. Written by hand as a reference to an extern static would go
    // through a table that needs relocation.
    unsafe {
        asm!("lea {}, [rip + own_page]", out(reg) page, options(pure, nomem, nostack, preserves_flags));
    };
    page
}

/// The address that the linker script gives `process_page`.
#[inline(always)]
pub fn process_page() -> *const u8 {
    let page;
    // SAFETY: as above.
    unsafe {
        asm!("lea {}, [rip + process_page]", out(reg) page, options(pure, nomem, nostack, preserves_flags));
    };
    page
}

/// Functions that read a field of a page in one instruction. Where a whole call takes a few cycles,
/// computing the page's address first is one too many.
macro_rules! field {
    ($($name:ident: $type:ty = $page:literal, $register:literal, $($option:ident),+;)*) => {
        $(
            #[doc = concat!("The field at `OFFSET` in `", $page, "`.")]
            #[inline(always)]
            pub fn $name<const OFFSET: usize>() -> $type {
                let field;
                // SAFETY: whoever maps the image maps this page, readable, for as long. An aligned
                // load, so it is atomic. Only the process page never changes, and is `pure`.
                unsafe {
                    asm!(
                        concat!("mov {field", $register, "}, [rip + ", $page, " + {offset}]"),
                        field = out(reg) field,
                        offset = const OFFSET,
                        options($($option,)+ nostack, preserves_flags),
                    );
                };
                field
            }
        )*
    };
}

field! {
    own_page_u64: u64 = "own_page", "", readonly;
    process_page_u64: u64 = "process_page", "", pure, readonly;
    process_page_u32: u32 = "process_page", ":e", pure, readonly;
}

/// Selector of the segment whose limit is the kernel's per-CPU word: `__CPUNODE_SEG` in
/// `arch/x86/include/asm/segment.h` (Linux 6.18).
const CPUNODE_SEGMENT: u32 = 0x7b;

/// The kernel's word for the CPU that this runs on: node above 12 bits of CPU.
#[inline(always)]
pub fn cpu_and_node() -> Option<u32> {
    if !pages::has_flags(FLAG_RDPID) {
        return None;
    }
    let word: u64;
    // SAFETY: reads a register that the kernel set up; the CPU has the instruction.
    unsafe { asm!("rdpid {}", out(reg) word, options(nomem, nostack, preserves_flags)) };
    Some(word as u32)
}

/// The same on a CPU without RDPID.
#[inline(always)]
pub fn cpu_and_node_of_segment() -> Option<u32> {
    // A failing LSL leaves its target unchanged, and no CPU has this word.
    let mut word = u32::MAX;
    // SAFETY: reads a segment's limit, or nothing.
    unsafe {
        asm!("lsl {0:e}, {1:e}", inout(reg) word, in(reg) CPUNODE_SEGMENT, options(nomem, nostack));
    };
    (word != u32::MAX).then_some(word)
}

/// Numbers of `arch/x86/entry/syscalls/syscall_64.tbl`.
mod number {
    pub const GETTIMEOFDAY: u64 = 96;
    pub const CLOCK_GETTIME: u64 = 228;
    pub const CLOCK_GETRES: u64 = 229;
    pub const GETCPU: u64 = 309;
}

/// # Safety
/// `ts` may be anything: the kernel checks it.
#[inline(always)]
pub unsafe fn syscall_clock_gettime(id: c_int, ts: *mut Timespec) -> c_int {
    // SAFETY: the kernel writes a timespec to `ts` and nothing else.
    unsafe { syscall(number::CLOCK_GETTIME, id as u64, ts as u64, 0) }
}

/// # Safety
/// `res` may be anything: the kernel checks it.
#[inline(always)]
pub unsafe fn syscall_clock_getres(id: c_int, res: *mut Timespec) -> c_int {
    // SAFETY: as above.
    unsafe { syscall(number::CLOCK_GETRES, id as u64, res as u64, 0) }
}

/// # Safety
/// Both may be anything: the kernel checks them.
#[inline(always)]
pub unsafe fn syscall_gettimeofday(tv: *mut Timeval, tz: *mut c_void) -> c_int {
    // SAFETY: the kernel writes to what is not null and nothing else.
    unsafe { syscall(number::GETTIMEOFDAY, tv as u64, tz as u64, 0) }
}

/// # Safety
/// Both may be anything: the kernel checks them.
#[inline(always)]
pub unsafe fn syscall_getcpu(cpu: *mut u32, node: *mut u32) -> c_int {
    // SAFETY: as above.
    unsafe { syscall(number::GETCPU, cpu as u64, node as u64, 0) }
}

/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
#[inline(always)]
unsafe fn syscall(number: u64, first: u64, second: u64, third: u64) -> c_int {
    let result: u64;
    // SAFETY: the system call convention; the caller answers for the call itself.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    };
    result as c_int
}
