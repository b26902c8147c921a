//! Programs whose threads make system calls on stacks of two kilobytes and less: those written in Go.
//!
//! What it compiles asks for more stack where it needs more, and leaves some hundred bytes for code that does not ask, as
//! it thinks; a detour needs more than these. So a thread of such a program makes it on a stack of its own
//! ([`SMALL_STACK`](vdso_data::detour::SMALL_STACK)).

use nix::unistd::Pid;

use crate::exec::Memory;

/// How much stack a program's threads have when they make a system call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stack {
    /// Kilobytes.
    #[default]
    Usual,
    /// Less than a detour takes.
    Small,
}

/// What is read of a 64-bit ELF file's table of segments: `include/uapi/linux/elf.h`.
mod elf {
    pub const SEGMENT_BYTES: usize = 56;
    pub const PT_LOAD: u32 = 1;
    pub const PT_PHDR: u32 = 6;
    pub const PF_X: u32 = 1;
    pub const PF_W: u32 = 2;
    /// More segments than any program has.
    pub const MOST: u64 = 64;
}

/// What `go version` looks for, and where: Go's `debug/buildinfo`.
const MAGIC: [u8; 14] = *b"\xff Go buildinf:";
const ALIGNMENT: usize = 16;
const SEARCHED_BYTES: usize = 64 << 10;

/// Of a 64-bit program, whose auxiliary vector these words are.
pub fn of_program(pid: Pid, auxv: &[u64]) -> Stack {
    let has_magic = data(pid, auxv)
        .is_some_and(|data| data.chunks(ALIGNMENT).any(|bytes| bytes.starts_with(&MAGIC)));
    if has_magic { Stack::Small } else { Stack::Usual }
}

/// Of a thread whose call's instruction is in front of this address: whatever the program is written in, it may have
/// loaded a library that is written in Go.
pub fn of_call_site(pid: Pid, instruction_addr: u64) -> Stack {
    /// `cmp rax, -4095; jbe`, in all of `runtime/internal/syscall`'s and `syscall`'s functions. Whoever has the same has a
    /// stack more than it needs.
    const BEHIND: [u8; 7] = [0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0x76];
    let mut bytes = [0; BEHIND.len()];
    match Memory::of(pid).read(instruction_addr, &mut bytes) {
        Ok(()) if bytes == BEHIND => Stack::Small,
        _ => Stack::Usual,
    }
}

/// The start of its first segment of data.
fn data(pid: Pid, auxv: &[u64]) -> Option<Vec<u8>> {
    let memory = Memory::of(pid);
    let entry = |wanted| auxv.chunks_exact(2).find(|entry| entry[0] == wanted).map(|it| it[1]);
    let (table_addr, count) = (entry(libc::AT_PHDR)?, entry(libc::AT_PHNUM)?);
    let mut table = vec![0; count.min(elf::MOST) as usize * elf::SEGMENT_BYTES];
    memory.read(table_addr, &mut table).ok()?;
    let half = |segment: &[u8], at: usize| {
        segment.get(at..at + 4).and_then(|it| it.try_into().ok()).map_or(0, u32::from_ne_bytes)
    };
    let word = |segment: &[u8], at: usize| {
        segment.get(at..at + 8).and_then(|it| it.try_into().ok()).map_or(0, u64::from_ne_bytes)
    };
    let segments = || table.chunks_exact(elf::SEGMENT_BYTES);
    let of_table = segments().find(|it| half(it, 0) == elf::PT_PHDR);
    let bias = of_table.map_or(0, |it| table_addr.wrapping_sub(word(it, 16)));
    let is_data = |it: &&[u8]| {
        half(it, 0) == elf::PT_LOAD && half(it, 4) & (elf::PF_W | elf::PF_X) == elf::PF_W
    };
    let first = segments().find(is_data)?;
    let mut data = vec![0; word(first, 32).min(SEARCHED_BYTES as u64) as usize];
    memory.read(bias.wrapping_add(word(first, 16)), &mut data).ok()?;
    Some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_gos_is_known_by_what_stands_behind_it() {
        let of = |bytes: &[u8; 8]| of_call_site(Pid::this(), bytes.as_ptr().addr() as u64);
        assert_eq!(of(&[0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0x76, 0x15]), Stack::Small);
        // glibc's: `cmp rax, -4096; ja`, and a function's end.
        assert_eq!(of(&[0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0x77, 0x05]), Stack::Usual);
        assert_eq!(of(&[0xc3; 8]), Stack::Usual);
        assert_eq!(of_call_site(Pid::this(), 0), Stack::Usual);
    }

    #[test]
    fn a_program_of_another_language_is_not_taken_for_gos() {
        let words = std::fs::read("/proc/self/auxv").expect("it can be read");
        let words = words.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap()));
        let words: Vec<u64> = words.collect();
        assert!(data(Pid::this(), &words).is_some_and(|data| !data.is_empty()));
        assert_eq!(of_program(Pid::this(), &words), Stack::Usual);
        assert_eq!(of_program(Pid::this(), &[]), Stack::Usual);
    }
}
