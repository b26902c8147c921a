//! Atomics and fences, from `core` or, under `--cfg loom`, from the loom model checker.
//!
//! The two fences have names so that the model check can take either away and show that it is
//! missed: `cargo xtask loom` does that with `--cfg without_reader_fence` and
//! `--cfg without_writer_fence`.

#[cfg(all(not(loom), target_has_atomic = "64"))]
pub use core::sync::atomic::AtomicU64;
#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicU8, AtomicU32, Ordering, fence};
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

/// Keeps a reader's loads of data before its re-load of the sequence number.
///
/// Pairs with [`writer_fence`]: whoever saw data stored after that fence sees, after this one, the
/// sequence number stored before it. A `load(Acquire)` of the number would not do, as it orders
/// only what follows it.
#[inline(always)]
pub fn reader_fence() {
    #[cfg(not(without_reader_fence))]
    fence(Ordering::Acquire);
}

/// Keeps a writer's store of the sequence number before its stores of data.
///
/// Pairs with [`reader_fence`].
#[inline(always)]
pub fn writer_fence() {
    #[cfg(not(without_writer_fence))]
    fence(Ordering::Release);
}

/// Tells the processor that this is a spin loop; lets loom run the thread that is waited for.
#[inline(always)]
pub fn spin_hint() {
    #[cfg(not(loom))]
    core::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}
