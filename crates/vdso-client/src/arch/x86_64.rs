//! x86-64: ways to read the counter.

use vdso_data::own::Halves;

/// The counter, not before any earlier instruction and load is done: RDTSCP waits for them.
///
/// # Safety
/// The processor must have RDTSCP, and the program must be allowed to read the counter.
#[inline(always)]
pub(crate) unsafe fn counter_halves() -> Halves {
    // SAFETY: the caller's promise.
    let (low, high) = unsafe { vdso_arch::counter_halves!() };
    Halves { low, high }
}

/// The counter, after all earlier instructions and before all later ones, on any processor.
///
/// # Safety
/// The program must be allowed to read the counter.
#[inline(always)]
pub(crate) unsafe fn counter_fenced() -> u64 {
    // SAFETY: the caller's promise.
    unsafe { vdso_arch::counter_fenced!() }
}

/// The counter at any moment that the processor likes: before or after its neighbours.
///
/// # Safety
/// The program must be allowed to read the counter.
#[inline(always)]
pub(crate) unsafe fn counter_halves_unordered() -> Halves {
    // SAFETY: the caller's promise.
    let (low, high) = unsafe { vdso_arch::counter_halves_unordered!() };
    Halves { low, high }
}
