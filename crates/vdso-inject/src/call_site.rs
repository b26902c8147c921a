//! Call sites: a `syscall` instruction that has reported one and the same call often is made to jump to the image, so
//! that it need not be reported any more. x86-64 alone.
//!
//! ```text
//! site         syscall                  ->  jmp pad                 two bytes, written at once
//! pad          nop ...                  ->  jmp trampoline          between two functions, in reach of a short jump
//! trampoline   (zeros behind the code)  ->  the call in question?   then with r11, rcx, rax to the image's detour
//!                                           syscall                 any other, here
//!                                           jmp back
//! ```
//!
//! Whoever sleeps in the instruction, or is started again in it, finds the same instruction behind it. A program's
//! own thread may execute any of these bytes meanwhile: the pad and the trampoline are written before the site, and
//! nobody comes to them otherwise. What is a pad is told by the program's unwind tables: it lies between the end of one
//! function and the beginning of the next, and consists of instructions that do nothing. All of it is this process's
//! copy of the file's pages, and inherited by its forks.

use std::ops::Range;

use nix::unistd::Pid;
use vdso_host::proc::maps;

use crate::detour::Detour;
use crate::error::Result;
use crate::exec::Memory;
use crate::ptrace::Stopped;

/// Why a call site is left as it is.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unfit {
    /// There is another instruction, or one that cannot be written at once.
    Instruction,
    /// A C library looks for its address where a thread is cancelled.
    CancellationPoint,
    /// It is in no file's code, or in one that is no 64-bit ELF file.
    NoFile,
    /// The file does not tell where its functions are.
    NoUnwindTable,
    /// There is no unused room between functions in reach.
    NoPad,
    /// There is no unused room behind the code.
    NoTrampoline,
    /// The program's memory cannot be read or written.
    Memory(crate::Error),
}

impl From<crate::Error> for Unfit {
    fn from(error: crate::Error) -> Self {
        Self::Memory(error)
    }
}

/// `syscall`.
const INSTRUCTION: [u8; 2] = [0x0f, 0x05];
const INSTRUCTION_BYTES: u64 = INSTRUCTION.len() as u64;
/// `mov [rsp + 8], r11`: what stands before the one instruction with which musl (`__syscall_cp_asm`), and glibc from 2.41 on
/// (`__syscall_cancel_arch`), make all calls at which a thread can be cancelled. Where it waits is told by its address, so
/// none of these calls may be made elsewhere.
const CANCELLATION_POINT: [u8; 5] = [0x4c, 0x89, 0x5c, 0x24, 0x08];
/// What one processor sees of another's writes at once.
const CACHE_LINE: u64 = 64;
/// `jmp` with a displacement of 32 bits.
const JUMP: u8 = 0xe9;
const JUMP_BYTES: usize = 5;
/// `int3`, which fills what is left of a pad.
const UNREACHED: u8 = 0xcc;

/// Makes the `syscall` instruction of a detour's call jump to the image for that call, in the process of a stopped thread.
/// The call sets no timer.
///
/// # Errors
/// Nothing that the program executes has changed then.
pub fn rewrite(thread: &mut Stopped, to: &Detour) -> std::result::Result<(), Unfit> {
    if cfg!(not(target_arch = "x86_64")) {
        return Err(Unfit::NoPad);
    }
    let return_addr = to.instruction_addr;
    let memory = Memory::of(thread.tid());
    let site_addr = return_addr.wrapping_sub(INSTRUCTION_BYTES);
    if read::<2>(&memory, site_addr)? != INSTRUCTION || site_addr % CACHE_LINE == CACHE_LINE - 1 {
        return Err(Unfit::Instruction);
    }
    if read(&memory, site_addr.wrapping_sub(CANCELLATION_POINT.len() as u64))? == CANCELLATION_POINT
    {
        return Err(Unfit::CancellationPoint);
    }
    let code = Code::around(&memory, thread.tid(), site_addr)?;
    let pad = code.pad(&memory, return_addr)?;
    let trampoline_addr = code.trampoline(&memory)?;
    let trampoline = trampoline(trampoline_addr, to)?;
    let jump = jump(pad.start, trampoline_addr).ok_or(Unfit::NoTrampoline)?;
    let displacement = pad.start.wrapping_sub(return_addr).cast_signed();
    let short = i8::try_from(displacement).map_err(|_| Unfit::NoPad)?;
    let mut filled = vec![UNREACHED; (pad.end - pad.start) as usize];
    filled[..JUMP_BYTES].copy_from_slice(&jump);
    thread.write_by_file(trampoline_addr, &trampoline)?;
    thread.write_by_file(pad.start, &filled)?;
    let instruction = [0xeb, short.cast_unsigned()];
    if copies_by_bytes() {
        thread.write_by_file(site_addr, &instruction)?;
    } else {
        let word_addr = word_around(site_addr);
        let mut word = read::<8>(&memory, word_addr)?;
        word[(site_addr - word_addr) as usize..][..2].copy_from_slice(&instruction);
        thread.write_by_file(word_addr, &word)?;
    }
    Ok(())
}

/// Whether the kernel copies by `rep movsb`, however little: then two bytes are seen at once, and eight, as was tried, are not.
/// Where the processor does not have that fast for short copies (FSRM) it is the other way round: the kernel stores two bytes one
/// by one, but eight at once. `arch/x86/lib/memcpy_64.S` (Linux 6.18).
fn copies_by_bytes() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        const FSRM: u32 = 1 << 4;
        __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & FSRM != 0
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// A word of eight bytes in one cache line that has the instruction.
fn word_around(site_addr: u64) -> u64 {
    let last = (site_addr | (CACHE_LINE - 1)) - 7;
    site_addr.min(last)
}

const TRAMPOLINE_BYTES: usize = 64;

/// Its registers are all the program's but rcx and r11, which `syscall` changes, and not even the flags may change.
fn trampoline(addr: u64, to: &Detour) -> std::result::Result<[u8; TRAMPOLINE_BYTES], Unfit> {
    let &Detour { number, instruction_addr: return_addr, detour_addr, .. } = to;
    let mut code = Vec::with_capacity(TRAMPOLINE_BYTES);
    // lea rcx, [rax - number]; jrcxz over the next two
    code.extend([0x48, 0x8d, 0x88]);
    code.extend(number.cast_signed().wrapping_neg().to_le_bytes());
    code.extend([0xe3, (INSTRUCTION.len() + JUMP_BYTES) as u8]);
    code.extend(INSTRUCTION);
    let back = jump(addr + code.len() as u64, return_addr).ok_or(Unfit::NoTrampoline)?;
    code.extend(back);
    // mov r11, rax; lea rcx, [rip + return_addr]
    code.extend([0x49, 0x89, 0xc3]);
    let behind = addr + code.len() as u64 + 7;
    let displacement = return_addr.wrapping_sub(behind).cast_signed();
    let displacement = i32::try_from(displacement).map_err(|_| Unfit::NoTrampoline)?;
    code.extend([0x48, 0x8d, 0x0d]);
    code.extend(displacement.to_le_bytes());
    // mov eax, the clock of no timer; jmp [rip]
    code.push(0xb8);
    code.extend(vdso_data::detour::NO_TIMER.to_le_bytes());
    code.extend([0xff, 0x25, 0, 0, 0, 0]);
    code.extend(detour_addr.to_le_bytes());
    let mut trampoline = [UNREACHED; TRAMPOLINE_BYTES];
    trampoline[..code.len()].copy_from_slice(&code);
    Ok(trampoline)
}

fn jump(from: u64, to: u64) -> Option<[u8; JUMP_BYTES]> {
    let displacement = to.wrapping_sub(from + JUMP_BYTES as u64).cast_signed();
    let [a, b, c, d] = i32::try_from(displacement).ok()?.to_le_bytes();
    Some([JUMP, a, b, c, d])
}

/// The code of one file in a process.
#[derive(Debug)]
struct Code {
    /// Behind what the file has of it, to the end of the last page.
    tail: Range<u64>,
    /// The table of functions: `.eh_frame_hdr`.
    table_addr: u64,
}

/// What is read of an ELF file's header and table of segments: `include/uapi/linux/elf.h`.
mod elf {
    pub const IDENTITY: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
    pub const HEADER_BYTES: usize = 64;
    pub const SEGMENT_BYTES: usize = 56;
    pub const PT_LOAD: u32 = 1;
    pub const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
    pub const PF_X: u32 = 1;
}

impl Code {
    fn around(memory: &Memory, pid: Pid, addr: u64) -> std::result::Result<Self, Unfit> {
        let maps = maps::read(pid).map_err(|_| Unfit::NoFile)?;
        let lines: Vec<_> = maps::lines(&maps).collect();
        let at = lines.iter().position(|line| line.addrs.contains(addr));
        let at = at.ok_or(Unfit::NoFile)?;
        let file = |line: &maps::Line<'_>| (line.device, line.inode);
        let is_first = |line: &&maps::Line<'_>| {
            line.inode != 0 && file(line) == file(&lines[at]) && line.file_offset == 0
        };
        let first = lines[..=at].iter().rev().find(is_first).ok_or(Unfit::NoFile)?;
        let base = first.addrs.start;
        let header = read::<{ elf::HEADER_BYTES }>(memory, base)?;
        let count = usize::from(u16::from_le_bytes([header[56], header[57]]));
        let entry_bytes = usize::from(u16::from_le_bytes([header[54], header[55]]));
        if header[..6] != elf::IDENTITY || entry_bytes != elf::SEGMENT_BYTES || count > 64 {
            return Err(Unfit::NoFile);
        }
        let mut segments = vec![0; count * elf::SEGMENT_BYTES];
        memory.read(base.wrapping_add(word(&header, 32)), &mut segments)?;
        let segments = || segments.chunks_exact(elf::SEGMENT_BYTES);
        let kind = |segment: &[u8]| half(segment, 0);
        let bias = segments().find(|&it| kind(it) == elf::PT_LOAD && word(it, 8) == 0);
        let bias = base.wrapping_sub(word(bias.ok_or(Unfit::NoFile)?, 16));
        let start = |segment: &[u8]| bias.wrapping_add(word(segment, 16));
        let end = |segment: &[u8]| start(segment).wrapping_add(word(segment, 32));
        let is_code = |&it: &&[u8]| {
            kind(it) == elf::PT_LOAD
                && half(it, 4) & elf::PF_X != 0
                && (start(it)..end(it)).contains(&addr)
        };
        let code = segments().find(is_code).ok_or(Unfit::NoFile)?;
        let table = segments().find(|&it| kind(it) == elf::PT_GNU_EH_FRAME);
        let table_addr = start(table.ok_or(Unfit::NoUnwindTable)?);
        let last = lines[at].addrs.end;
        let tail = end(code)..end(code).next_multiple_of(4096).min(last);
        Ok(Self { tail, table_addr })
    }

    /// A trampoline's room.
    fn trampoline(&self, memory: &Memory) -> std::result::Result<u64, Unfit> {
        let start = self.tail.start.next_multiple_of(TRAMPOLINE_BYTES as u64);
        let slots = (start..self.tail.end).step_by(TRAMPOLINE_BYTES);
        for addr in slots {
            if addr + TRAMPOLINE_BYTES as u64 <= self.tail.end
                && read::<TRAMPOLINE_BYTES>(memory, addr)? == [0; TRAMPOLINE_BYTES]
            {
                return Ok(addr);
            }
        }
        Err(Unfit::NoTrampoline)
    }

    /// A pad in reach of a short jump that ends at `from`.
    fn pad(&self, memory: &Memory, from: u64) -> std::result::Result<Range<u64>, Unfit> {
        let functions = self.functions(memory)?;
        let after = functions.partition_point(|function| function.start <= from);
        let mut found = Err(Unfit::NoPad);
        // What follows the functions before and after this one.
        for index in (after.saturating_sub(4)..after + 4).take_while(|&it| it + 1 < functions.len())
        {
            let end = functions[index].end(memory)?;
            let gap = end..functions[index + 1].start;
            let (lowest, highest) = (from.wrapping_sub(128), from.wrapping_add(127));
            if gap.start >= gap.end || gap.end - gap.start > 128 || gap.start > highest {
                continue;
            }
            let before = read::<LAST_BYTES>(memory, gap.start - LAST_BYTES as u64)?;
            if !never_goes_on(&before) {
                continue;
            }
            let mut bytes = vec![0; (gap.end - gap.start) as usize];
            memory.read(gap.start, &mut bytes)?;
            if let Some(at) = unused(&bytes)
                && (lowest..=highest).contains(&(gap.start + at as u64))
            {
                found = Ok(gap.start + at as u64..gap.end);
            }
        }
        found
    }

    /// The file's functions, by their addresses.
    fn functions(&self, memory: &Memory) -> std::result::Result<Vec<Function>, Unfit> {
        /// Version 1, offsets of 32 bits from the table's start, and their number in 32 bits: what linkers make. Linux
        /// Standard Base, "DWARF Extensions".
        const FORM: [u8; 2] = [0x03, 0x3b];
        const MOST: usize = 1 << 20;
        let header = read::<12>(memory, self.table_addr)?;
        let count = half(&header, 8) as usize;
        if header[0] != 1 || header[2..4] != FORM || count > MOST {
            return Err(Unfit::NoUnwindTable);
        }
        let mut table = vec![0; count * 8];
        memory.read(self.table_addr + 12, &mut table)?;
        let at = |bytes: &[u8], from: usize| {
            self.table_addr.wrapping_add_signed(half(bytes, from).cast_signed().into())
        };
        let function = |entry: &[u8]| Function { start: at(entry, 0), entry_addr: at(entry, 4) };
        let functions: Vec<_> = table.chunks_exact(8).map(function).collect();
        let is_sorted = functions.is_sorted_by_key(|function| function.start);
        if is_sorted { Ok(functions) } else { Err(Unfit::NoUnwindTable) }
    }
}

/// A function, as the unwind tables know it.
#[derive(Clone, Copy, Debug)]
struct Function {
    start: u64,
    /// Its entry in `.eh_frame`.
    entry_addr: u64,
}

impl Function {
    /// Behind its last byte. The entry must be as linkers make it: length, number of its common part, distance of the
    /// function, bytes of the function, all of 32 bits.
    fn end(&self, memory: &Memory) -> std::result::Result<u64, Unfit> {
        let entry = read::<16>(memory, self.entry_addr)?;
        let start_addr = self.entry_addr + 8;
        let start = start_addr.wrapping_add_signed(half(&entry, 8).cast_signed().into());
        if start != self.start || half(&entry, 0) >= 0xffff_fff0 {
            return Err(Unfit::NoUnwindTable);
        }
        Ok(start + u64::from(half(&entry, 12)))
    }
}

/// What is looked at of a function's end.
const LAST_BYTES: usize = 6;

/// Whether a function ends with an instruction behind which nobody goes on: some that are written by hand run into the
/// function behind them, through what fills the gap.
fn never_goes_on(last: &[u8; LAST_BYTES]) -> bool {
    matches!(
        last,
        // ret; hlt; int3; ud2; a short jump; a jump or a call without return by a register
        [.., 0xc3 | 0xf4 | 0xcc]
            | [.., 0x0f, 0x0b]
            | [.., 0xeb, _]
            | [.., 0xff, 0xd0..=0xd7 | 0xe0..=0xe7]
            // ... by a distance, or by memory
            | [_, 0xe8 | 0xe9, ..]
            | [0xff, 0x15 | 0x25, ..]
    )
}

/// Where in the bytes between two functions there is room for a jump that nobody uses: all of it does nothing, but for
/// jumps of ours.
fn unused(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while bytes.get(at) == Some(&JUMP) {
        at += JUMP_BYTES;
    }
    let room = bytes.get(at..)?;
    (room.len() >= JUMP_BYTES && is_padding(room)).then_some(at)
}

/// Whether the bytes are instructions that do nothing, in the forms that assemblers fill gaps with.
fn is_padding(mut bytes: &[u8]) -> bool {
    const FORMS: [&[u8]; 11] = [
        &[UNREACHED],
        &[0x90],
        &[0x66, 0x90],
        &[0x0f, 0x1f, 0x00],
        &[0x0f, 0x1f, 0x40, 0x00],
        &[0x0f, 0x1f, 0x44, 0x00, 0x00],
        &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
        &[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
        &[0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
        &[0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
        &[0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
    ];
    const PREFIX: u8 = 0x66;
    while !bytes.is_empty() {
        if let Some(form) = FORMS.iter().find(|form| bytes.starts_with(form)) {
            bytes = &bytes[form.len()..];
        } else if bytes[0] == PREFIX {
            // Longer ones have it several times.
            bytes = &bytes[1..];
        } else {
            return false;
        }
    }
    true
}

fn read<const N: usize>(memory: &Memory, addr: u64) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    memory.read(addr, &mut bytes)?;
    Ok(bytes)
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|it| it.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn half(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|it| it.try_into().ok()).map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_written_with_a_word_of_its_cache_line() {
        for site_addr in CACHE_LINE..2 * CACHE_LINE - 1 {
            let word_addr = word_around(site_addr);
            assert!((word_addr..word_addr + 7).contains(&site_addr), "{site_addr}");
            assert_eq!(word_addr / CACHE_LINE, (word_addr + 7) / CACHE_LINE, "{site_addr}");
        }
    }

    #[test]
    fn a_function_that_runs_into_the_next_one_has_no_pad_behind_it() {
        // mov rax, fs:[rax]; a nop of five bytes
        assert!(!never_goes_on(&[0x00, 0x0f, 0x1f, 0x44, 0x00, 0x00]));
        assert!(!never_goes_on(&[0x48, 0x83, 0xc4, 0x08, 0x0f, 0x05]));
        for last in [
            [0x48, 0x83, 0xc4, 0x08, 0x5b, 0xc3],
            [0x90, 0xe9, 1, 2, 3, 4],
            [0x90, 0xe8, 1, 2, 3, 4],
            [0xff, 0x25, 1, 2, 3, 4],
            [0x90, 0x90, 0x90, 0x90, 0xeb, 0x10],
            [0x90, 0x90, 0x90, 0x3e, 0xff, 0xe0],
            [0x90, 0x90, 0x90, 0x90, 0x0f, 0x0b],
        ] {
            assert!(never_goes_on(&last), "{last:02x?}");
        }
    }

    #[test]
    fn only_what_does_nothing_is_a_pad() {
        let long = [0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0];
        assert_eq!(unused(&long), Some(0));
        assert_eq!(unused(&[UNREACHED; 5]), Some(0));
        assert_eq!(unused(&[UNREACHED; 4]), None);
        // push rbp; mov rbp, rsp; pop rbp; ret
        assert_eq!(unused(&[0x55, 0x48, 0x89, 0xe5, 0x5d, 0xc3]), None);
        assert_eq!(unused(&[0x90, 0x90, 0x90, 0x90, 0x90, 0xc3]), None);
        // A jump of ours, and room for another; or none.
        let mut used = vec![JUMP, 1, 2, 3, 4];
        assert_eq!(unused(&used), None);
        used.extend([UNREACHED; 5]);
        assert_eq!(unused(&used), Some(5));
        assert_eq!(unused(&[]), None);
    }
}
