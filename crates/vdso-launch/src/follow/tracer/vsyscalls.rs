//! Programs that call the legacy vsyscall page: their calls are sent elsewhere, while they wait for this process.

use vdso_inject::arch::Word;
use vdso_inject::exec;
use vdso_inject::ptrace::Stopped;
use vdso_inject::vsyscall::{Program, To, Vsyscalls};
use vdso_inject::{Error, Result};

use super::Tracer;
use crate::follow::listener::Listener;
use crate::follow::notice::Notice;
use crate::follow::report::Report;

impl Tracer<'_> {
    /// Those in the file of a program that stands at its first instruction, if anybody's are.
    pub(super) fn send_vsyscalls_of_program(&self, thread: &Stopped) {
        let payload = self.settings.payload;
        if payload.detours.vsyscalls == Vsyscalls::Kept {
            return;
        }
        // Without room behind the kernel's vDSO a stub may be where the functions would be, and takes its page back: later.
        if payload.padding.is_none() {
            return;
        }
        let is_64_bit = exec::abi_at_start(thread).map(|abi| abi.word == Word::Bits64);
        let sent = match is_64_bit {
            Ok(true) => Program::open(thread.tid())
                .and_then(|program| program.send(Vsyscalls::OfPrograms, To::SystemCalls)),
            Ok(false) => Ok(0),
            Err(error) => Err(error),
        };
        self.tell_of_vsyscalls(thread.tid(), sent);
    }

    /// Those of a program, and of the libraries that it is linked with, which reports that it begins: they are mapped, and
    /// so is its image.
    pub fn send_vsyscalls_to_image(&self, report: Report, listener: &Listener<'_>) {
        let (pid, payload) = (report.pid, self.settings.payload);
        let Some(abi) = report.abi().filter(|abi| abi.word == Word::Bits64) else { return };
        let whose = payload.detours.vsyscalls;
        if whose == Vsyscalls::Kept {
            return;
        }
        let program = match Program::open(pid) {
            // Another process's, if this one has ended.
            Ok(_) if listener.is_gone(report) => return,
            opened => opened,
        };
        let to = To::image_of(pid, abi, payload);
        let is_searched = whose == Vsyscalls::OfLibraries || payload.padding.is_none();
        let sent = program.and_then(|program| {
            program.send_again(to)?;
            if is_searched { program.send(whose, to) } else { Ok(0) }
        });
        self.tell_of_vsyscalls(pid, sent);
    }

    fn tell_of_vsyscalls(&self, pid: nix::unistd::Pid, sent: Result<usize>) {
        match sent {
            Ok(_) | Err(Error::Gone { .. }) => {}
            Err(error) => (self.settings.notice)(&Notice::VsyscallsKept { pid, error }),
        }
    }
}
