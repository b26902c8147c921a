//! An architecture whose counter is not read yet.

/// None.
pub const CLOCKSOURCE: &str = "";

/// Always zero.
pub fn read() -> u64 {
    0
}

/// It is not.
pub fn is_usable() -> bool {
    false
}

/// There are none.
pub fn image_flags() -> u32 {
    0
}
