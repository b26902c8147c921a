//! The stack as `execve` leaves it: argument count, arguments, environment, auxiliary vector.

use super::memory::Memory;
use crate::arch::Word;
use crate::error::{Error, Result};

/// Bytes that are read at a time. Most stacks need one read; any number of arguments is legal.
const CHUNK_BYTES: usize = 2048;
/// No stack block is larger than this: the kernel allows 2^31 bytes of arguments.
const MAX_WORDS: u64 = 1 << 28;

const AT_NULL: u64 = 0;
/// Of `include/uapi/linux/auxvec.h`, the same in programs of 32 and of 64 bits.
const AT_PHDR: u64 = 3;
const AT_PHNUM: u64 = 5;
const AT_BASE: u64 = 7;
const AT_ENTRY: u64 = 9;
const AT_EXECFN: u64 = 31;
const AT_SYSINFO_EHDR: u64 = 33;

/// What is of interest in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitialStack {
    /// Size of what is on it.
    pub word: Word,
    /// The stack pointer as `execve` left it.
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
    pub fn read(words: &mut Words<'_>, word: Word) -> Result<Self> {
        words.word = word;
        let mut stack = Self { addr: words.addr, ..Self::empty(word) };
        let arguments = words.next()?;
        stack.arguments_addr = words.next()?;
        // The other arguments need not be looked at: they are counted. A null follows them; without
        // any, it was what has just been read.
        words.skip(arguments)?;
        stack.environment_addr = words.next()?;
        let mut variable = stack.environment_addr;
        while variable != 0 {
            variable = words.next()?;
        }
        stack.read_vector(words)?;
        if stack.environment_addr == 0 {
            stack.environment_addr = stack.file_name_addr;
        }
        if arguments == 0 {
            stack.arguments_addr = stack.environment_addr;
        }
        Ok(stack)
    }

    fn empty(word: Word) -> Self {
        Self {
            word,
            addr: 0,
            auxv_addr: 0,
            auxv_end_addr: 0,
            vdso_addr: 0,
            vdso_value_addr: None,
            arguments_addr: 0,
            environment_addr: 0,
            file_name_addr: 0,
            segments_addr: 0,
            segments: 0,
            interpreter_addr: 0,
            entry_addr: 0,
        }
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
                AT_EXECFN => self.file_name_addr = value,
                AT_PHDR => self.segments_addr = value,
                AT_PHNUM => self.segments = value,
                AT_BASE => self.interpreter_addr = value,
                AT_ENTRY => self.entry_addr = value,
                _ => {}
            }
        }
        self.auxv_end_addr = words.addr;
        Ok(())
    }
}

/// The words of a stack, one after another.
pub struct Words<'a> {
    memory: &'a Memory,
    word: Word,
    addr: u64,
    first_addr: u64,
    chunk: [u8; CHUNK_BYTES],
    chunk_addr: u64,
    chunk_bytes: usize,
}

impl<'a> Words<'a> {
    /// Those from `addr` up.
    pub fn new(memory: &'a Memory, addr: u64) -> Result<Self> {
        let chunk = [0; CHUNK_BYTES];
        let (word, first_addr, chunk_addr) = (Word::Bits64, addr, addr);
        let mut words = Self { memory, word, addr, first_addr, chunk, chunk_addr, chunk_bytes: 0 };
        words.fill()?;
        Ok(words)
    }

    /// The first eight bytes, whatever a word is.
    pub fn first_bytes(&self) -> Result<u64> {
        self.at::<8>(0).map(u64::from_ne_bytes).ok_or(self.broken())
    }

    fn next(&mut self) -> Result<u64> {
        if self.addr - self.first_addr > MAX_WORDS * self.word.bytes() {
            return Err(self.broken());
        }
        let index = (self.addr - self.chunk_addr) as usize;
        let word = match self.word_at(index) {
            Some(word) => word,
            None => {
                self.fill()?;
                self.word_at(0).ok_or(self.broken())?
            }
        };
        self.addr += self.word.bytes();
        Ok(word)
    }

    fn skip(&mut self, words: u64) -> Result<()> {
        if words > MAX_WORDS {
            return Err(self.broken());
        }
        self.addr += words * self.word.bytes();
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        self.chunk_addr = self.addr;
        self.chunk_bytes = self.memory.read_up_to(self.addr, &mut self.chunk)?;
        Ok(())
    }

    fn word_at(&self, index: usize) -> Option<u64> {
        match self.word {
            Word::Bits32 => self.at(index).map(u32::from_ne_bytes).map(u64::from),
            Word::Bits64 => self.at(index).map(u64::from_ne_bytes),
        }
    }

    fn at<const BYTES: usize>(&self, index: usize) -> Option<[u8; BYTES]> {
        let bytes = self.chunk[..self.chunk_bytes].get(index..)?;
        bytes.first_chunk().copied()
    }

    fn broken(&self) -> Error {
        Error::Stack { pid: self.memory.pid() }
    }
}
