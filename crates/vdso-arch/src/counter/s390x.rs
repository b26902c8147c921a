//! IBM Z: the time-of-day clock.

/// Stores the counter, after all earlier instructions and before all later ones, to a `*mut u64`, which must be
/// writable: no instruction reads it into a register. STORE CLOCK FAST waits for nothing, so the processor is
/// serialised on both sides.
#[macro_export]
macro_rules! store_counter {
    ($place:expr) => {
        ::core::arch::asm!(
            "bcr 15, 0",
            "stckf 0({})",
            "bcr 15, 0",
            in(reg_addr) $place,
            options(nostack)
        )
    };
}
