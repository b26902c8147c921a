//! The programs of other ABIs that the same kernel runs: this program, compiled for them.

/// Starts each that is there and waits for it.
pub fn run() {}
