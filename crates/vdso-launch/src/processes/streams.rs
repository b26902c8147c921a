//! The standard streams that a program gets, if they are not those of the process that launches it.

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

/// Input, output and errors. Each process of a launch closes its own copies as soon as the program has
/// them: whoever is at their other end is to see the program let go of them.
#[derive(Debug, Default)]
pub struct Streams(RefCell<Option<[OwnedFd; 3]>>);

impl Streams {
    /// Those of the calling process.
    pub fn inherited() -> Self {
        Self::default()
    }

    /// Copies of these three, closed by `execve`.
    ///
    /// # Errors
    /// As of `F_DUPFD_CLOEXEC`, fcntl(2).
    pub fn copies_of(streams: [&impl AsFd; 3]) -> nix::Result<Self> {
        /// What is copied to a standard stream's number must not have one itself.
        const FIRST: libc::c_int = 3;
        let copy = |stream: &dyn AsFd| -> nix::Result<OwnedFd> {
            let copy = fcntl(stream.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(FIRST))?;
            // SAFETY: the kernel has just made this descriptor for us.
            Ok(unsafe { OwnedFd::from_raw_fd(copy) })
        };
        let [input, output, errors] = streams;
        Ok(Self(RefCell::new(Some([copy(input)?, copy(output)?, copy(errors)?]))))
    }

    /// Puts them in the place of this process's.
    pub(super) fn take_place(&self) -> nix::Result<()> {
        for (number, stream) in (0..).zip(self.0.borrow().iter().flatten()) {
            // SAFETY: what is replaced is used by nobody in a process that is about to become a program.
            Errno::result(unsafe { libc::dup2(stream.as_raw_fd(), number) })?;
        }
        Ok(())
    }

    /// The program has them.
    pub(super) fn close(&self) {
        self.0.take();
    }

    /// The numbers of the copies.
    pub(crate) fn numbers(&self) -> Vec<libc::c_int> {
        self.0.borrow().iter().flatten().map(AsRawFd::as_raw_fd).collect()
    }
}
