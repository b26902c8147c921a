//! 64-bit RISC-V: the wall-clock counter.

/// What the kernel calls it.
pub const CLOCKSOURCE: &str = "riscv_clocksource";

/// There are none.
pub fn image_flags() -> u32 {
    0
}
