//! What a person may want to know of a launch.

use std::ffi::OsString;

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::error::Error;
use crate::privilege::Privilege;

/// What a person may want to know.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// A program begins with the image.
    Injected {
        /// Which process.
        pid: Pid,
        /// Where the image is.
        image_addr: u64,
    },
    /// A program runs as it is, on the kernel's vDSO.
    Untouched {
        /// Which process.
        pid: Pid,
        /// The program's file as whoever executed it named it, if that is known.
        program: Option<OsString>,
        /// Why.
        error: Error,
    },
    /// A program was ended, as it would have run as it is: [`OnHostClock::End`].
    Ended {
        /// Which process.
        pid: Pid,
        /// The program's file as whoever executed it named it, if that is known.
        program: Option<OsString>,
        /// Why.
        error: Error,
    },
    /// A program has the image, but began on the kernel's vDSO and may have read a clock there: the
    /// supervisor that was to give it was killed at that moment.
    Late {
        /// Which process.
        pid: Pid,
        /// The program's file as whoever executed it named it, if that is known.
        program: Option<OsString>,
    },
    /// Children are not followed: the filter was refused.
    NotFollowing {
        /// Why.
        errno: Errno,
    },
    /// A program has not got what its file gives, because it is followed.
    Unprivileged {
        /// Which process.
        pid: Pid,
        /// What it lacks.
        privilege: Privilege,
    },
    /// A program asks for a seccomp listener of its own, which the kernel refuses (`EBUSY`), as there can
    /// be one only and that is ours.
    ListenerRefused {
        /// Which process.
        pid: Pid,
    },
    /// A program asks for seccomp's strict mode, which the kernel refuses (`EINVAL`) to a process that has
    /// a filter.
    StrictModeRefused {
        /// Which process.
        pid: Pid,
    },
}

/// What becomes of a program that is followed, but cannot be given the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnHostClock {
    /// It runs on the host's clock, and its name and the reason are told.
    Tell,
    /// It is ended, and its name and the reason are told.
    End,
}
