//! Starts a program on an image and stays with it until it ends.
//!
//! ```text
//! front ─┬─ supervisor ── program ── its children ...
//!        └─ witness
//! ```
//!
//! - The **front** is the process that was started: it is in the terminal's foreground, passes
//!   signals and stops on, and ends as the program ends.
//! - The **supervisor** is the program's parent. It follows every `execve` (see
//!   [`follow`](crate::follow)) and keeps the clocks going, for as long as anything that came from the
//!   program lives, also after the program itself and the front are gone.
//! - The **witness** is in their process group, and tells the front which signals reached all of it, and
//!   so the program. It ends with the front.
//!
//! A launch whose process is traced is another: `in_place`.
//!
//! Without a supervisor no `execve` below the program would succeed, so each watches the other:
//! should the supervisor be killed, the front starts another; once there is no front, a standby
//! does.

mod arrivals;
mod descendants;
mod ending;
mod front;
mod guard;
mod in_place;
mod inheritance;
mod message;
mod program;
mod scheduling;
mod streams;
mod supervise;
mod witness;

use std::ffi::CString;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::sys::signal::SigSet;
use nix::unistd::Pid;

use supervise::Common;

use crate::follow::{Notice, Settings, SharedInFlight, Tick, Tokens};
use crate::process;
use vdso_inject::arch;
use vdso_inject::exec::{Announce, Payload};
use vdso_inject::{Attempt, Error, Result};

pub use crate::follow::OnHostClock;
pub use ending::{Core, end_by_signal};
pub use inheritance::Inheritance;
pub(crate) use message::{Kind, Socket};
pub use streams::Streams;

/// Whether children and later execs run on the image, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// They do.
    All,
    /// Only the program itself, until it execs.
    None,
}

/// What to start, and how.
pub struct Launch<'a> {
    /// The program, looked up in `PATH`, and its arguments.
    pub command: &'a [CString],
    /// What it gets.
    pub payload: &'a Payload,
    /// Makes the publisher of the payload's page, in whichever process publishes.
    pub publisher: Option<&'a dyn Fn() -> Tick<'a>>,
    /// Who gets it.
    pub follow: Follow,
    /// What becomes of programs that do not get it.
    pub on_host_clock: OnHostClock,
    /// Called in the supervisor with what a person may want to know.
    pub notice: &'a dyn Fn(&Notice),
    /// Whether to tell the image's address in each program.
    pub tell_addresses: bool,
    /// Called in the supervisor when the program has ended, before the front ends.
    pub farewell: &'a dyn Fn(),
    /// What the program gets back.
    pub inheritance: Inheritance,
    /// The program's standard streams.
    pub streams: &'a Streams,
    /// Called in the front when the program has been executed.
    pub executed: &'a dyn Fn(Pid),
    /// Who has started this process for the launch.
    pub caller: Caller<'a>,
}

/// A process that knows the program itself. The front then passes no signals on, and does not stop when the
/// program does.
#[derive(Clone, Copy, Debug)]
pub enum Caller<'a> {
    /// There is none: whoever started this process takes it for the program.
    None,
    /// There is one. All that came from the program lives on when that ends.
    Known,
    /// There is one, and all that came from the program ends with it. The descriptor is ready when it has ended.
    Watched(BorrowedFd<'a>),
}

impl<'a> Caller<'a> {
    /// Whether this process stands for the program.
    fn is_none(self) -> bool {
        matches!(self, Self::None)
    }

    /// What is ready when it has ended.
    fn end(self) -> Option<BorrowedFd<'a>> {
        if let Self::Watched(fd) = self { Some(fd) } else { None }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With this exit code.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
    /// By this signal, and its core was dumped.
    Dumped(i32),
    /// It could not be executed.
    NotExecuted(Errno),
    /// It has ended, and it, or a program that it started, was ended because it would have run on the
    /// host's clock: [`OnHostClock::End`].
    EndedOnHostClock,
}

impl Outcome {
    /// As wait(2) gives it; `None` if it says more than that.
    pub(crate) fn status(self) -> Option<i32> {
        const CORE_DUMPED: i32 = 0x80;
        match self {
            Self::Exited(code) => Some(code << 8),
            Self::Signaled(signal) => Some(signal),
            Self::Dumped(signal) => Some(signal | CORE_DUMPED),
            Self::NotExecuted(_) | Self::EndedOnHostClock => None,
        }
    }

    fn of(status: i32) -> Self {
        if libc::WIFSIGNALED(status) && libc::WCOREDUMP(status) {
            Self::Dumped(libc::WTERMSIG(status))
        } else if libc::WIFSIGNALED(status) {
            Self::Signaled(libc::WTERMSIG(status))
        } else {
            Self::Exited(libc::WEXITSTATUS(status))
        }
    }
}

impl Launch<'_> {
    /// Starts the program and returns when it has ended. Where somebody traces the calling process that becomes the program,
    /// if it can be followed so, and this does not return.
    ///
    /// The calling process must have one thread: this forks, and the children go on in this very program.
    /// Its signals are blocked and its standard input and output lead nowhere when this returns: it is meant
    /// to end then.
    ///
    /// # Errors
    /// [`Error::Threads`] if there are more threads; nothing has been done then. Others as they are named.
    pub fn run(&self) -> Result<Outcome> {
        arch::check_support()?;
        if !process::has_one_thread() {
            return Err(Error::Threads);
        }
        let in_flight = SharedInFlight::new().map_err(failed)?;
        let settings = Settings {
            payload: self.payload,
            notice: self.notice,
            announce: if self.tell_addresses { Announce::ToSupervisor } else { Announce::No },
            on_host_clock: self.on_host_clock,
            tokens: Tokens::default(),
        };
        let mask = SigSet::thread_get_mask().unwrap_or_else(|_| SigSet::empty());
        let original_mask = self.inheritance.mask().unwrap_or(mask);
        let common = Common { launch: self, settings: &settings, in_flight: &in_flight };
        if in_place::is_wanted(self)
            && let Some(outcome) = in_place::become_program(common, &original_mask)
        {
            return Ok(outcome);
        }
        let signals = front::block_signals()?;
        let is_sent_signals = self.caller.is_none();
        let mut witness = None;
        let mut prepared = supervise::prepare(common, &original_mask, &mut || {
            if is_sent_signals && witness.is_none() {
                witness = witness::Witness::start(&signals, self.command).ok();
            }
        });
        // It may have taken the place of a process that is needed more.
        if let Err(Error::System { errno: Errno::EAGAIN | Errno::ENOMEM, .. }) = prepared
            && witness.take().is_some()
        {
            prepared = supervise::prepare(common, &original_mask, &mut || {});
        }
        let prepared = prepared?;
        self.streams.close();
        // After there is a program, which has the scheduling that this process came with.
        scheduling::go_first();
        Ok(front::Front::new(common, prepared, signals, witness).run())
    }
}

fn failed(errno: Errno) -> Error {
    Error::on_self(Attempt::Supervisor, errno)
}
