//! 64-bit RISC-V: the wall-clock counter.

use core::arch::asm;

/// Reads it, ordered after every earlier access of memory.
pub fn read() -> u64 {
    let cycles: u64;
    // SAFETY: reads a counter, which Linux lets user mode do. Not `nomem`, so that the compiler, too,
    // keeps memory accesses in place.
    unsafe {
        asm!("fence rw, i", "rdtime {}", "fence i, r", out(reg) cycles, options(nostack, preserves_flags));
    };
    cycles
}

/// The architecture has it run at one rate, the same on all CPUs.
pub fn is_usable() -> bool {
    true
}
