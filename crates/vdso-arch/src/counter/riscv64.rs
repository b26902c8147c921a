//! 64-bit RISC-V: the wall-clock counter.

/// The counter as a `u64`, after all earlier memory accesses and before all later loads.
///
/// The program must be allowed to read the counter, as Linux allows it.
#[macro_export]
macro_rules! counter {
    () => {{
        let cycles: u64;
        ::core::arch::asm!(
            "fence rw, i",
            "rdtime {}",
            "fence i, r",
            out(reg) cycles,
            options(nostack, preserves_flags)
        );
        cycles
    }};
}
