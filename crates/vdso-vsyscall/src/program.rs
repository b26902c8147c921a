//! The executable segments of a program's file: elf(5).

use crate::code::{Site, sites};

const MAGIC_64_LITTLE: &[u8] = b"\x7fELF\x02\x01";
const EM_X86_64: u16 = 62;
/// Where the header of a file has `e_machine`, `e_phoff`, `e_phentsize` and `e_phnum`.
const E_MACHINE: usize = 18;
const E_PHOFF: usize = 32;
const E_PHENTSIZE: usize = 54;
const E_PHNUM: usize = 56;

const PT_LOAD: u32 = 1;
const PF_X: u32 = 1;

/// No program has more; of a table that says so, no more are looked at, as each might be all of the file.
const MOST_SEGMENTS: u16 = 64;

/// All sites in the executable segments of an x86-64 program or library, each with its address in the file's own terms
/// (`p_vaddr`); none if these bytes are no such file. Any bytes may be given.
pub fn in_program(file: &[u8]) -> impl Iterator<Item = (u64, Site)> + '_ {
    executable_segments(file).flat_map(|(vaddr, code)| {
        sites(code).map(move |site| (vaddr.wrapping_add(site.offset as u64), site))
    })
}

/// Addresses and bytes.
fn executable_segments(file: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let is_one = file.starts_with(MAGIC_64_LITTLE) && u16_at(file, E_MACHINE) == Some(EM_X86_64);
    let count = u16_at(file, E_PHNUM).filter(|_| is_one).unwrap_or(0);
    let table = u64_at(file, E_PHOFF).unwrap_or(0);
    let bytes = u64::from(u16_at(file, E_PHENTSIZE).unwrap_or(0));
    (0..u64::from(count.min(MOST_SEGMENTS))).filter_map(move |index| {
        let header = usize::try_from(table.checked_add(index * bytes)?).ok()?;
        executable_segment(file, file.get(header..)?)
    })
}

/// `Elf64_Phdr`.
fn executable_segment<'a>(file: &'a [u8], header: &[u8]) -> Option<(u64, &'a [u8])> {
    let (kind, flags) = (u32_at(header, 0)?, u32_at(header, 4)?);
    let (offset, vaddr, bytes) = (u64_at(header, 8)?, u64_at(header, 16)?, u64_at(header, 32)?);
    let start = usize::try_from(offset).ok()?;
    let end = usize::try_from(offset.checked_add(bytes)?).ok()?;
    let code = file.get(start..end.min(file.len()))?;
    (kind == PT_LOAD && flags & PF_X != 0).then_some((vaddr, code))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}
