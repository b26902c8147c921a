//! System calls on PowerPC by their number. The crate `syscalls` 0.8 does not say that the kernel changes
//! CTR, in which the compiler counts loops, and XER.
//!
//! Source: `Documentation/arch/powerpc/syscall64-abi.rst` (Linux 6.18).

use core::arch::asm;

use super::Errno;

/// A call by its number.
///
/// # Safety
/// What the kernel does for it with these arguments must be sound.
pub unsafe fn raw(number: usize, arguments: [usize; 6]) -> Result<usize, Errno> {
    /// SO of field 0, as `mfcr` gives the condition register.
    const SUMMARY_OVERFLOW: usize = 1 << 28;
    let [first, second, third, fourth, fifth, sixth] = arguments;
    let (value, condition): (usize, usize);
    // SAFETY: the system call convention; the caller answers for the call itself.
    unsafe {
        asm!(
            "sc",
            "mfcr 0",
            inlateout("r0") number => condition,
            inlateout("r3") first => value,
            inlateout("r4") second => _,
            inlateout("r5") third => _,
            inlateout("r6") fourth => _,
            inlateout("r7") fifth => _,
            inlateout("r8") sixth => _,
            lateout("r9") _,
            lateout("r10") _,
            lateout("r11") _,
            lateout("r12") _,
            lateout("cr0") _,
            lateout("cr1") _,
            lateout("cr5") _,
            lateout("cr6") _,
            lateout("cr7") _,
            lateout("ctr") _,
            lateout("xer") _,
            options(nostack),
        );
    }
    if condition & SUMMARY_OVERFLOW == 0 { Ok(value) } else { Err(Errno::new(value as i32)) }
}
