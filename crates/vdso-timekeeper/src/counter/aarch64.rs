//! arm64: the virtual counter.

/// Reads it, ordered after every earlier instruction.
pub fn read() -> u64 {
    // SAFETY: reads a counter, which Linux lets user mode do or does in its place.
    let cycles = unsafe { vdso_arch::counter!() };
    // SAFETY: waits.
    unsafe { vdso_arch::after_counter!() };
    cycles
}

/// The architecture has it run at one rate. Where a CPU has a fault there, Linux does not let its own
/// vDSO read it: the kernel's page tells that, and only such a page is trusted without being asked.
pub fn is_usable() -> bool {
    true
}
