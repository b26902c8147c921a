//! Where in a program's memory the stub's first stage is put: where nobody executes or reads anything.

use super::memory::{Memory, Protection};
use super::segments::Segments;
use super::stack::InitialStack;
use super::{Payload, page_bytes, page_of};
use crate::arch::Registers;
use crate::error::Result;
use crate::stub::Stub;

/// Where the first stage goes.
pub struct Site {
    /// The address at which the first stage is written.
    pub addr: u64,
    /// The bytes at that address before the first stage is written.
    pub original: Vec<u8>,
    /// See [`StubData::dropped_page_addr`](crate::stub::StubData::dropped_page_addr).
    pub dropped_page_addr: u64,
    /// Whether those bytes are anybody's.
    pub covers: Covers,
}

/// What a first stage lies over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covers {
    /// Nothing that anybody uses.
    Nothing,
    /// The program's own code.
    Code,
}

/// A program that is at its start, as far as a place is looked for in it.
pub struct Program<'a> {
    /// Its registers.
    pub registers: &'a Registers,
    /// Its memory.
    pub memory: &'a Memory,
    /// What is on its stack.
    pub stack: &'a InitialStack,
    /// Its segments, if they are known.
    pub segments: Option<&'a Segments>,
}

impl Site {
    /// Behind the end of the kernel's vDSO, on its last page. On a kernel without that, behind the code of
    /// the program or of its interpreter, on that one's last page. Where no such place is large enough,
    /// over the program's first instructions.
    pub fn choose(payload: &Payload, stub: &Stub, program: &Program<'_>) -> Result<Self> {
        let stage_bytes = stub.first_stage().len();
        if let Some(padding) = payload.padding.filter(|_| program.stack.vdso_addr != 0) {
            let addr = program.stack.vdso_addr + padding;
            let original = vec![0; stage_bytes];
            let dropped_page_addr = page_of(addr);
            return Ok(Self { addr, original, dropped_page_addr, covers: Covers::Nothing });
        }
        if let Some(addr) = program.behind_code(stage_bytes)? {
            let original = program.read(addr, stage_bytes)?;
            let dropped_page_addr = page_of(addr);
            return Ok(Self { addr, original, dropped_page_addr, covers: Covers::Nothing });
        }
        program.over_first_instructions(stage_bytes)
    }
}

impl Program<'_> {
    fn behind_code(&self, stage_bytes: usize) -> Result<Option<u64>> {
        let room =
            |segments: &Segments| segments.room_behind_code(stage_bytes as u64, page_bytes());
        if let Some(addr) = self.segments.and_then(room) {
            return Ok(Some(addr));
        }
        Ok(self.interpreter()?.as_ref().and_then(room))
    }

    fn over_first_instructions(&self, stage_bytes: usize) -> Result<Site> {
        // On the page of the first instruction, as that one is known to be there.
        let entry_addr = self.registers.instruction_addr();
        let page_end = page_of(entry_addr) + page_bytes();
        let addr = entry_addr.min(page_end - stage_bytes as u64);
        let original = self.read(addr, stage_bytes)?;
        // A page that is writable may hold more than its file does: copied back, not dropped.
        let is_dropped = self.protection(addr)? == Protection::ReadOnly;
        let dropped_page_addr = if is_dropped { page_of(addr) } else { 0 };
        Ok(Site { addr, original, dropped_page_addr, covers: Covers::Code })
    }

    fn read(&self, addr: u64, bytes: usize) -> Result<Vec<u8>> {
        let mut there = vec![0; bytes];
        self.memory.read(addr, &mut there)?;
        Ok(there)
    }

    fn interpreter(&self) -> Result<Option<Segments>> {
        match self.stack.interpreter_addr {
            0 => Ok(None),
            addr => Segments::of_file(self.memory, self.stack.word, addr),
        }
    }

    fn protection(&self, addr: u64) -> Result<Protection> {
        if let Some(protection) = self.segments.and_then(|segments| segments.protection(addr)) {
            return Ok(protection);
        }
        let interpreter = self.interpreter()?;
        match interpreter.and_then(|interpreter| interpreter.protection(addr)) {
            Some(protection) => Ok(protection),
            None => self.memory.protection(addr),
        }
    }
}
