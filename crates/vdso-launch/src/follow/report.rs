//! What a process reports.

use nix::unistd::Pid;

use super::in_flight::SlotIndex;
use vdso_inject::arch::{ABIS, Abi, TimedCall};
use vdso_inject::stub::REQUEST;

/// A process that waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Where it is kept; see [`InFlight`](super::InFlight).
    pub slot: SlotIndex,
    /// The kernel's number for it.
    pub id: u64,
    /// The thread that made it.
    pub pid: Pid,
    /// What that wants to do.
    pub call: Call,
    /// Its place in [`ABIS`].
    abi: usize,
}

/// What a process wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `execve`: the address of the file's name.
    Exec {
        /// A descriptor of a folder, for a name that is relative to it; `AT_FDCWD` in `execve`.
        folder: i32,
        /// Address of the name in the process.
        name_addr: u64,
    },
    /// A stub's request, or a program's that pretends to be one.
    Stub {
        /// What it asks for: `REQUEST_*`.
        request: u64,
        /// What it says to that.
        argument: u64,
        /// By which the supervisor knows its own stubs.
        token: u64,
    },
    /// Another seccomp filter: flags of `seccomp`, and the address of its `struct sock_fprog`.
    Filter {
        /// `SECCOMP_FILTER_FLAG_*`; none for `prctl`.
        flags: u64,
        /// Address of `struct sock_fprog` in the process.
        program_addr: u64,
    },
    /// The call of a program's start: [`StartCall`](vdso_inject::arch::StartCall).
    Start,
    /// `SECCOMP_MODE_STRICT`, which no process with a filter can enter.
    StrictMode,
    /// One with times that are not the host's.
    Timed {
        /// Which.
        call: &'static TimedCall,
        /// Its arguments.
        args: [u64; 6],
        /// Behind its instruction.
        instruction_addr: u64,
    },
}

impl Report {
    /// What the kernel has written to a slot.
    pub fn of(slot: SlotIndex, notification: &libc::seccomp_notif) -> Self {
        let data = &notification.data;
        let number = data.nr as u32;
        // One that is none of these is not reported.
        let abi = ABIS.iter().position(|abi| {
            let calls = &abi.calls;
            let numbers = [calls.execve, calls.execveat, calls.prctl, calls.seccomp];
            let is_timed = calls.timed.iter().any(|timed| timed.number == number);
            let is_start = calls.start.is_some_and(|start| start.number == number);
            calls.audit_arch == data.arch && (numbers.contains(&number) || is_timed || is_start)
        });
        let abi = abi.unwrap_or_default();
        let call = ABIS.get(abi).map_or(Call::StrictMode, |abi| {
            let timed = abi.calls.timed.iter().find(|timed| timed.number == number);
            let (args, instruction_addr) = (data.args, data.instruction_pointer);
            match timed {
                Some(call) => Call::Timed { call, args, instruction_addr },
                None => call(abi, number, &args),
            }
        });
        let pid = Pid::from_raw(notification.pid as i32);
        Self { slot, id: notification.id, pid, call, abi }
    }

    /// The kind of program that it is from.
    pub fn abi(&self) -> Option<&'static Abi> {
        ABIS.get(self.abi).copied()
    }
}

fn call(abi: &Abi, number: u32, args: &[u64; 6]) -> Call {
    let calls = &abi.calls;
    let filter = |operation: u64, flags, program_addr| {
        if operation == u64::from(libc::SECCOMP_SET_MODE_FILTER) {
            Call::Filter { flags, program_addr }
        } else {
            Call::StrictMode
        }
    };
    if calls.start.is_some_and(|start| start.number == number) {
        Call::Start
    } else if number == calls.execve {
        Call::Exec { folder: libc::AT_FDCWD, name_addr: args[0] }
    } else if number == calls.execveat {
        Call::Exec { folder: args[0] as i32, name_addr: args[1] }
    } else if number == calls.seccomp {
        filter(args[0], args[1], args[2])
    } else if args[0] as u32 == REQUEST {
        Call::Stub { request: args[1], argument: args[2], token: args[3] }
    } else {
        // `SECCOMP_MODE_STRICT` and `_FILTER` are one more than the operations of `seccomp`.
        filter(args[1].wrapping_sub(1), 0, args[2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: u32, args: [u64; 6]) -> Call {
        let data = libc::seccomp_data {
            nr: number as i32,
            arch: ABIS[0].calls.audit_arch,
            instruction_pointer: 0,
            args,
        };
        Report::of(0, &libc::seccomp_notif { id: 1, pid: 2, flags: 0, data }).call
    }

    #[test]
    fn calls_are_told_apart_by_number_and_arguments() {
        let calls = ABIS[0].calls;
        let exec = |folder, name_addr| Call::Exec { folder, name_addr };
        assert_eq!(of(calls.execve, [7, 8, 9, 0, 0, 0]), exec(libc::AT_FDCWD, 7));
        assert_eq!(of(calls.execveat, [7, 8, 9, 0, 0, 0]), exec(7, 8));
        let stub = Call::Stub { request: 1, argument: 2, token: 3 };
        assert_eq!(of(calls.prctl, [REQUEST.into(), 1, 2, 3, 0, 0]), stub);
        let set_seccomp = libc::PR_SET_SECCOMP as u64;
        let by_prctl = Call::Filter { flags: 0, program_addr: 5 };
        assert_eq!(of(calls.prctl, [set_seccomp, 2, 5, 0, 0, 0]), by_prctl);
        assert_eq!(of(calls.prctl, [set_seccomp, 1, 0, 0, 0, 0]), Call::StrictMode);
        let by_seccomp = Call::Filter { flags: 8, program_addr: 5 };
        assert_eq!(of(calls.seccomp, [1, 8, 5, 0, 0, 0]), by_seccomp);
        assert_eq!(of(calls.seccomp, [0, 0, 0, 0, 0, 0]), Call::StrictMode);
    }
}
