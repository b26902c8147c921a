//! Where a program's standard streams lead.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// As [`std::process::Stdio`]: that one does not say what it is.
#[derive(Debug, Default)]
pub struct Stdio(Kind);

#[derive(Debug, Default)]
enum Kind {
    #[default]
    Inherit,
    Null,
    Piped,
    Given(OwnedFd),
}

impl Stdio {
    /// The caller's own stream.
    pub fn inherit() -> Self {
        Self(Kind::Inherit)
    }

    /// Nowhere: nothing is read, and what is written is lost.
    pub fn null() -> Self {
        Self(Kind::Null)
    }

    /// To the caller, by a new pipe.
    pub fn piped() -> Self {
        Self(Kind::Piped)
    }
}

/// Files, sockets, pipes, and the streams of another program.
impl<T: Into<OwnedFd>> From<T> for Stdio {
    fn from(file: T) -> Self {
        Self(Kind::Given(file.into()))
    }
}

/// Which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The program reads.
    Input,
    /// The program writes.
    Output,
}

/// One stream, made ready.
pub(crate) struct Ready<'a> {
    /// The program's end.
    pub program: End<'a>,
    /// The caller's end of a pipe.
    pub caller: Option<OwnedFd>,
}

/// A descriptor, owned or not.
pub(crate) enum End<'a> {
    Owned(OwnedFd),
    Borrowed(BorrowedFd<'a>),
}

impl AsFd for End<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Owned(fd) => fd.as_fd(),
            Self::Borrowed(fd) => *fd,
        }
    }
}

impl Stdio {
    /// Opens what has to be opened; `inherited` is the caller's own stream, if that is not closed.
    pub(crate) fn prepare<'a>(
        &'a self,
        direction: Direction,
        inherited: Option<BorrowedFd<'a>>,
    ) -> io::Result<Ready<'a>> {
        let (program, caller) = match (&self.0, inherited) {
            (Kind::Inherit, Some(own)) => (End::Borrowed(own), None),
            (Kind::Given(fd), _) => (End::Borrowed(fd.as_fd()), None),
            (Kind::Inherit | Kind::Null, _) => {
                let null = File::options().read(true).write(true).open("/dev/null")?;
                (End::Owned(null.into()), None)
            }
            (Kind::Piped, _) => {
                let (reader, writer) = io::pipe()?;
                match direction {
                    Direction::Input => (End::Owned(reader.into()), Some(writer.into())),
                    Direction::Output => (End::Owned(writer.into()), Some(reader.into())),
                }
            }
        };
        Ok(Ready { program, caller })
    }
}
