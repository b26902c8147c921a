//! A program that was started.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStderr, ChildStdin, ChildStdout, ExitStatus, Output};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::Error;
use crate::processes::{Kind, Socket};

/// A program that was started with a clock of its own: [`std::process::Child`].
///
/// It runs on when this is dropped, and until the calling process ends.
#[derive(Debug)]
pub struct Child {
    /// Its standard input, if that was [`piped`](crate::Stdio::piped).
    pub stdin: Option<ChildStdin>,
    /// Its standard output, if that was piped.
    pub stdout: Option<ChildStdout>,
    /// Its standard error, if that was piped.
    pub stderr: Option<ChildStderr>,
    pub(crate) name: OsString,
    pub(crate) program: Pid,
    /// That of the program's process; `None` before Linux 5.3.
    pub(crate) program_fd: Option<OwnedFd>,
    /// The process that stands for it, which is the caller's child.
    pub(crate) front: Pid,
    pub(crate) socket: Socket,
    pub(crate) end: End,
}

/// What is known of a program's end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// It may not have ended.
    Unknown,
    /// It has, like this.
    Ended(ExitStatus),
    /// It, or what it has started, was ended as it would have run on the host's clock.
    OnHostClock,
    /// Who stood for it has ended without a word, and it may live.
    Lost,
}

impl Child {
    /// The program's process. It is not a child of the calling process, and cannot be waited for by this number.
    pub fn id(&self) -> u32 {
        self.program.as_raw() as u32
    }

    /// Ends it by `SIGKILL`, which is no error if it has ended already. What it has started lives on.
    ///
    /// # Errors
    /// [`Error::System`].
    pub fn kill(&mut self) -> Result<(), Error> {
        if self.program_fd.is_none() && !matches!(self.end, End::Unknown) {
            return Ok(());
        }
        let killed = match &self.program_fd {
            Some(fd) => {
                let (fd, none) = (fd.as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
                // SAFETY: sends a signal, without further information.
                let sent = unsafe {
                    libc::syscall(libc::SYS_pidfd_send_signal, fd, libc::SIGKILL, none, 0)
                };
                Errno::result(sent).map(drop)
            }
            None => kill(self.program, Signal::SIGKILL),
        };
        match killed {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(Error::System { attempt: "end the program", errno }),
        }
    }

    /// Waits for its end, and gives how it ended. Its standard input is closed first.
    ///
    /// # Errors
    /// [`Error::OnHostClock`] after [`strict`](crate::Command::strict). [`Error::Lost`] if the process that
    /// stands for it was killed.
    pub fn wait(&mut self) -> Result<ExitStatus, Error> {
        self.stdin.take();
        loop {
            if let Some(status) = self.look(0)? {
                return Ok(status);
            }
        }
    }

    /// How it ended; `None` if it has not.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.look(libc::WNOHANG)
    }

    fn look(&mut self, flags: libc::c_int) -> Result<Option<ExitStatus>, Error> {
        if matches!(self.end, End::Unknown) {
            match wait_for(self.front, flags) {
                Ok(None) => return Ok(None),
                // Who ignores `SIGCHLD` or waits for any child gets no status, but the front has told it.
                Ok(Some(_)) | Err(Errno::ECHILD) => self.end = self.hear(),
                Err(errno) => return Err(Error::System { attempt: "wait for the program", errno }),
            }
        }
        match self.end {
            End::Unknown => Ok(None),
            End::Ended(status) => Ok(Some(status)),
            End::OnHostClock => Err(Error::OnHostClock { program: self.name.clone() }),
            End::Lost => Err(Error::Lost { program: self.name.clone() }),
        }
    }

    /// What the front has said before it ended.
    fn hear(&self) -> End {
        while self.socket.is_ready()
            && let Some(message) = self.socket.receive()
        {
            match message.kind {
                Kind::Ended => return End::Ended(ExitStatus::from_raw(message.number)),
                Kind::OnHostClock => return End::OnHostClock,
                _ => {}
            }
        }
        End::Lost
    }

    /// Waits for its end, and gives how it ended and what it has written to piped streams.
    ///
    /// # Errors
    /// [`Error::Output`], and those of [`wait`](Self::wait).
    pub fn wait_with_output(mut self) -> Result<Output, Error> {
        self.stdin.take();
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
        let (stdout, stderr) = std::thread::scope(|scope| {
            let stderr = scope.spawn(|| read_all(stderr));
            let stdout = read_all(stdout);
            (stdout, stderr.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let (stdout, stderr) = (stdout?, stderr?);
        Ok(Output { status: self.wait()?, stdout, stderr })
    }
}

fn read_all(stream: Option<impl Read>) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        stream.read_to_end(&mut bytes).map_err(Error::Output)?;
    }
    Ok(bytes)
}

/// Waits for a child, however often that is interrupted.
pub(crate) fn wait_for(child: Pid, flags: libc::c_int) -> nix::Result<Option<ExitStatus>> {
    loop {
        let mut status = 0;
        // SAFETY: the status is ours.
        match Errno::result(unsafe { libc::waitpid(child.as_raw(), &mut status, flags) }) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(ExitStatus::from_raw(status))),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
