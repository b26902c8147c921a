//! 32-bit ARM: the virtual counter.

/// The counter as a `u64`, after all earlier instructions and before all later loads: one of them, from the stack,
/// depends on it.
///
/// The processor must have the counter, and the program must be allowed to read it.
#[macro_export]
macro_rules! counter {
    () => {{
        let (low, high): (u32, u32);
        ::core::arch::asm!(
            "isb",
            "mrrc p15, 1, {low}, {high}, c14",
            "eor {zero}, {low}, {low}",
            "ldr {zero}, [sp, {zero}]",
            low = out(reg) low,
            high = out(reg) high,
            zero = out(reg) _,
            options(nostack, preserves_flags),
        );
        u64::from(high) << 32 | u64::from(low)
    }};
}
