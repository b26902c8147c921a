//! Architectures whose vDSO has no trampolines.

/// There is nothing to be tested.
pub const SIGNALS: Option<super::Signals> = None;

const _: unsafe extern "C" fn(i32, usize, usize) = super::handled;
