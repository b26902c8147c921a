//! `/proc`, which may be that of another pid namespace, and then tells of other processes.

/// Whether it has the ids that this process sees.
pub fn is_ours() -> bool {
    std::fs::read_link("/proc/self")
        .is_ok_and(|id| id.to_str().and_then(|id| id.parse().ok()) == Some(std::process::id()))
}
