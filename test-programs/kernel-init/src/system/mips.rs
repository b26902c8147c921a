//! System calls on mips, O32 and n64, by their number. The crate `syscalls` 0.8 does not say that the
//! kernel changes `$1`, `$3`, HI and LO, and the compiler keeps values in them.
//!
//! Sources: syscall(2); `SAVE_SOME` in `arch/mips/include/asm/stackframe.h` (Linux 6.1). Inline assembly
//! knows neither `$1` nor HI and LO, so they are kept here.

use core::arch::asm;

use super::Errno;

/// A call by its number.
///
/// # Safety
/// What the kernel does for it with these arguments must be sound.
pub unsafe fn raw(number: usize, arguments: [usize; 6]) -> Result<usize, Errno> {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    let (value, is_error): (usize, usize);
    // SAFETY: the system call convention; the caller answers for the call itself. What the kernel
    // preserves holds what the compiler does not know of, and the stack pointer comes back.
    unsafe {
        asm!(
            ".set push",
            ".set noat",
            "move $16, $1",
            "mfhi $17",
            "mflo $18",
            #[cfg(target_arch = "mips")]
            "addiu $sp, $sp, -32",
            #[cfg(target_arch = "mips")]
            "sw $8, 16($sp)",
            #[cfg(target_arch = "mips")]
            "sw $9, 20($sp)",
            "syscall",
            #[cfg(target_arch = "mips")]
            "addiu $sp, $sp, 32",
            "mthi $17",
            "mtlo $18",
            "move $1, $16",
            ".set pop",
            inlateout("$2") number => value,
            lateout("$3") _,
            in("$4") first,
            in("$5") second,
            in("$6") third,
            inlateout("$7") fourth => is_error,
            inlateout("$8") fifth => _,
            inlateout("$9") sixth => _,
            lateout("$10") _,
            lateout("$11") _,
            lateout("$12") _,
            lateout("$13") _,
            lateout("$14") _,
            lateout("$15") _,
            out("$16") _,
            out("$17") _,
            out("$18") _,
            lateout("$24") _,
            lateout("$25") _,
        );
    }
    if is_error == 0 { Ok(value) } else { Err(Errno::new(value as i32)) }
}
