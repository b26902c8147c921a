//! The macro, with three arguments and with six, on the machine that this runs on.

#![cfg(all(target_os = "linux", not(any(target_arch = "mips", target_arch = "mips64"))))]

use vdso_arch::system_call;
use vdso_arch::system_call::Numbers;

fn numbers() -> &'static Numbers {
    Numbers::CURRENT.expect("a table of this machine")
}

#[test]
fn a_value_comes_back() {
    // SAFETY: takes no arguments, and changes nothing.
    let pid = unsafe { system_call!(numbers().getpid, 0, 0, 0) };
    assert_eq!(pid as u32, std::process::id());
}

#[test]
fn an_error_is_a_negative_number() {
    const NO_FILE: i32 = -1;
    // SAFETY: no such descriptor is open.
    let result = unsafe { system_call!(numbers().close, NO_FILE, 0, 0) };
    assert_eq!(result, -(libc::EBADF as isize));
    // SAFETY: as above.
    let result = unsafe { system_call!(numbers().close, NO_FILE, 0, 0, 0, 0, 0) };
    assert_eq!(result, -(libc::EBADF as isize));
}

/// Of a file that has "sixth" in its second page, of which the sixth argument tells, the fourth that it is this
/// process's own copy, and the fifth which file.
#[cfg(all(target_pointer_width = "64", not(target_arch = "s390x")))]
#[test]
fn all_six_arguments_arrive() {
    use std::io::{Seek, SeekFrom, Write};
    use std::os::fd::AsRawFd;

    const PAGE_BYTES: usize = 64 << 10;
    let mut file = tempfile();
    file.seek(SeekFrom::Start(PAGE_BYTES as u64)).expect("a file of the test's");
    file.write_all(b"sixth").expect("a file of the test's");
    let (fd, protection) = (file.as_raw_fd(), libc::PROT_READ);
    // SAFETY: a new mapping, wherever there is room.
    let mapped = unsafe {
        system_call!(numbers().mmap, 0, PAGE_BYTES, protection, libc::MAP_PRIVATE, fd, PAGE_BYTES)
    };
    assert!(mapped > 0, "{mapped}");
    let start = std::ptr::with_exposed_provenance::<[u8; 5]>(mapped as usize);
    // SAFETY: the mapping just made, which nobody writes to.
    assert_eq!(unsafe { start.read() }, *b"sixth");
    // SAFETY: nothing refers to it any more.
    assert_eq!(unsafe { system_call!(numbers().munmap, mapped, PAGE_BYTES, 0) }, 0);
}

#[cfg(all(target_pointer_width = "64", not(target_arch = "s390x")))]
fn tempfile() -> std::fs::File {
    use std::os::fd::FromRawFd;
    // SAFETY: makes a descriptor of its own.
    let fd = unsafe { libc::memfd_create(c"six".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: just made, and nobody else's.
    unsafe { std::fs::File::from_raw_fd(fd) }
}
