//! `errno` belongs to the program: no call changes it, whatever the C library does to it.

#![cfg(all(feature = "libc-auxv", not(miri)))]

use std::ffi::c_ulong;
use std::sync::atomic::{AtomicU32, Ordering};

use vdso_client::auxv::{self, Order, Source};
use vdso_client::{ClockId, clock_gettime};

/// How often it has been asked.
static ASKED: AtomicU32 = AtomicU32::new(0);

/// In the place of the C library's, on a kernel without a vDSO.
#[unsafe(no_mangle)]
extern "C" fn getauxval(_key: c_ulong) -> c_ulong {
    ASKED.fetch_add(1, Ordering::Relaxed);
    set_errno(libc::ENOENT);
    0
}

#[test]
fn a_vector_without_a_vdso_changes_no_errno() {
    let asked = || ASKED.load(Ordering::Relaxed);
    let before = asked();
    set_errno(libc::E2BIG);
    assert_eq!(auxv::vdso_address(Order::of(&[Source::Getauxval])), Some(std::ptr::null()));
    assert_eq!(errno(), libc::E2BIG);
    assert_eq!(asked(), before + 1);
    // The first call looks for the vDSO.
    assert!(clock_gettime(ClockId::REALTIME).is_ok());
    assert_eq!(errno(), libc::E2BIG);
    assert!(asked() > before + 1);
    assert_eq!(clock_gettime(ClockId::from_raw(1234)), Err(vdso_client::Errno::EINVAL));
    assert_eq!(errno(), libc::E2BIG);
}

fn errno() -> i32 {
    // SAFETY: it only gives an address.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: this thread's errno is there.
    unsafe { errno.read() }
}

fn set_errno(value: i32) {
    // SAFETY: as above.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    unsafe { errno.write(value) };
}
