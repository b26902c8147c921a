//! What a tracer that was killed has left: programs in `execve`, or begun without the image.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use vdso_host::proc::{Stat, Status, maps};

use super::{Heard, Purpose, Traced, Tracer};
use crate::follow::in_flight::Slot;
use crate::follow::listener::is_waiting;
use crate::follow::notice::{Notice, OnHostClock};
use crate::follow::report::{Call, Report};
use crate::follow::settings::Settings;
use crate::follow::whereabouts::is_in_execve;
use crate::process;
use crate::source::COUNTS_NAME;
use vdso_inject::arch::ABIS;
use vdso_inject::exec::{self, FileBy, Kept, Memo, Memory, Payload, Repaired};
use vdso_inject::ptrace::Stopped;
use vdso_inject::{Error, Result};

impl Tracer<'_> {
    /// `dead`, a process of this launch, was killed, and another takes over whom it traced.
    pub fn succeed(&mut self, dead: Pid) {
        self.dead.push(dead);
    }

    /// Takes over whom `dead`, a process of this launch, traced when it was killed, and whom a former one
    /// left that it had not come to itself.
    pub fn adopt(&mut self, dead: Pid, listener: Option<BorrowedFd<'_>>) {
        self.succeed(dead);
        let in_flight = self.in_flight;
        for report in in_flight.taken() {
            let slot = in_flight.slot(report.slot);
            match (report.call, slot.tracer()) {
                (_, Some((tracer, _))) if tracer != dead && is_alive(tracer) => {}
                // It had not come to the answer: whoever receives reports does it again.
                (_, Some(_)) if listener.is_some_and(|fd| is_waiting(fd, report)) => {
                    slot.hand_back()
                }
                (Call::Exec { .. }, Some((_, process))) => self.adopt_exec(report, process),
                _ => {}
            }
        }
    }

    fn adopt_exec(&mut self, report: Report, process: Pid) {
        // Once a thread has exec'd it has its leader's number.
        let seized = match self.seize(report.pid) {
            Err(Error::Gone { .. }) if process != report.pid => self.seize(process),
            seized => seized,
        };
        let slot = self.in_flight.slot(report.slot);
        match seized {
            Ok(thread) => {
                slot.hand_to(Pid::this(), process);
                let has_begun = slot.kept().is_some() || self.has_begun_without(thread.tid());
                let purpose = match has_begun {
                    true => Purpose::Repair,
                    false => Purpose::Exec(FileBy::Request),
                };
                if has_begun {
                    let _ = thread.interrupt();
                }
                self.insert(thread, Traced::reported(purpose, report.slot, slot.name()));
            }
            Err(error) => {
                let program = slot.name();
                slot.clear();
                let error = match error {
                    // Meanwhile it has begun, and ended.
                    Error::Gone { .. } => Error::TracerKilled { pid: process },
                    error => error,
                };
                self.untouched(process, program, error);
            }
        }
    }

    /// Whether a process is out of `execve`, without the image. Below this launch, whoever execs has it or is
    /// one of ours; what begins does not have it yet.
    fn has_begun_without(&self, pid: Pid) -> bool {
        let is_old = has_image(pid, self.settings.payload) || is_one_of_us(pid);
        !is_old && !is_in_execve(pid)
    }

    /// The supervisor of a program that nobody follows was killed, and `progress` tells what it had dealt
    /// with: one that it had not given its image runs on the host's clock.
    pub fn unless_injected(&self, program: Pid, progress: u64) {
        if progress == 0 && !has_image(program, self.settings.payload) {
            self.untouched(program, None, Error::TracerKilled { pid: program });
        }
    }

    /// The program has begun without the image: it is given it now.
    pub(super) fn repair(
        &mut self,
        mut thread: Stopped,
        mut traced: Traced,
        serve: &mut dyn FnMut(),
    ) -> Heard {
        if exec::stands_at_its_start(&thread) {
            return self.inject(thread, traced, FileBy::Request);
        }
        let pid = thread.tid();
        let program = traced.program.take();
        match self.give_late(&mut thread, &traced, serve) {
            Ok(Repaired::Injected) => (self.settings.notice)(&Notice::Late { pid, program }),
            Ok(Repaired::WasInjected) => {}
            Err(error) => self.untouched(pid, program, error),
        }
        self.release(thread, traced)
    }

    fn give_late(
        &self,
        thread: &mut Stopped,
        traced: &Traced,
        serve: &mut dyn FnMut(),
    ) -> Result<Repaired> {
        let Settings { payload, tokens, on_host_clock, .. } = self.settings;
        let pid = thread.tid();
        // What it has read of the host's clock meanwhile cannot be taken back.
        match on_host_clock {
            OnHostClock::End => Err(Error::TracerKilled { pid }),
            // Those of other kinds are not repaired.
            OnHostClock::Tell if ABIS.first().is_some_and(|abi| self.is_confined(pid, abi)) => {
                Err(Error::Confined { pid })
            }
            OnHostClock::Tell => {
                let slot = traced.slot.map(|index| self.in_flight.slot(index));
                let keep = |kept: &Kept| slot.iter().for_each(|slot| slot.keep(kept));
                let memo = Memo { keep: &keep, kept: slot.and_then(Slot::kept) };
                exec::inject_running(thread, payload, tokens.of(pid), &memo, serve)
            }
        }
    }
}

/// Whether a process has not ended yet.
pub(super) fn is_alive(pid: Pid) -> bool {
    Stat::read(pid).is_ok_and(|stat| !stat.has_ended())
}

/// Waits until a process that is being killed has ended, and the kernel has let go of whom it traced. Asleep:
/// it may need this processor for that.
pub(super) fn wait_for_end(pid: Pid) {
    const LONGEST: Duration = Duration::from_secs(1);
    const INTERVAL: Duration = Duration::from_millis(1);
    if let Some(fd) = process::open(pid) {
        let timeout = PollTimeout::try_from(LONGEST).unwrap_or(PollTimeout::MAX);
        let _ = poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout);
        return;
    }
    // Before Linux 5.3, or it is gone.
    let start = Instant::now();
    while is_alive(pid) && start.elapsed() < LONGEST {
        std::thread::sleep(INTERVAL);
    }
}

/// Whether the image's file is mapped in a process.
pub(super) fn has_image(pid: Pid, payload: &Payload) -> bool {
    Memory::of(pid).has_mapping_of(payload.file.identity()).unwrap_or(false)
}

/// Whether a launch within this one has the process: it gets a clock, though not from here.
pub(super) fn is_traced_by_one_of_us(pid: Pid) -> bool {
    tracer_of(pid).is_some_and(is_one_of_us)
}

pub(super) fn tracer_of(pid: Pid) -> Option<Pid> {
    let tracer = Status::read(pid).ok()?.number("TracerPid");
    tracer.filter(|&tracer| tracer != 0).map(Pid::from_raw)
}

/// Whether a process is one of a launch's own, of whichever launch: these alone may write to the pages of
/// clocks.
pub fn is_one_of_us(pid: Pid) -> bool {
    let maps = maps::read(pid).unwrap_or_default();
    maps::lines(&maps).any(|line| {
        let name = line.name.strip_prefix(b"/memfd:");
        line.rights == *b"rw-s"
            && name.is_some_and(|name| {
                // Counts are written by the programs that are counted.
                name.starts_with(b"vdso-") && !name.starts_with(COUNTS_NAME.as_bytes())
            })
    })
}
