//! What differs between architectures, one folder each, with the same names in all of them:
//!
//! | name | what |
//! |---|---|
//! | `ABIS` | the kinds of programs that the kernel executes there, this program's own first |
//! | `Registers` | those of a program that is stopped at its start: read, changed, put back |
//! | `stub.rs` | the instructions that a program executes before its first own one; see [`stub`](crate::stub) |
//!
//! How a first stage finds its data is between a folder's two files: the rest of this crate only calls
//! `Registers::start`. Where there is no injection yet, `none` stands for the
//! architecture's folder.

use crate::error::{Error, Result};
use crate::exec::Probe;
use crate::stub::Stub;

#[cfg_attr(all(target_arch = "x86_64", target_pointer_width = "64"), path = "x86_64/mod.rs")]
#[cfg_attr(all(target_arch = "aarch64", target_endian = "little"), path = "aarch64/mod.rs")]
#[cfg_attr(target_arch = "riscv64", path = "riscv64/mod.rs")]
#[cfg_attr(
    not(any(
        all(target_arch = "x86_64", target_pointer_width = "64"),
        all(target_arch = "aarch64", target_endian = "little"),
        target_arch = "riscv64"
    )),
    path = "none.rs"
)]
mod selected;

pub use selected::{ABIS, Registers};

/// A kind of programs: instruction set, size of a pointer, system calls.
#[derive(Debug)]
pub struct Abi {
    /// As people call it.
    pub name: &'static str,
    /// Size of a pointer.
    pub word: Word,
    /// Its system calls.
    pub calls: Calls,
    /// What such a program executes before its first own instruction, if it can be given an image.
    pub stub: Option<Stub>,
    /// By which the kernel's vDSO for such programs is looked at, where it is not the launcher's own.
    pub probe: Option<Probe>,
}

impl Abi {
    /// What such a program's stub gives as `token` in the fourth argument of its requests.
    pub const fn token(&self, token: u64) -> u64 {
        match self.word {
            Word::Bits32 => token & 0xffff_ffff,
            Word::Bits64 => token,
        }
    }
}

/// Size of a pointer, and so of what is on a program's initial stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Four bytes.
    Bits32,
    /// Eight.
    Bits64,
}

impl Word {
    /// Its size.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Bits32 => 4,
            Self::Bits64 => 8,
        }
    }
}

/// Numbers of system calls, as a seccomp filter sees them.
#[derive(Clone, Copy, Debug)]
pub struct Calls {
    /// `AUDIT_ARCH_*` of `include/uapi/linux/audit.h`.
    pub audit_arch: u32,
    /// `execve`.
    pub execve: u32,
    /// `execveat`.
    pub execveat: u32,
    /// `prctl`, by which a stub talks to the supervisor.
    pub prctl: u32,
}

/// Whether programs of this program's own kind can be given an image here.
pub fn check_support() -> Result<()> {
    match ABIS.first() {
        Some(Abi { stub: Some(_), .. }) => Ok(()),
        _ => Err(Error::Architecture),
    }
}
