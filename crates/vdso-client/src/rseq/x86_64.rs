//! x86-64: where the C library has its registration, and a restartable sequence.

use core::arch::asm;
use core::ptr;
use core::sync::atomic::AtomicU64;

use super::Area;

/// The address of a symbol that need not be there; null then.
macro_rules! weak_symbol {
    ($name:literal) => {{
        let address: usize;
        // SAFETY: a load from the table of addresses, which does not change once the program runs.
        unsafe {
            asm!(
                concat!(".weak ", $name),
                concat!("mov {}, qword ptr [rip + ", $name, "@GOTPCREL]"),
                out(reg) address,
                options(pure, nomem, nostack, preserves_flags),
            )
        };
        address
    }};
}

/// The address of glibc's `__rseq_size`; null without such a C library.
#[inline(always)]
pub fn size_addr() -> usize {
    weak_symbol!("__rseq_size")
}

/// The address of glibc's `__rseq_offset`, likewise.
#[inline(always)]
pub fn offset_addr() -> usize {
    weak_symbol!("__rseq_offset")
}

/// The thread's own address, which offsets of its memory count from.
#[inline(always)]
pub fn thread_addr() -> Option<usize> {
    let thread: usize;
    // SAFETY: the first word of a thread's control block is its own address.
    unsafe {
        asm!("mov {}, qword ptr fs:[0]", out(reg) thread, options(readonly, nostack, preserves_flags))
    };
    Some(thread)
}

/// Adds to a word that threads on `cpu` alone write; false if this thread is elsewhere, or was interrupted before it could.
///
/// The kernel looks at `rseq_cs` whenever it interrupts the thread: between the labels 2 and 3 it goes on at 5, behind the
/// signature, and not where it was. The addition is the last instruction, and is done or not. `rseq_cs` is cleared at the
/// end, as a library may be gone by the time the kernel looks at it next.
///
/// # Safety
/// `area` must be this thread's.
#[inline(always)]
pub unsafe fn add_on(area: &Area, cpu: u32, word: &AtomicU64, amount: u64) -> bool {
    let added: u32;
    // SAFETY: writes to `area`, which is this thread's, and to `word`; what it leaves by the kernel's hand it enters
    // again at 5, with all registers as they were.
    unsafe {
        asm!(
            ".pushsection __rseq_cs, \"aw\", @progbits",
            ".balign 32",
            // version, flags, start_ip, post_commit_offset, abort_ip
            "6:",
            ".long 0, 0",
            ".quad 2f, 3f - 2f, 5f",
            ".popsection",
            ".pushsection __rseq_cs_ptr_array, \"aw\", @progbits",
            ".quad 6b",
            ".popsection",
            "xor {added:e}, {added:e}",
            "lea {sequence}, [rip + 6b]",
            "mov qword ptr [{area} + 8], {sequence}",
            "2:",
            "cmp dword ptr [{area} + 4], {cpu:e}",
            "jne 4f",
            "add qword ptr [{word}], {amount}",
            "3:",
            "inc {added:e}",
            "4:",
            "mov qword ptr [{area} + 8], 0",
            ".pushsection __rseq_failure, \"ax\", @progbits",
            // An instruction that is none (ud1), with the signature as its operand.
            ".byte 0x0f, 0xb9, 0x3d",
            ".long {signature}",
            "5:",
            "jmp 4b",
            ".popsection",
            area = in(reg) ptr::from_ref(area),
            cpu = in(reg) cpu,
            word = in(reg) word.as_ptr(),
            amount = in(reg) amount,
            sequence = out(reg) _,
            added = out(reg) added,
            signature = const super::SIGNATURE,
            options(nostack),
        )
    };
    added != 0
}
