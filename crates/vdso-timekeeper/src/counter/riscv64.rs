//! 64-bit RISC-V: the wall-clock counter.

/// Reads it, ordered after every earlier access of memory.
pub fn read() -> u64 {
    // SAFETY: reads a counter, which Linux lets user mode do.
    unsafe { vdso_arch::counter!() }
}

/// The architecture has it run at one rate, the same on all CPUs.
pub fn is_usable() -> bool {
    true
}
