//! Why a program was not started, or has not ended as it would have.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use nix::errno::Errno;

use crate::clock::ClockError;
use crate::privilege::Privilege;
use crate::source::SourceError;
use crate::text::quoted;

/// See the module. As an [`io::Error`] it keeps the kind of what failed in the kernel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program's file is missing, or cannot be executed, or its folder cannot be entered.
    #[error("cannot run {}: {}", quoted(.program), errno.desc())]
    NotExecuted {
        /// What was to be executed.
        program: OsString,
        /// The kernel's reason not to execute it.
        errno: Errno,
    },
    /// There is no such clock.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The clock has no source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The program could not be traced, or followed, or its processes not be set up.
    #[error(transparent)]
    Inject(#[from] vdso_inject::Error),
    /// Functions are off, clocks are moved, and nobody follows the program: its system calls would give it the host's.
    #[error("a program with hidden functions has to be followed to read a clock of its own")]
    OffUnfollowed,
    /// A set-user-ID program, or one with capabilities, would lose these: what is traced does not get them.
    #[error("{} would lose its {privilege}", quoted(.program))]
    Privileged {
        /// The file of the program that has privilege.
        program: PathBuf,
        /// The privilege that its file gives.
        privilege: Privilege,
    },
    /// A program was ended, as it would have run on the host's clock: [`Command::strict`].
    ///
    /// [`Command::strict`]: crate::Command::strict
    #[error("{} or what it has started would have run on the host's clock, and was ended", quoted(.program))]
    OnHostClock {
        /// The program that was started, as the caller named it.
        program: OsString,
    },
    /// The process that stands for the program was killed: how the program ends is not known, and it may live.
    #[error("the process that stood for {} was killed", quoted(.program))]
    Lost {
        /// The program that was started, as the caller named it.
        program: OsString,
    },
    /// An argument, or a part of the environment, has a zero byte.
    #[error("an argument or a part of the environment has a zero byte: {}", quoted(.text))]
    ZeroByte {
        /// The argument, or the part of the environment, that has the zero byte.
        text: OsString,
    },
    /// A call of the kernel's failed.
    #[error("cannot {attempt}: {}", errno.desc())]
    System {
        /// What the call was made for.
        attempt: &'static str,
        /// The error number by which the kernel has refused it.
        errno: Errno,
    },
    /// Reading what the program has written failed.
    #[error("cannot read what the program has written: {0}")]
    Output(io::Error),
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::NotExecuted { errno, .. } | Error::System { errno, .. } => {
                io::Error::from(*errno).kind()
            }
            Error::Inject(vdso_inject::Error::System { errno, .. }) => {
                io::Error::from(*errno).kind()
            }
            Error::Output(error) => error.kind(),
            Error::Clock(_) | Error::ZeroByte { .. } => io::ErrorKind::InvalidInput,
            Error::Source(_) => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
