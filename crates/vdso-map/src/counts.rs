//! The memory in which images count: a file in memory that all programs of a launch map, and its maker reads.
//!
//! Programs can write to it whatever they like, so what is read here is numbers and no more.

use std::ffi::CString;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::munmap;
use vdso_data::counts::{Block, COUNTS_BYTES, Counts, TABLE_BYTES};
use vdso_data::sync::Ordering;

use crate::error::Result;
use crate::file::{Identity, failed, identity, map_writable};

/// The counts of one launch. Nobody else can open them: the file has no name, and lasts as long as somebody has it.
#[derive(Debug)]
pub struct CountsFile {
    file: OwnedFd,
    identity: Identity,
    mapping: NonNull<Counts>,
}

// SAFETY: the mapping belongs to this value, and all that is in it is atomics.
unsafe impl Send for CountsFile {}
// SAFETY: as above.
unsafe impl Sync for CountsFile {}

impl CountsFile {
    /// A file of counts, all of them zero, under `name`, which `/proc/PID/maps` shows. Programs find the same counts for as
    /// long as one of them has the file: it can be neither shortened nor made longer.
    ///
    /// # Errors
    /// A name with a zero byte, or the system's.
    pub fn create(name: &str) -> Result<Self> {
        let name = CString::new(name).map_err(|_| failed(nix::errno::Errno::EINVAL))?;
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let file = memfd_create(name.as_c_str(), flags).map_err(failed)?;
        nix::unistd::ftruncate(&file, COUNTS_BYTES as libc::off_t).map_err(failed)?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).map_err(failed)?;
        let identity = identity(&file)?;
        let bytes = NonZeroUsize::new(COUNTS_BYTES).expect("not empty");
        let mapping = map_writable(&file, bytes)?.cast();
        Ok(Self { file, identity, mapping })
    }

    /// The counts, as they are now.
    pub fn counts(&self) -> &Counts {
        // SAFETY: the file is as long, mapped until drop, and all of it is atomics, for which any bytes will do.
        unsafe { self.mapping.as_ref() }
    }

    /// The blocks that threads have taken, and how many more wanted one.
    pub fn taken(&self) -> (&[Block], u64) {
        let counts = self.counts();
        // Relaxed: the blocks' numbers stand for themselves.
        let wanted = counts.next.load(Ordering::Relaxed);
        let taken = usize::try_from(wanted).unwrap_or(usize::MAX).min(counts.blocks.len());
        (&counts.blocks[..taken], wanted - taken as u64)
    }

    /// Has whoever takes a block from now on leave the kernel alone: its filter might refuse a call, or kill for it.
    pub fn silence(&self) {
        // Relaxed: a program is told to go on after this.
        self.counts().is_silent.store(1, Ordering::Relaxed);
    }

    /// The file's.
    pub fn identity(&self) -> Identity {
        self.identity
    }
}

/// Bytes of a program's mapping for counting: its own table, and the counts behind it.
pub const COUNTING_BYTES: usize = TABLE_BYTES + COUNTS_BYTES;

impl AsFd for CountsFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for CountsFile {
    fn drop(&mut self) {
        // SAFETY: mapped by `create` with this length, and no reference outlives `self`.
        let _ = unsafe { munmap(self.mapping.cast(), COUNTS_BYTES) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_numbers_and_no_more() {
        let file = CountsFile::create("test").expect("memory");
        assert_eq!((file.taken().0.len(), file.taken().1), (0, 0));
        let counts = file.counts();
        counts.next.store(3, Ordering::Relaxed);
        assert_eq!((file.taken().0.len(), file.taken().1), (3, 0));
        counts.next.store(u64::MAX, Ordering::Relaxed);
        let (blocks, more) = file.taken();
        assert_eq!(blocks.len() as u64 + more, u64::MAX);
        assert_eq!(blocks.len(), counts.blocks.len());
    }

    #[test]
    fn the_file_keeps_its_length() {
        let file = CountsFile::create("test").expect("memory");
        for bytes in [0, 2 * COUNTS_BYTES as libc::off_t] {
            assert!(nix::unistd::ftruncate(&file.file, bytes).is_err(), "{bytes}");
        }
    }
}
