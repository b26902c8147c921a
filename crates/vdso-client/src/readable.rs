//! Asks the kernel whether memory can be read, so that a wrong address is an answer and not a fault.
//!
//! Sources: madvise(2), rt_sigprocmask(2); `do_madvise` in `mm/madvise.c` and `rt_sigprocmask` in
//! `kernel/signal.c` (Linux 6.18).

use crate::arch::{self, NUMBERS};
use crate::errno::Errno;
use crate::vdso::PAGE_BYTES;

/// Whether all of these bytes can be read now. `address` must be that of a page, `bytes` whole pages. No
/// if the kernel does not tell, as where a filter forbids to ask.
pub(crate) fn is_readable(address: *const u8, bytes: usize) -> bool {
    let address = address.addr();
    if address.checked_add(bytes).is_none() {
        return false;
    }
    match populate(address, bytes) {
        Ok(_) => true,
        Err(Errno::ENOMEM | Errno::EFAULT) => false,
        Err(_) => (0..bytes).step_by(PAGE_BYTES).all(|offset| is_copied_from(address + offset)),
    }
}

/// Has the kernel prepare pages to be read, which changes nothing that a program could see. Debuggers that
/// check what system calls read do not take it for a read.
fn populate(address: usize, bytes: usize) -> Result<isize, Errno> {
    /// Linux 5.14; `EINVAL` before, and for pages that cannot be read.
    /// Source: `include/uapi/asm-generic/mman-common.h`, the same on every architecture here.
    const MADV_POPULATE_READ: usize = 22;
    let arguments = [address, bytes, MADV_POPULATE_READ, 0, 0, 0];
    // SAFETY: it changes no page's content or rights.
    Errno::check(unsafe { arch::system_call(NUMBERS.madvise, arguments) })
}

/// Whether the kernel can copy a set of signals from there, which it does before it finds that nothing is
/// to be done with the set.
fn is_copied_from(address: usize) -> bool {
    const NOTHING: usize = u32::MAX as usize;
    /// As wide as the kernel's own, or it does not look. Source: `_NSIG` in `asm/signal.h`.
    const SET_BYTES: usize = if cfg!(any(
        target_arch = "mips",
        target_arch = "mips64",
        target_arch = "mips32r6",
        target_arch = "mips64r6"
    )) {
        16
    } else {
        8
    };
    // A null would be no set.
    if address == 0 {
        return false;
    }
    // SAFETY: there is no such thing to do, so no signal is blocked, and no old set is asked for.
    let answer = unsafe {
        arch::system_call(NUMBERS.rt_sigprocmask, [NOTHING, address, 0, SET_BYTES, 0, 0])
    };
    matches!(Errno::check(answer), Ok(_) | Err(Errno::EINVAL))
}

#[cfg(all(test, not(miri)))]
mod tests {
    use std::num::NonZeroUsize;

    use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

    use super::*;

    /// Three pages of which the last cannot be read, and an end behind which nothing is.
    fn with_pages(check: impl FnOnce(usize)) {
        let map = |at: Option<NonZeroUsize>, pages: usize, protection, flags| {
            let bytes = NonZeroUsize::new(pages * PAGE_BYTES).expect("some");
            let flags = MapFlags::MAP_PRIVATE | flags;
            // SAFETY: a new mapping, or over one of our own that nobody refers to.
            unsafe { mmap_anonymous(at, bytes, protection, flags) }.expect("memory")
        };
        let all = map(None, 4, ProtFlags::PROT_READ, MapFlags::empty());
        let start = all.addr();
        let third = start.checked_add(2 * PAGE_BYTES);
        map(third, 1, ProtFlags::PROT_NONE, MapFlags::MAP_FIXED);
        check(start.get());
        // SAFETY: mapped above.
        unsafe { munmap(all, 4 * PAGE_BYTES) }.expect("it is mapped");
    }

    /// Whether either way of asking, alone, says the same.
    fn is_readable_by_both(address: usize, pages: usize) -> bool {
        let bytes = pages * PAGE_BYTES;
        let by_copies =
            (0..bytes).step_by(PAGE_BYTES).all(|offset| is_copied_from(address + offset));
        // Kernels before 5.14 say that of all.
        let populated = populate(address, bytes);
        if populated != Err(Errno::EINVAL) {
            assert_eq!(populated.is_ok(), by_copies, "{populated:?}");
        }
        assert_eq!(is_readable(std::ptr::without_provenance(address), bytes), by_copies);
        by_copies
    }

    #[test]
    fn pages_that_cannot_be_read_are_told() {
        with_pages(|address| {
            assert!(is_readable_by_both(address, 1) && is_readable_by_both(address, 2));
            assert!(!is_readable_by_both(address, 3), "no right to read the last");
            assert!(!is_readable_by_both(address + 2 * PAGE_BYTES, 1));
            assert!(is_readable_by_both(address + 3 * PAGE_BYTES, 1));
        });
        // What the kernel never gives to a program, and what would go beyond the end of all addresses.
        assert!(!is_readable_by_both(0, 1));
        let last = usize::MAX - (PAGE_BYTES - 1);
        assert!(!is_readable(std::ptr::without_provenance(last), PAGE_BYTES));
    }

    #[test]
    fn no_signal_is_blocked_by_asking() {
        let before = nix::sys::signal::SigSet::thread_get_mask().expect("a mask");
        let all = [u8::MAX; 64];
        assert!(is_copied_from(all.as_ptr().addr()));
        assert_eq!(nix::sys::signal::SigSet::thread_get_mask(), Ok(before));
    }
}
