//! Watches over a supervisor: notices its death, and that it stands still.
//!
//! A supervisor that is stopped, by a signal, a debugger or a cgroup's freezer, holds everybody who
//! execs, as a dead one would, and does not tell what has become of the program. Only its end frees those
//! whom it traces, and makes certain that it does nothing more when it is woken: so it is killed, and what
//! follows is as after any other death.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::message::Socket;
use crate::follow::InFlight;
use vdso_host::proc::Stat;

/// See the module.
pub struct Guard<'a> {
    in_flight: &'a InFlight,
    supervisor: Pid,
    socket: Socket,
    reporters: Reporters,
    attention: Attention,
    /// How many looks are still made for something that the supervisor has to tell: there may be nothing.
    expectant_looks: u32,
    next_look: Instant,
}

/// Whether anybody is left who could exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reporters {
    /// Somebody may be.
    Left,
    /// Nobody is, which the listener says at once whenever it is waited for.
    Gone,
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
/// Looks that are made where the supervisor may have something to tell.
const EXPECTANT_LOOKS: u32 = 2 * STOPPED_LOOKS;

impl<'a> Guard<'a> {
    /// Watches the supervisor at the other end of `socket`.
    pub fn new(in_flight: &'a InFlight, supervisor: Pid, socket: Socket) -> Self {
        let attention = Attention::Idle { progress: in_flight.progress() };
        let (reporters, expectant_looks, next_look) = (Reporters::Left, 0, Instant::now());
        Self { in_flight, supervisor, socket, reporters, attention, expectant_looks, next_look }
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
        self.is_idle() && self.reporters == Reporters::Left
    }

    /// How long to wait at most before [`look`](Self::look).
    pub fn longest_wait(&self) -> Option<Duration> {
        (!self.is_idle()).then_some(INTERVAL)
    }

    fn is_idle(&self) -> bool {
        matches!(self.attention, Attention::Idle { .. })
    }

    /// The supervisor may have something to tell now, as the program may have ended or stopped.
    pub fn expect_news(&mut self) {
        self.attention = Attention::Busy { progress: self.in_flight.progress(), still: 0 };
        self.expectant_looks = EXPECTANT_LOOKS;
        self.next_look = Instant::now() + INTERVAL;
    }

    /// Looks whether the supervisor stands still, and kills it then.
    pub fn look(&mut self, listener: Option<&OwnedFd>) {
        let progress = self.in_flight.progress();
        let events = listener.map_or(PollFlags::empty(), events_of);
        if events.contains(PollFlags::POLLHUP) && self.reporters == Reporters::Left {
            self.reporters = Reporters::Gone;
            // It ends now.
            self.expect_news();
        }
        let is_report_waiting = events.contains(PollFlags::POLLIN);
        let is_waiting = is_report_waiting || self.in_flight.taken().next().is_some();
        let has_to_look = is_waiting || self.expectant_looks > 0;
        self.attention = match self.attention {
            Attention::Idle { progress: before } if before == progress && !has_to_look => return,
            Attention::Busy { progress: before, .. } if before == progress && !has_to_look => {
                Attention::Idle { progress }
            }
            // What wakes this process otherwise makes no look.
            Attention::Busy { progress: before, .. }
                if before == progress && Instant::now() < self.next_look =>
            {
                return;
            }
            Attention::Busy { progress: before, still } if before == progress => {
                Attention::Busy { progress, still: still + 1 }
            }
            _ => Attention::Busy { progress, still: 0 },
        };
        self.next_look = Instant::now() + INTERVAL;
        self.expectant_looks = self.expectant_looks.saturating_sub(1);
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
            self.look(Some(listener));
        }
    }
}

fn events_of(listener: &OwnedFd) -> PollFlags {
    let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    let _ = poll(&mut fds, PollTimeout::ZERO);
    fds[0].revents().unwrap_or(PollFlags::empty())
}

/// Whether a process is stopped, by a signal or a tracer.
fn is_stopped(pid: Pid) -> bool {
    Stat::read(pid).is_ok_and(|stat| matches!(stat.state(), Some('T' | 't')))
}

#[cfg(test)]
mod tests {
    use nix::unistd::pipe;

    use super::*;
    use crate::follow::SharedInFlight;

    #[test]
    fn a_listener_without_reporters_is_not_waited_for() {
        let in_flight = SharedInFlight::new().expect("memory");
        let (ours, _theirs) = Socket::pair().expect("a pair");
        // The end that is read hangs up as a listener does.
        let (listener, reporter) = pipe().expect("a pipe");
        let mut guard = Guard::new(&in_flight, Pid::this(), ours);
        guard.look(Some(&listener));
        assert!(guard.waits_for_report());
        assert_eq!(guard.longest_wait(), None);
        drop(reporter);
        for _ in 0..3 {
            guard.look(Some(&listener));
            assert!(!guard.waits_for_report());
        }
        // Nor is it looked at for ever.
        for _ in 0..=EXPECTANT_LOOKS {
            guard.next_look = Instant::now();
            guard.look(Some(&listener));
        }
        assert!(!guard.waits_for_report());
        assert_eq!(guard.longest_wait(), None);
    }

    #[test]
    fn only_an_interval_makes_a_look() {
        let in_flight = SharedInFlight::new().expect("memory");
        let (ours, _theirs) = Socket::pair().expect("a pair");
        let mut guard = Guard::new(&in_flight, Pid::this(), ours);
        guard.expect_news();
        guard.next_look = Instant::now() + Duration::from_secs(3600);
        let attention = guard.attention;
        for _ in 0..2 * SILENT_LOOKS {
            guard.look(None);
        }
        assert_eq!(guard.attention, attention);
    }
}
