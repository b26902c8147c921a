//! Pages of the kernel's, without a C library.

use core::ptr::{self, NonNull};

use crate::arch::{self, NUMBERS};
use crate::errno::Errno;

/// Source: `include/uapi/asm-generic/mman-common.h`, the same on every architecture that has the
/// function.
pub(crate) const PROT_READ_WRITE: usize = 1 | 2;
/// Source: as above.
pub(crate) const MAP_PRIVATE_ANONYMOUS: usize = 0x02 | 0x20;

/// The smallest page of any machine.
pub(crate) const PAGE_BYTES: usize = 4096;

/// New pages, filled with zeros.
pub(crate) fn map(bytes: usize, protection: usize, flags: usize) -> Option<NonNull<u8>> {
    let no_file = usize::MAX;
    let arguments = [0, bytes, protection, flags, no_file, 0];
    // SAFETY: a new mapping at an address of the kernel's choice.
    let mapped = unsafe { arch::system_call(NUMBERS.mmap, arguments) } as usize;
    // The last page of the address space has error numbers in place of addresses.
    if mapped > PAGE_BYTES.wrapping_neg() {
        return None;
    }
    NonNull::new(ptr::with_exposed_provenance_mut(mapped))
}

/// # Safety
/// The pages must have come from [`map`], with as many bytes, and nobody may know of them any more.
pub(crate) unsafe fn unmap(pages: NonNull<u8>, bytes: usize) {
    let arguments = [pages.as_ptr().expose_provenance(), bytes, 0, 0, 0, 0];
    // SAFETY: the caller's promise.
    unsafe { arch::system_call(NUMBERS.munmap, arguments) };
}

/// New pages that are zeros again in a forked child. Unlike those that may be dropped, they stay.
pub(crate) fn map_wiped_on_fork(bytes: usize) -> Option<NonNull<u8>> {
    /// Linux 4.14. Source: `include/uapi/asm-generic/mman-common.h`, the same on every architecture here.
    const MADV_WIPEONFORK: usize = 18;
    /// There is none of this number: who takes it for done would take the other for done, too, as old
    /// emulators of user programs do.
    const NO_ADVICE: usize = u32::MAX as usize;
    let pages = map(bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS)?;
    let advise = |advice| {
        let arguments = [pages.as_ptr().expose_provenance(), bytes, advice, 0, 0, 0];
        // SAFETY: pages of our own; nothing happens to them in this process.
        Errno::check(unsafe { arch::system_call(NUMBERS.madvise, arguments) })
    };
    if advise(NO_ADVICE).is_ok() || advise(MADV_WIPEONFORK).is_err() {
        // SAFETY: mapped above, and nobody knows of them.
        unsafe { unmap(pages, bytes) };
        return None;
    }
    Some(pages)
}
