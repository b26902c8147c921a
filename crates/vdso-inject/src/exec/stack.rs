//! The stack as `execve` leaves it: argument count, arguments, environment, auxiliary vector.

use super::memory::Memory;
use crate::error::{Error, Result};

/// Bytes of an auxiliary vector's entry.
pub const ENTRY_BYTES: u64 = 16;

const WORD_BYTES: u64 = 8;
/// Words that are read at a time. Most stacks need one read; any number of arguments is legal.
const CHUNK_WORDS: usize = 256;
/// No stack block is larger than this: the kernel allows 2^31 bytes of arguments.
const MAX_WORDS: u64 = 1 << 28;

const AT_NULL: u64 = 0;
const AT_SYSINFO_EHDR: u64 = libc::AT_SYSINFO_EHDR;

/// What is of interest in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InitialStack {
    /// The stack pointer.
    pub addr: u64,
    /// Where the auxiliary vector begins.
    pub auxv_addr: u64,
    /// Where it ends, behind `AT_NULL`.
    pub auxv_end_addr: u64,
    /// Where the kernel's vDSO is; zero if there is none.
    pub vdso_addr: u64,
    /// Where the stack says so.
    pub vdso_value_addr: Option<u64>,
    /// The first argument, and so where the strings begin.
    pub arguments_addr: u64,
    /// The first string of the environment; without one, where it would be.
    pub environment_addr: u64,
    /// The program's file name, which follows the environment's strings.
    pub file_name_addr: u64,
    /// The program's ELF header table in memory, `AT_PHDR`.
    pub segments_addr: u64,
    /// How many entries it has.
    pub segments: u64,
    /// The ELF header of the program's interpreter; zero for a static program.
    pub interpreter_addr: u64,
    /// Where the program itself, not its interpreter, starts.
    pub entry_addr: u64,
}

impl InitialStack {
    /// Reads it, from the stack pointer up.
    pub fn read(memory: &Memory, stack_addr: u64) -> Result<Self> {
        let mut words = Words::new(memory, stack_addr);
        let arguments = words.next()?;
        let mut stack = Self { addr: stack_addr, arguments_addr: words.next()?, ..Self::default() };
        // The other arguments need not be looked at: they are counted. A null follows them; without
        // any, it was what has just been read.
        words.skip(arguments)?;
        stack.environment_addr = words.next()?;
        let mut variable = stack.environment_addr;
        while variable != 0 {
            variable = words.next()?;
        }
        stack.read_vector(&mut words)?;
        if stack.environment_addr == 0 {
            stack.environment_addr = stack.file_name_addr;
        }
        if arguments == 0 {
            stack.arguments_addr = stack.environment_addr;
        }
        Ok(stack)
    }

    fn read_vector(&mut self, words: &mut Words<'_>) -> Result<()> {
        self.auxv_addr = words.addr;
        loop {
            let tag = words.next()?;
            let value_addr = words.addr;
            let value = words.next()?;
            match tag {
                AT_NULL => break,
                AT_SYSINFO_EHDR => {
                    self.vdso_addr = value;
                    self.vdso_value_addr = Some(value_addr);
                }
                libc::AT_EXECFN => self.file_name_addr = value,
                libc::AT_PHDR => self.segments_addr = value,
                libc::AT_PHNUM => self.segments = value,
                libc::AT_BASE => self.interpreter_addr = value,
                libc::AT_ENTRY => self.entry_addr = value,
                _ => {}
            }
        }
        self.auxv_end_addr = words.addr;
        Ok(())
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
