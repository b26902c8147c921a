//! What can go wrong, named by what was attempted.

use nix::errno::Errno;

/// A result of this crate's.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an image has no file, or is not mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error("cannot {attempt}: {}", errno.desc())]
    System {
        /// What the system call was made for.
        attempt: Attempt,
        /// The error number by which the kernel has refused it.
        errno: Errno,
    },
    /// The image is not one.
    #[error("the image cannot be read: {0}")]
    Image(vdso_elf::Error),
    /// It is for programs of another architecture than this one, or there is no such architecture.
    #[error("the image is for another architecture")]
    Architecture,
}

/// What was attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Attempt {
    /// `memfd_create` and what follows.
    #[error("create a file in memory for the image")]
    CreateFile,
    /// `mmap`, `mprotect`.
    #[error("map the image")]
    Map,
}
