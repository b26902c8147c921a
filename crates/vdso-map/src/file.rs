//! The file that is mapped: an image, a page of clocks, room for a process page, and a page for whoever maps
//! it, which programs do not keep. The image comes first, so that tools which know ELF
//! files know this one. Behind all that is room for the same with the image of the architecture's twin,
//! if it has one (x32 on x86-64): programs of that kind map this part, but the first part's page of clocks.
//!
//! It lives in memory (`memfd_create`), so a full, read-only or `noexec` file system is no obstacle,
//! and it is a file, so uprobes work on it and all processes share the page of clocks. It is sealed:
//! nobody who gets hold of the descriptor can write to it, only the mapping made here can.

use std::ffi::CString;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::slice;
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::resource::{Resource, getrlimit};
use vdso_data::PAGE_BYTES;
use vdso_data::architecture::Architecture;
use vdso_data::own::OwnPage;

use crate::error::{Attempt, Error, Result};

/// An image with its pages, ready to be mapped anywhere.
#[derive(Clone, Debug)]
pub struct ImageFile {
    shared: Arc<SharedFile>,
    /// Where in the file the image is.
    start: usize,
    entry: u64,
    architecture: &'static Architecture,
}

/// By which a file is known as this one and no other, as `fstat` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Identity {
    /// `st_dev`: the device that the file is on.
    pub device: u64,
    /// `st_ino`: the number of the file there.
    pub inode: u64,
    /// `st_size`: how long the file is.
    pub bytes: u64,
}

/// The file, and this process's mapping of it.
#[derive(Debug)]
struct SharedFile {
    file: OwnedFd,
    identity: Identity,
    mapping: NonNull<u8>,
    bytes: NonZeroUsize,
    /// Held while a part that is written late is looked at, or written.
    late: Mutex<()>,
}

// SAFETY: the mapping belongs to this value alone, and all access to it is by the page's atomics, but for
// images and tails: each is written once, before anybody else has the file, or under the lock and only where
// nothing is; and no program is told of one before.
unsafe impl Send for SharedFile {}
// SAFETY: as above.
unsafe impl Sync for SharedFile {}

impl ImageFile {
    /// Makes a file of `image`, one for this architecture, under `name`, which `/proc/PID/maps` shows, with a
    /// fresh page of clocks behind it.
    ///
    /// # Errors
    /// A name with a zero byte, or one that is too long; bytes that are no image, or too many.
    pub fn create(name: &str, image: &[u8]) -> Result<Self> {
        Self::create_with_tail(name, image, &[])
    }

    /// The same with up to a page of bytes behind all that a program keeps: see
    /// [`tail_offset`](Self::tail_offset).
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_with_tail(name: &str, image: &[u8], tail: &[u8]) -> Result<Self> {
        let architecture = vdso_image::ARCHITECTURE;
        let shared = SharedFile::create(architecture, name)?;
        let file = Self::write(shared, 0, architecture, image, tail)?;
        seal(&file.shared.file)?;
        Ok(file)
    }

    /// The same file with `image`, that of the architecture's twin, and a tail for that. Programs may be
    /// running on what is there already, from an earlier call or from the process that this one succeeds:
    /// then it must be the same.
    ///
    /// # Errors
    /// [`Error::Architecture`] if there is no twin; others as of [`create`](Self::create).
    pub fn twin(&self, image: &[u8], tail: &[u8]) -> Result<Self> {
        let twin = self.architecture.twin.and_then(Architecture::named);
        let twin = twin.ok_or(Error::Architecture)?;
        Self::fill(&self.shared, part_bytes(self.architecture), twin, image, tail)
    }

    /// Writes an image to a part of the file where nothing is, or the same.
    fn fill(
        shared: &Arc<SharedFile>,
        start: usize,
        architecture: &'static Architecture,
        image: &[u8],
        tail: &[u8],
    ) -> Result<Self> {
        // A panic in between leaves nothing that the comparison does not see.
        let _lock = shared.late.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the mapping reaches to the end of this part, and nobody writes there but who has the lock.
        let place = unsafe { shared.mapping.add(start) };
        // SAFETY: as above; every part has room for an image.
        let there = unsafe { slice::from_raw_parts(place.as_ptr(), architecture.own_page()) };
        let (there, rest) = there.split_at(image.len().min(there.len()));
        let is_empty = there.iter().chain(rest).all(|&byte| byte == 0);
        if !is_empty && there != image {
            return Err(failed(Errno::EEXIST));
        }
        Self::write(Arc::clone(shared), start, architecture, image, tail)
    }

    /// Writes an image and a tail to their part of the file.
    fn write(
        shared: Arc<SharedFile>,
        start: usize,
        architecture: &'static Architecture,
        image: &[u8],
        tail: &[u8],
    ) -> Result<Self> {
        let entry = vdso_elf::Image::parse(image).map_err(Error::Image)?.entry();
        let end = start + part_bytes(architecture);
        if image.len() > architecture.own_page()
            || tail.len() > PAGE_BYTES
            || end > shared.bytes.get()
        {
            return Err(failed(Errno::EFBIG));
        }
        for (at, content) in [(vdso_image::IMAGE, image), (tail_offset(architecture), tail)] {
            // SAFETY: the mapping reaches to `end`, which has room for both.
            let destination = unsafe { shared.mapping.as_ptr().add(start + at) };
            // SAFETY: as below.
            if unsafe { slice::from_raw_parts(destination, content.len()) } == content {
                continue;
            }
            // SAFETY: source and destination are valid for the length and do not overlap.
            unsafe { destination.copy_from_nonoverlapping(content.as_ptr(), content.len()) };
        }
        Ok(Self { shared, start, entry, architecture })
    }

    /// The page of clocks, to be published.
    pub fn page(&self) -> &OwnPage {
        // SAFETY: `create` has written a page there; it is mapped until drop, and is all atomics.
        unsafe { self.own_page().as_ref() }
    }

    /// Size of a mapping of the image and all that belongs to it, the tail at the end included.
    pub fn mapping_bytes(&self) -> usize {
        mapping_bytes(self.architecture)
    }

    /// Where in the file such a mapping begins.
    pub fn offset(&self) -> u64 {
        self.start as u64
    }

    /// The file's. The parts of one file have the same.
    pub fn identity(&self) -> Identity {
        self.shared.identity
    }

    /// Whether the two are in one file.
    pub fn is_in_file_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The first part's: there is one in a file.
    fn own_page(&self) -> NonNull<OwnPage> {
        let offset = self.architecture.own_page();
        self.shared.mapping.map_addr(|start| start.saturating_add(offset)).cast()
    }

    /// Where in such a mapping the tail is: a page for whoever maps it, which a program need not keep.
    pub fn tail_offset(&self) -> u64 {
        tail_offset(self.architecture) as u64
    }

    /// Where in the image an exported function is.
    pub fn function(&self, name: &str) -> Option<u64> {
        // SAFETY: the mapping reaches to the part's end, and an image that is there does not change.
        let image = unsafe { self.shared.mapping.add(self.start + vdso_image::IMAGE) };
        let bytes = self.architecture.own_page() - vdso_image::IMAGE;
        // SAFETY: as above.
        let image = unsafe { slice::from_raw_parts(image.as_ptr(), bytes) };
        vdso_elf::Image::parse(image).ok()?.lookup(name, None).map(|symbol| symbol.value)
    }

    /// Whose programs it is for.
    pub fn architecture(&self) -> &'static Architecture {
        self.architecture
    }

    /// The image's entry point: the last step of injection.
    pub fn entry(&self) -> u64 {
        self.entry
    }
}

/// A file for an image that is not known yet: made before the processes that may come to know it, so that
/// all of them have the same one.
#[derive(Clone, Debug)]
pub struct ImageRoom {
    shared: Arc<SharedFile>,
    architecture: &'static Architecture,
}

impl ImageRoom {
    /// Room for an image of that architecture, with a fresh page of clocks.
    ///
    /// # Errors
    /// As of [`ImageFile::create`].
    pub fn create(architecture: &'static Architecture, name: &str) -> Result<Self> {
        let shared = SharedFile::create(architecture, name)?;
        seal(&shared.file)?;
        Ok(Self { shared, architecture })
    }

    /// The file with `image`, and a tail. If there is an image already, it must be the same.
    ///
    /// # Errors
    /// As of [`ImageFile::create`].
    pub fn fill(&self, image: &[u8], tail: &[u8]) -> Result<ImageFile> {
        ImageFile::fill(&self.shared, 0, self.architecture, image, tail)
    }
}

impl AsFd for ImageRoom {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.file.as_fd()
    }
}

impl SharedFile {
    fn create(architecture: &Architecture, name: &str) -> Result<Arc<Self>> {
        let parts = if architecture.twin.is_some() { 2 } else { 1 };
        let bytes = NonZeroUsize::new(parts * part_bytes(architecture)).expect("not empty");
        let name = CString::new(name).map_err(|_| failed(Errno::EINVAL))?;
        let file =
            memfd_create(name.as_c_str(), MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)
                .map_err(failed)?;
        // A signal would end this process where a file may not grow as far.
        let limit = getrlimit(Resource::RLIMIT_FSIZE).map_err(failed)?.0;
        if limit < bytes.get() as u64 {
            return Err(failed(Errno::EFBIG));
        }
        nix::unistd::ftruncate(&file, bytes.get() as libc::off_t).map_err(failed)?;
        let identity = identity(&file)?;
        let mapping = map_writable(&file, bytes)?;
        let shared = Self { file, identity, mapping, bytes, late: Mutex::new(()) };
        let page = mapping.map_addr(|start| start.saturating_add(architecture.own_page()));
        // SAFETY: that page of the mapping is aligned and big enough; nobody else has it.
        unsafe { page.cast::<OwnPage>().write(OwnPage::new()) };
        Ok(Arc::new(shared))
    }
}

impl AsFd for ImageFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.file.as_fd()
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        // SAFETY: mapped by `create` with this length, and no reference outlives `self`.
        let _ = unsafe { munmap(self.mapping.cast(), self.bytes.get()) };
    }
}

pub(crate) fn failed(errno: Errno) -> Error {
    Error::System { attempt: Attempt::CreateFile, errno }
}

/// Behind all that a program keeps.
fn tail_offset(architecture: &Architecture) -> usize {
    architecture.mapping_bytes()
}

/// An image and what belongs to it.
fn mapping_bytes(architecture: &Architecture) -> usize {
    tail_offset(architecture) + PAGE_BYTES
}

/// The part of the file for that. A twin's is as long.
fn part_bytes(architecture: &Architecture) -> usize {
    mapping_bytes(architecture).next_multiple_of(architecture.page_bytes)
}

pub(crate) fn identity(file: &OwnedFd) -> Result<Identity> {
    let status = nix::sys::stat::fstat(file).map_err(failed)?;
    Ok(Identity { device: status.st_dev, inode: status.st_ino, bytes: status.st_size as u64 })
}

pub(crate) fn map_writable(file: &OwnedFd, bytes: NonZeroUsize) -> Result<NonNull<u8>> {
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice.
    unsafe { mmap(None, bytes, protection, MapFlags::MAP_SHARED, file, 0) }
        .map(NonNull::cast)
        .map_err(|errno| Error::System { attempt: Attempt::Map, errno })
}

/// No other size, and no new way to write: the mapping that exists stays writable.
fn seal(file: &OwnedFd) -> Result<()> {
    const F_SEAL_FUTURE_WRITE: libc::c_int = 0x10;
    let seals = SealFlag::F_SEAL_SHRINK.bits() | SealFlag::F_SEAL_GROW.bits();
    let seals = SealFlag::from_bits_retain(seals | F_SEAL_FUTURE_WRITE | libc::F_SEAL_SEAL);
    fcntl(file, FcntlArg::F_ADD_SEALS(seals)).map(drop).map_err(failed)
}
