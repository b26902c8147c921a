//! 64-bit PowerPC: the time base.

/// The counter as a `u64`, after all earlier instructions and before all later ones.
///
/// The program must be allowed to read the counter, as Linux allows it.
#[macro_export]
macro_rules! counter {
    () => {{
        let cycles: u64;
        ::core::arch::asm!(
            "isync",
            "mfspr {}, 268",
            "isync",
            out(reg) cycles,
            options(nostack, preserves_flags)
        );
        cycles
    }};
}
