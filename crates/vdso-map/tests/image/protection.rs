//! What a program can do to its mapping, and whoever has the descriptor to the file: read it.

use std::fs;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::mman::{MRemapFlags, MapFlags, ProtFlags, mmap, mprotect, mremap};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use nix::unistd::{ftruncate, write};
use vdso_data::PAGE_BYTES;
use vdso_data::arithmetic::{Rate, Timespec, Transform};
use vdso_data::{clock, latch};
use vdso_image::{IMAGE, OWN_PAGE, PROCESS_PAGE, Source};
use vdso_map::{Error, ImageFile};

use super::support::*;

fn mapped() -> Mapped {
    Mapped::new(Source::Chain, &offset_by(seconds(5)))
}

fn start(mapped: &Mapped) -> usize {
    mapped.image.image_addr() - IMAGE
}

const REGIONS: [(&str, usize, &str); 3] = [
    ("page of clocks", OWN_PAGE, "r--s"),
    ("process page", PROCESS_PAGE, "r--p"),
    ("image", IMAGE, "r-xp"),
];

/// Writes what is there to where it is.
fn write_to(addr: usize) {
    let byte = addr as *mut u8;
    // SAFETY: readable, by the tests below.
    let value = unsafe { byte.read_volatile() };
    // SAFETY: nothing is said of what is not writable; this is to end the process.
    unsafe { byte.write_volatile(value) };
}

#[test]
fn no_region_can_be_written() {
    let mapped = mapped();
    for (name, offset, _) in REGIONS {
        for within in [0, 64, PAGE_BYTES - 1] {
            let status = in_child(|| write_to(start(&mapped) + offset + within));
            let is_fault = matches!(status, WaitStatus::Signaled(_, Signal::SIGSEGV, _));
            assert!(is_fault, "a write to the {name} at {within}: {status:?}");
        }
    }
    // The check itself: the harness's own memory is another matter.
    let mut ours = 0u8;
    assert_good(in_child(|| write_to(ptr::from_mut(&mut ours).addr())));
}

#[test]
fn regions_are_mapped_as_they_are_documented() {
    let mapped = mapped();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    for (name, offset, protection) in REGIONS {
        let addr = format!("{:x}-", start(&mapped) + offset);
        let line = maps.lines().find(|line| line.starts_with(&addr));
        let line = line.unwrap_or_else(|| panic!("no mapping of the {name} at {addr}"));
        assert_eq!(line.split(' ').nth(1), Some(protection), "{name}: {line}");
        let is_file = line.contains("/memfd:chain");
        assert_eq!(is_file, offset != PROCESS_PAGE, "{name}: {line}");
    }
}

/// Not even with `mprotect` does the shared page become writable: the seal takes that right away.
#[test]
fn the_page_of_clocks_stays_read_only() {
    let mapped = mapped();
    let page = ptr::NonNull::new((start(&mapped) + OWN_PAGE) as *mut _).unwrap();
    let writable = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: fails, or else the test does.
    assert_eq!(unsafe { mprotect(page, PAGE_BYTES, writable) }, Err(Errno::EACCES));
    // A second mapping of the same is no way either.
    // SAFETY: makes another mapping of the same page, at an address of the kernel's choice.
    let copy = unsafe { mremap(page, 0, PAGE_BYTES, MRemapFlags::MREMAP_MAYMOVE, None) }.unwrap();
    // SAFETY: fails, or else the test does.
    assert_eq!(unsafe { mprotect(copy, PAGE_BYTES, writable) }, Err(Errno::EACCES));
    // SAFETY: our own mapping, to which there is no reference.
    unsafe { nix::sys::mman::munmap(copy, PAGE_BYTES) }.unwrap();
}

#[test]
fn the_file_is_sealed() {
    let mapped = mapped();
    let fd = mapped.file.as_fd();
    // With room for a twin's image.
    let bytes = nix::sys::stat::fstat(fd).unwrap().st_size;
    assert!(bytes >= mapped.file.mapping_bytes() as i64);
    assert_eq!(write(fd, b"x"), Err(Errno::EPERM));
    assert_eq!(nix::sys::uio::pwrite(fd, b"x", 0), Err(Errno::EPERM));
    assert_eq!(ftruncate(fd, 0), Err(Errno::EPERM));
    assert_eq!(ftruncate(fd, bytes - 1), Err(Errno::EPERM));
    assert_eq!(ftruncate(fd, bytes + 1), Err(Errno::EPERM));
    let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    assert_eq!(fallocate(fd, hole, 0, PAGE_BYTES as i64), Err(Errno::EPERM));
    assert_eq!(fallocate(fd, FallocateFlags::empty(), bytes, 4096), Err(Errno::EPERM));
    let writable = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let page = NonZeroUsize::new(PAGE_BYTES).unwrap();
    // SAFETY: fails, or else the test does.
    let shared = unsafe { mmap(None, page, writable, MapFlags::MAP_SHARED, fd, 0) };
    assert_eq!(shared.map(drop), Err(Errno::EPERM));
    // The seals are for good.
    let seals = SealFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GET_SEALS).unwrap());
    let all = SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
    assert!(seals.contains(all), "{seals:?}");
    assert_eq!(fcntl(fd, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE)), Err(Errno::EPERM));
}

/// Opened again by its path, as a program with the same user may.
#[test]
fn the_file_is_sealed_for_whoever_opens_it_again() {
    let mapped = mapped();
    let path = format!("/proc/self/fd/{}", mapped.file.as_fd().as_raw_fd());
    let again = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    assert_eq!(write(&again, b"x"), Err(Errno::EPERM));
    assert_eq!(ftruncate(&again, 0), Err(Errno::EPERM));
    let emptied = fs::OpenOptions::new().write(true).truncate(true).open(&path);
    assert_eq!(emptied.unwrap_err().raw_os_error(), Some(Errno::EPERM as i32));
    let writable = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let page = NonZeroUsize::new(PAGE_BYTES).unwrap();
    // SAFETY: fails, or else the test does.
    let shared = unsafe { mmap(None, page, writable, MapFlags::MAP_SHARED, &again, 0) };
    assert_eq!(shared.map(drop), Err(Errno::EPERM));
    let now = mapped.functions().read(clock::MONOTONIC);
    assert!(now >= kernels(clock::MONOTONIC), "the image is as it was");
}

/// The one mapping that was made before the seal still publishes.
#[test]
fn the_publisher_still_writes() {
    let mapped = mapped();
    let page = mapped.page();
    let zero = Timespec::default();
    let transform = Transform { offset: seconds(77), base: zero, rate: Rate::ZERO };
    latch::write(&page.header.seq, |_, spare| {
        for line in page.copy(spare) {
            line.store_transform(&transform);
        }
    });
    page.store_seconds_offsets(&[transform; clock::LINES]);
    for id in PAGE_CLOCKS {
        assert_eq!(mapped.functions().read(id), seconds(77), "clock {id}");
    }
}

/// Nothing is left behind by a mapping that is dropped.
#[test]
fn a_dropped_image_leaves_nothing() {
    let mapped = mapped();
    let addr = format!("{:x}-", start(&mapped));
    let is_there = || {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().any(|line| line.starts_with(&addr) && line.contains("/memfd:chain"))
    };
    assert!(is_there());
    drop(mapped);
    assert!(!is_there());
}

/// Programs may run on the second image of a file already.
#[test]
fn a_twin_is_written_once() {
    let image = |source| vdso_image::bytes(source);
    let file = ImageFile::create("twin", image(Source::Own)).unwrap();
    if file.architecture().twin.is_none() {
        return test_support::skip(
            test_support::Lacking::Kernel,
            "a_twin_is_written_once",
            "this architecture has one kind of programs to a file",
        );
    }
    let twin = file.twin(image(Source::Host), &[]).unwrap();
    assert!(twin.is_in_file_of(&file) && twin.offset() > 0);
    file.twin(image(Source::Host), &[]).expect("the same again");
    for other in [Source::Own, Source::Chain] {
        let error = file.twin(image(other), &[]).expect_err("programs run on another");
        assert!(matches!(error, Error::System { errno: Errno::EEXIST, .. }), "{error}");
    }
}
