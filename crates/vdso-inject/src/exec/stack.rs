//! The stack as `execve` leaves it: argument count, arguments, environment, auxiliary vector.

use super::memory::Memory;
use crate::error::{Error, Result};

/// Bytes of an auxiliary vector's entry.
pub const ENTRY_BYTES: u64 = 16;

const WORD_BYTES: u64 = 8;
/// Words that are read at a time. Most stacks need one read; any number of arguments is legal.
const CHUNK_WORDS: usize = 512;
/// No stack block is larger than this: the kernel allows 2^31 bytes of arguments.
const MAX_WORDS: u64 = 1 << 28;

const AT_NULL: u64 = 0;
const AT_SYSINFO_EHDR: u64 = libc::AT_SYSINFO_EHDR;

/// What is of interest in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitialStack {
    /// Where the auxiliary vector begins.
    pub auxv_addr: u64,
    /// Where it ends, behind `AT_NULL`.
    pub auxv_end_addr: u64,
    /// Where the kernel's vDSO is; zero if there is none.
    pub vdso_addr: u64,
    /// Where the stack says so.
    pub vdso_value_addr: Option<u64>,
}

impl InitialStack {
    /// Reads it, from the stack pointer up.
    pub fn read(memory: &Memory, stack_addr: u64) -> Result<Self> {
        let mut words = Words::new(memory, stack_addr);
        let arguments = words.next()?;
        // The arguments need not be looked at: they are counted. A null follows them.
        words.skip(arguments.checked_add(1).ok_or_else(|| words.broken())?)?;
        while words.next()? != 0 {}
        Self::from_vector(&mut words)
    }

    fn from_vector(words: &mut Words<'_>) -> Result<Self> {
        let mut stack =
            Self { auxv_addr: words.addr, auxv_end_addr: 0, vdso_addr: 0, vdso_value_addr: None };
        loop {
            let tag = words.next()?;
            let value_addr = words.addr;
            let value = words.next()?;
            match tag {
                AT_NULL => break,
                AT_SYSINFO_EHDR => {
                    stack.vdso_addr = value;
                    stack.vdso_value_addr = Some(value_addr);
                }
                _ => {}
            }
        }
        stack.auxv_end_addr = words.addr;
        Ok(stack)
    }
}

/// The words of a stack, one after another.
struct Words<'a> {
    memory: &'a Memory,
    addr: u64,
    first_addr: u64,
    chunk: [u64; CHUNK_WORDS],
    chunk_addr: u64,
    chunk_words: u64,
}

impl<'a> Words<'a> {
    fn new(memory: &'a Memory, addr: u64) -> Self {
        let chunk = [0; CHUNK_WORDS];
        Self { memory, addr, first_addr: addr, chunk, chunk_addr: addr, chunk_words: 0 }
    }

    fn next(&mut self) -> Result<u64> {
        if self.addr - self.first_addr > MAX_WORDS * WORD_BYTES {
            return Err(self.broken());
        }
        let mut index = (self.addr - self.chunk_addr) / WORD_BYTES;
        if index >= self.chunk_words {
            self.chunk_addr = self.addr;
            self.chunk_words = self.memory.read_words(self.addr, &mut self.chunk)? as u64;
            index = 0;
        }
        if self.chunk_words == 0 {
            return Err(self.broken());
        }
        self.addr += WORD_BYTES;
        Ok(self.chunk[index as usize])
    }

    fn skip(&mut self, words: u64) -> Result<()> {
        if words > MAX_WORDS {
            return Err(self.broken());
        }
        self.addr += words * WORD_BYTES;
        Ok(())
    }

    fn broken(&self) -> Error {
        Error::Stack { pid: self.memory.pid() }
    }
}
