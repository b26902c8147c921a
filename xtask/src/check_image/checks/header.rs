//! The ELF header and the program headers: what is mapped, and with what protection.

use anyhow::{Context, Result, bail, ensure};
use vdso_elf::abi::{self, Machine, PF_R, PF_W, PF_X};
use vdso_elf::{ByteOrder, Class, Segment};

use crate::check_image::subject::Subject;

/// Two pages; a mapping of the image and its data pages is four.
const MAX_FILE_BYTES: usize = 8 << 10;
const PAGE_BYTES: u64 = 4 << 10;

pub fn elf_header(subject: &Subject<'_>) -> Result<()> {
    let image = subject.image()?;
    ensure!(image.class() == Class::Elf64, "the class is {:?}", image.class());
    ensure!(image.byte_order() == ByteOrder::Little, "the byte order is {:?}", image.byte_order());
    ensure!(image.machine() == Machine::X86_64, "the machine is number {}", image.machine().0);
    Ok(())
}

pub fn file_size(subject: &Subject<'_>) -> Result<()> {
    let bytes = subject.bytes.len();
    ensure!(bytes <= MAX_FILE_BYTES, "the file has {bytes} bytes, more than {MAX_FILE_BYTES}");
    Ok(())
}

pub fn one_load_segment(subject: &Subject<'_>) -> Result<()> {
    let loads = subject.image()?.segments().filter(|it| it.kind == abi::PT_LOAD).count();
    ensure!(loads == 1, "there are {loads} PT_LOAD");
    Ok(())
}

pub fn load_segment_flags(subject: &Subject<'_>) -> Result<()> {
    let flags = subject.image()?.load_segment().flags;
    ensure!(flags & PF_W == 0, "the PT_LOAD is writable");
    ensure!(flags & PF_R != 0, "the PT_LOAD is not readable");
    ensure!(flags & PF_X != 0, "the PT_LOAD is not executable");
    Ok(())
}

pub fn load_segment_place(subject: &Subject<'_>) -> Result<()> {
    let load = subject.image()?.load_segment();
    ensure!(load.file_offset == 0, "the PT_LOAD begins at {:#x} in the file", load.file_offset);
    ensure!(load.vaddr == 0, "the PT_LOAD is linked at {:#x}", load.vaddr);
    ensure!(load.align == PAGE_BYTES, "the PT_LOAD is aligned to {:#x}", load.align);
    ensure!(
        load.file_bytes == load.memory_bytes,
        "the PT_LOAD has {:#x} bytes in the file and {:#x} in memory",
        load.file_bytes,
        load.memory_bytes
    );
    Ok(())
}

pub fn segments_present(subject: &Subject<'_>) -> Result<()> {
    let image = subject.image()?;
    let load = image.load_segment();
    for (name, kind) in [
        ("PT_DYNAMIC", abi::PT_DYNAMIC),
        ("PT_NOTE", abi::PT_NOTE),
        ("PT_GNU_EH_FRAME", abi::PT_GNU_EH_FRAME),
    ] {
        let segment = image.segments().find(|segment| segment.kind == kind);
        let segment = segment.with_context(|| format!("there is no {name}"))?;
        ensure!(segment.file_bytes > 0, "the {name} is empty");
        ensure!(is_inside(&segment, &load), "the {name} is not inside the PT_LOAD");
    }
    Ok(())
}

fn is_inside(segment: &Segment, load: &Segment) -> bool {
    let end = |segment: &Segment| segment.vaddr.checked_add(segment.memory_bytes);
    let same_distance =
        segment.vaddr.checked_sub(load.vaddr) == segment.file_offset.checked_sub(load.file_offset);
    let Some((segment_end, load_end)) = end(segment).zip(end(load)) else {
        return false;
    };
    same_distance && segment.vaddr >= load.vaddr && segment_end <= load_end
}

/// Injection ends with a jump to the entry point.
pub fn entry_point(subject: &Subject<'_>) -> Result<()> {
    let entry = subject.image()?.entry();
    let text = subject.section(".text")?;
    if !(text.vaddr..text.end()).contains(&entry) {
        bail!("the entry point {entry:#x} is outside .text");
    }
    Ok(())
}
