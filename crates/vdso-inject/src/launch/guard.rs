//! Watches over a supervisor: notices its death, and that it stands still.
//!
//! A supervisor that is stopped, by a signal, a debugger or a cgroup's freezer, holds everybody who
//! execs, as a dead one would. Only its end frees those whom it traces, and makes certain that it does
//! nothing more when it is woken: so it is killed, and what follows is as after any other death.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::message::Socket;
use crate::follow::InFlight;
use crate::proc;

/// See the module.
pub struct Guard<'a> {
    in_flight: &'a InFlight,
    supervisor: Pid,
    socket: Socket,
    attention: Attention,
}

/// How closely the supervisor is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attention {
    /// Nobody execs: the next report wakes the guard as well, once.
    Idle {
        /// The supervisor's count of what it has dealt with.
        progress: u64,
    },
    /// Somebody does: a look at every [`INTERVAL`].
    Busy {
        /// The supervisor's count of what it has dealt with.
        progress: u64,
        /// At how many looks in a row that was the same, though something waited.
        still: u32,
    },
}

const INTERVAL: Duration = Duration::from_millis(100);
/// Looks without progress after which a supervisor that is stopped counts as standing still. Looks are
/// counted, not time: a guard that was frozen, too, has made none.
const STOPPED_LOOKS: u32 = 3;
/// The same for one that only does nothing: it may be short of processor time.
const SILENT_LOOKS: u32 = 30;

impl<'a> Guard<'a> {
    /// Watches the supervisor at the other end of `socket`.
    pub fn new(in_flight: &'a InFlight, supervisor: Pid, socket: Socket) -> Self {
        let attention = Attention::Idle { progress: in_flight.progress() };
        Self { in_flight, supervisor, socket, attention }
    }

    /// Whom it watches.
    pub fn supervisor(&self) -> Pid {
        self.supervisor
    }

    /// By which its death is seen.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Whether a report is to wake the guard.
    pub fn waits_for_report(&self) -> bool {
        matches!(self.attention, Attention::Idle { .. })
    }

    /// How long to wait at most before [`look`](Self::look).
    pub fn longest_wait(&self) -> Option<Duration> {
        (!self.waits_for_report()).then_some(INTERVAL)
    }

    /// Looks whether the supervisor stands still, and kills it then.
    pub fn look(&mut self, listener: &OwnedFd) {
        let progress = self.in_flight.progress();
        let is_report_waiting = is_ready(listener);
        let is_waiting = is_report_waiting || self.in_flight.taken().next().is_some();
        self.attention = match self.attention {
            Attention::Idle { progress: before } if before == progress && !is_waiting => return,
            Attention::Busy { progress: before, .. } if before == progress && !is_waiting => {
                Attention::Idle { progress }
            }
            Attention::Busy { progress: before, still } if before == progress => {
                Attention::Busy { progress, still: still + 1 }
            }
            _ => Attention::Busy { progress, still: 0 },
        };
        let Attention::Busy { still, .. } = self.attention else { return };
        // One that has no room for the report can do nothing about it.
        let is_report_due = is_report_waiting && self.in_flight.has_room();
        let stands_still = still >= STOPPED_LOOKS && is_stopped(self.supervisor)
            || still >= SILENT_LOOKS && (is_report_due || self.holds_anybody());
        // Its number may be another's once it has ended, which the socket tells first.
        if stands_still && !self.socket.is_ready() {
            let _ = kill(self.supervisor, Signal::SIGKILL);
        }
    }

    /// Whether a program that the supervisor traces is stopped, and so cannot go on by itself.
    fn holds_anybody(&self) -> bool {
        let in_flight = self.in_flight;
        let tracers = in_flight.taken().filter_map(|report| in_flight.slot(report.slot).tracer());
        tracers
            .filter(|&(tracer, _)| tracer == self.supervisor)
            .any(|(_, process)| is_stopped(process))
    }

    /// Waits for the supervisor's end.
    pub fn stand_by(mut self, listener: &OwnedFd) {
        // Nothing is ever said here: it is ready when the other end's process ends.
        while !self.socket.is_ready() {
            let mut fds = vec![PollFd::new(self.socket.0.as_fd(), PollFlags::POLLIN)];
            if self.waits_for_report() {
                fds.push(PollFd::new(listener.as_fd(), PollFlags::POLLIN));
            }
            let timeout = self.longest_wait().and_then(|wait| PollTimeout::try_from(wait).ok());
            let _ = poll(&mut fds, timeout.unwrap_or(PollTimeout::NONE));
            drop(fds);
            self.look(listener);
        }
    }
}

fn is_ready(listener: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    let _ = poll(&mut fds, PollTimeout::ZERO);
    fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN))
}

/// Whether a process is stopped, by a signal or a tracer.
fn is_stopped(pid: Pid) -> bool {
    proc::state(pid).is_some_and(|state| matches!(state, 'T' | 't'))
}
