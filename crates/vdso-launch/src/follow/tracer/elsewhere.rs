//! Programs that somebody else traces (strace, gdb): they have one tracer, so no image can be given to them. They keep the
//! kernel's vDSO, whose functions are written over before they call any, so that they make system calls, which are reported
//! and answered: [`KernelCalls`].

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ffi::OsString;

use nix::unistd::Pid;
use vdso_inject::arch::ABIS;
use vdso_inject::kernel_calls::KernelCalls;
use vdso_inject::{Error, Result};

use super::left::{has_image, tracer_of};
use super::{Tracer, leader_of};
use crate::follow::listener::Listener;
use crate::follow::notice::Notice;
use crate::follow::report::Report;
use crate::follow::target::Target;
use vdso_inject::exec::Announce;

/// What is remembered of them.
#[derive(Debug, Default)]
pub struct TracedElsewhere {
    /// Those that exec, with what they wanted to execute, until they have begun.
    execing: HashMap<Pid, Option<OsString>>,
    /// What is written over the kernel's functions, or why that cannot be done.
    calls: OnceCell<Option<KernelCalls>>,
}

impl TracedElsewhere {
    /// It execs once more, and gets the image.
    pub fn forget(&mut self, pid: Pid) {
        if !self.execing.is_empty() {
            self.execing.remove(&leader_of(pid));
        }
    }
}

/// Whether somebody who is none of a launch's traces a process.
pub fn is_traced_elsewhere(pid: Pid) -> bool {
    tracer_of(pid).is_some_and(|tracer| !super::is_one_of_us(tracer))
}

impl Tracer<'_> {
    /// Whether a program that execs, and cannot be traced, gets what it needs without that.
    pub(super) fn is_left_to_tracer(&mut self, report: Report, target: &Target) -> bool {
        /// More than can exec at a time.
        const MOST: usize = 4096;
        let pid = report.pid;
        if !is_traced_elsewhere(pid) {
            return false;
        }
        // The kernel's functions give it the clock, and all that it may find.
        if self.settings.payload.detours.by_call().is_empty() {
            self.tell_of_uncounted(pid, target);
            return true;
        }
        if ABIS.first().is_none_or(|abi| abi.calls.start.is_none()) || self.kernel_calls().is_none()
        {
            return false;
        }
        if self.elsewhere.execing.len() >= MOST {
            self.elsewhere.execing.retain(|&pid, _| super::left::is_alive(pid));
        }
        self.elsewhere.execing.insert(leader_of(pid), target.name.clone());
        self.tell_of_uncounted(pid, target);
        true
    }

    /// Says that nobody counts the calls of such a program, if those of others are counted.
    fn tell_of_uncounted(&mut self, pid: Pid, target: &Target) {
        if self.settings.payload.counts.is_some() && !self.is_told(pid, target) {
            (self.settings.notice)(&Notice::Uncounted { pid, program: target.name.clone() });
        }
    }

    /// A program begins, and has not read a clock yet.
    pub fn begin(&mut self, report: Report, listener: &Listener<'_>) {
        let pid = report.pid;
        let known = self.elsewhere.execing.remove(&pid);
        // A predecessor knew who was traced.
        let is_other = (known.is_some() || !self.dead.is_empty() && is_traced_elsewhere(pid))
            // Else the exec has failed, and a program that has begun long ago makes such a call.
            && !has_image(pid, self.settings.payload);
        if is_other && !listener.is_gone(report) {
            match self.write_calls(report, listener) {
                Ok(()) if self.settings.announce == Announce::ToSupervisor => {
                    (self.settings.notice)(&Notice::ByCalls { pid });
                }
                Ok(()) => {}
                Err(error) => self.untouched(pid, known.flatten(), error),
            }
        }
        listener.carry_on(report);
        self.in_flight.slot(report.slot).clear();
    }

    fn write_calls(&self, report: Report, listener: &Listener<'_>) -> Result<()> {
        let pid = report.pid;
        let (Some(native), Some(abi)) = (ABIS.first(), report.abi()) else {
            return Err(Error::Architecture);
        };
        if abi.name != native.name {
            return Err(Error::ForeignTraced { pid, abi: abi.name });
        }
        let calls = self.kernel_calls().ok_or(Error::Architecture)?;
        // SAFETY: the thread waits in the report of its start, before it has called a function of the vDSO or started another
        // thread, and it is of this program's kind.
        unsafe { calls.write(pid, &|| listener.is_gone(report)) }
    }

    /// Whether a process has the kernel's functions so written over.
    pub(super) fn makes_calls(&self, pid: Pid) -> bool {
        self.kernel_calls().is_some_and(|calls| calls.are_in(pid))
    }

    fn kernel_calls(&self) -> Option<&KernelCalls> {
        let by_call = self.settings.payload.detours.by_call();
        self.elsewhere.calls.get_or_init(|| KernelCalls::here(by_call).ok()).as_ref()
    }
}
