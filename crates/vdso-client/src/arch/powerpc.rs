//! PowerPC's vDSO functions, which a C compiler's call would lose the errors of.

use core::ptr::NonNull;

/// Calls a vDSO function. They are plain code, not function descriptors, in every ABI.
///
/// # Safety
/// It must be such a function, it must take arguments of this kind, the first two at most, and
/// what it does with them must be sound.
#[inline]
pub(crate) unsafe fn call(function: NonNull<()>, first: usize, second: usize) -> isize {
    // SAFETY: the caller answers for the call itself.
    unsafe { vdso_arch::powerpc_call!(function.as_ptr(), first, second) }
}

/// The same with five arguments.
///
/// # Safety
/// As for [`call`].
#[inline]
pub(crate) unsafe fn call_with_five(function: NonNull<()>, arguments: [usize; 5]) -> isize {
    let [first, second, third, fourth, fifth] = arguments;
    // SAFETY: the caller answers for the call itself.
    unsafe { vdso_arch::powerpc_call!(function.as_ptr(), first, second, third, fourth, fifth) }
}
