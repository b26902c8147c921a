//! arm64: the virtual counter.

use core::arch::asm;

/// Reads it, ordered after every earlier instruction.
pub fn read() -> u64 {
    let cycles: u64;
    // SAFETY: reads a counter, which Linux lets user mode do or does in its place. Not `nomem`, so
    // that the compiler, too, keeps memory accesses in place.
    unsafe {
        asm!("isb", "mrs {}, cntvct_el0", "isb", out(reg) cycles, options(nostack, preserves_flags));
    };
    cycles
}

/// The architecture has it run at one rate. Where a CPU has a fault there, Linux does not let its own
/// vDSO read it: the kernel's page tells that, and only such a page is trusted without being asked.
pub fn is_usable() -> bool {
    true
}
