//! What all who follow programs of one launch know.

use std::hash::{BuildHasher, RandomState};

use nix::unistd::Pid;

use super::notice::{Notice, OnHostClock};
use vdso_inject::arch::Abi;
use vdso_inject::exec::{Announce, Payload};

/// What is the same for all programs of a launch.
pub struct Settings<'a> {
    /// What programs get.
    pub payload: &'a Payload,
    /// Hears what a person may want to know.
    pub notice: &'a dyn Fn(&Notice),
    /// Whether programs tell where their image is.
    pub announce: Announce,
    /// What becomes of programs that do not get it.
    pub on_host_clock: OnHostClock,
    /// By which the requests of stubs are known.
    pub tokens: Tokens,
}

/// Makes the words by which a supervisor knows the requests of its own stubs: a secret of the launch,
/// mixed with the process's id. A stub has it in a register, which it wipes, so the program that follows
/// never sees it.
#[derive(Clone, Debug, Default)]
pub struct Tokens(RandomState);

impl Tokens {
    /// That of a process.
    pub fn of(&self, pid: Pid) -> u64 {
        self.0.hash_one(pid.as_raw())
    }

    /// Whether a request comes from a stub.
    pub fn is_from_stub(&self, pid: Pid, abi: &Abi, token: u64) -> bool {
        abi.token(token) == abi.token(self.of(pid))
    }
}
