//! An architecture whose counter is not read yet.

/// Always zero.
pub fn read() -> u64 {
    0
}

/// It is not.
pub fn is_usable() -> bool {
    false
}
