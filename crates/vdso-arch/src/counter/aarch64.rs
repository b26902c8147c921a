//! arm64: the virtual counter.

/// The counter as a `u64`, after all earlier instructions.
///
/// The program must be allowed to read the counter, as Linux allows it or does it in the program's place.
#[macro_export]
macro_rules! counter {
    () => {{
        let cycles: u64;
        ::core::arch::asm!(
            "isb",
            "mrs {}, cntvct_el0",
            out(reg) cycles,
            options(nostack, preserves_flags)
        );
        cycles
    }};
}

/// The counter as a `u64`, by the register that is read in order by itself, CNTVCTSS.
///
/// The processor must have that register (FEAT_ECV), and the program must be allowed to read it.
#[macro_export]
macro_rules! counter_self_synchronized {
    () => {{
        let cycles: u64;
        ::core::arch::asm!(
            "mrs {}, s3_3_c14_c0_6",
            out(reg) cycles,
            options(nostack, preserves_flags)
        );
        cycles
    }};
}

/// Keeps later instructions behind an earlier read of the counter, by a barrier.
#[macro_export]
macro_rules! after_counter {
    () => {
        ::core::arch::asm!("isb", options(nostack, preserves_flags))
    };
}

/// Keeps later loads behind the read of the counter that gave this value, by a load from the stack that depends
/// on it.
#[macro_export]
macro_rules! after_counter_value {
    ($cycles:expr) => {
        ::core::arch::asm!(
            "eor {zero}, {cycles}, {cycles}",
            "add {zero}, sp, {zero}",
            "ldr xzr, [{zero}]",
            cycles = in(reg) $cycles,
            zero = out(reg) _,
            options(nostack, preserves_flags),
        )
    };
}
