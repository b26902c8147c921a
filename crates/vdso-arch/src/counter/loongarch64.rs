//! 64-bit LoongArch: the stable counter.

/// The counter as a `u64`, after all earlier memory accesses and before all later ones.
///
/// The program must be allowed to read the counter, as Linux allows it.
#[macro_export]
macro_rules! counter {
    () => {{
        let cycles: u64;
        ::core::arch::asm!(
            "dbar 0",
            "rdtime.d {}, $zero",
            "dbar 0",
            out(reg) cycles,
            options(nostack, preserves_flags)
        );
        cycles
    }};
}
