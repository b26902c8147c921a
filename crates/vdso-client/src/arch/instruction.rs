//! System calls by the architecture's own instruction.

use super::NUMBERS;

/// # Safety
/// What the kernel does for `number` with these arguments must be sound.
#[inline]
pub(crate) unsafe fn system_call(number: u32, arguments: [usize; 6]) -> isize {
    // On s390x `mmap` takes the address of its arguments, which stay there until it is done.
    let by_address = [(&raw const arguments).expose_provenance(), 0, 0, 0, 0, 0];
    let is_by_address = cfg!(target_arch = "s390x") && number == NUMBERS.mmap;
    let registers = if is_by_address { by_address } else { arguments };
    let [first, second, third, fourth, fifth, sixth] = registers;
    // SAFETY: the caller answers for the call itself.
    unsafe { vdso_arch::system_call!(number, first, second, third, fourth, fifth, sixth) }
}
