//! An architecture without injection yet.

use super::Abi;
use super::jump::Jumps;
use crate::detour::{Detour, Diverted};
use crate::error::{Error, Result};
use crate::ptrace::Stopped;

/// Not done here yet.
pub static JUMPS: Option<Jumps> = None;

/// None that is known here.
pub static ABIS: &[&Abi] = &[];

/// There are none: nobody can read them.
#[derive(Clone, Copy, Debug)]
pub enum Registers {}

impl Registers {
    /// An error, always.
    pub(crate) fn read(_thread: &Stopped) -> Result<Self> {
        Err(Error::Architecture)
    }

    /// The kind of program that has them.
    pub fn abi(&self, _stack_start: u64) -> &'static Abi {
        match *self {}
    }

    /// The next instruction.
    pub fn instruction_addr(&self) -> u64 {
        match *self {}
    }

    /// The stack pointer.
    pub fn stack_addr(&self) -> u64 {
        match *self {}
    }

    /// Makes a stopped program go on with the first stage.
    pub(crate) fn start(
        &self,
        _thread: &mut Stopped,
        _start_addr: u64,
        _data_addr: u64,
    ) -> Result<()> {
        match *self {}
    }

    /// Those by which a stopped program makes a system call, at an instruction for that; `None` as this is
    /// not done here yet.
    pub fn for_call(&self, _call_addr: u64, _number: i64, _arguments: [u64; 6]) -> Option<Self> {
        None
    }

    /// Nobody is sent anywhere here.
    pub(crate) fn divert(&self, _thread: &mut Stopped, _to: &Detour) -> Result<Diverted> {
        match *self {}
    }

    /// None: no image makes calls here.
    pub fn told(
        &self,
        _thread: &Stopped,
        _code: &std::ops::Range<u64>,
        _result: i64,
    ) -> Option<Self> {
        None
    }

    /// All of them as words, for another process to put them back: nobody is worked on in the middle here.
    pub fn to_words(self) -> Vec<u64> {
        Vec::new()
    }

    /// Those that [`to_words`](Self::to_words) gave.
    pub fn from_words(_words: &[u64]) -> Option<Self> {
        None
    }

    /// What a call gave: a value or an errno.
    pub fn result(&self) -> std::result::Result<u64, i32> {
        match *self {}
    }

    /// Sets those of a stopped program.
    pub(crate) fn write(&self, _thread: &mut Stopped) -> Result<()> {
        match *self {}
    }

    /// Where a stub that was stopped has its data.
    pub fn stub_data_addr(&self) -> u64 {
        match *self {}
    }

    /// Puts a stopped program back to its very start.
    pub(crate) fn restart(
        &self,
        _thread: &mut Stopped,
        _instruction_addr: u64,
        _stack_addr: u64,
    ) -> Result<()> {
        match *self {}
    }
}
