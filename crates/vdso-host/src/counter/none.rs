//! An architecture whose counter is not read yet.

/// None.
pub const CLOCKSOURCE: &str = "";

/// There are none.
pub fn image_flags() -> u32 {
    0
}
