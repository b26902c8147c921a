//! The ELF header and the program headers: what is mapped, and with what protection.

use anyhow::{Context, Result, bail, ensure};
use object::elf::PT_GNU_STACK;
use vdso_data::architecture::Unwinding;
use vdso_elf::Segment;
use vdso_elf::abi::{self, PF_R, PF_W, PF_X};

use crate::check_image::subject::Subject;

/// Whatever the room before the data pages.
const MAX_FILE_BYTES: usize = 16 << 10;
/// The same of an image that makes system calls in a program's place.
const MAX_FILE_BYTES_WITH_DETOURS: usize = 40 << 10;
const MAX_FILE_BYTES_WITH_COUNTS: usize = 44 << 10;
/// The same with words of 32 bits.
const MAX_FILE_BYTES_WITH_WIDE_DETOURS: usize = 56 << 10;

pub fn elf_header(subject: &Subject<'_>) -> Result<()> {
    let image = subject.image()?;
    let expected = subject.architecture;
    let (class, byte_order) = (image.class(), image.byte_order());
    ensure!(class == expected.abi.class, "the class is {class:?}");
    ensure!(byte_order == expected.byte_order, "the byte order is {byte_order:?}");
    let machine = image.machine();
    ensure!(machine == expected.abi.machine, "the machine is number {}", machine.0);
    Ok(())
}

pub fn file_size(subject: &Subject<'_>) -> Result<()> {
    let bytes = subject.bytes.len();
    let architecture = subject.architecture;
    let most = match architecture.bits() {
        _ if !architecture.detours => MAX_FILE_BYTES,
        _ if subject.counts => MAX_FILE_BYTES_WITH_COUNTS,
        32 => MAX_FILE_BYTES_WITH_WIDE_DETOURS,
        _ => MAX_FILE_BYTES_WITH_DETOURS,
    };
    let most = architecture.own_page().min(most);
    ensure!(bytes <= most, "the file has {bytes} bytes, more than {most}");
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
    let page_bytes = subject.architecture.page_bytes as u64;
    ensure!(load.align == page_bytes, "the PT_LOAD is aligned to {:#x}", load.align);
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
    let unwinds = subject.architecture.unwinding == Unwinding::Dwarf;
    let unwind_table = unwinds.then_some(("PT_GNU_EH_FRAME", abi::PT_GNU_EH_FRAME));
    let always = [("PT_DYNAMIC", abi::PT_DYNAMIC), ("PT_NOTE", abi::PT_NOTE)];
    for (name, kind) in always.into_iter().chain(unwind_table) {
        let segment = image.segments().find(|segment| segment.kind == kind);
        let segment = segment.with_context(|| format!("there is no {name}"))?;
        ensure!(segment.file_bytes > 0, "the {name} is empty");
        ensure!(is_inside(&segment, &load), "the {name} is not inside the PT_LOAD");
    }
    Ok(())
}

/// Where there is no such header, C libraries take the stack of most architectures to be executable.
pub fn stack_not_executable(subject: &Subject<'_>) -> Result<()> {
    let image = subject.image()?;
    let stack = image.segments().find(|segment| segment.kind == PT_GNU_STACK.0);
    let stack = stack.context("there is no PT_GNU_STACK")?;
    ensure!(stack.flags & PF_X == 0, "the PT_GNU_STACK asks for an executable stack");
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

/// Injection, where there is any, ends with a jump to the entry point.
pub fn entry_point(subject: &Subject<'_>) -> Result<()> {
    let entry = subject.image()?.entry();
    if !subject.architecture.enters_programs {
        ensure!(entry == 0, "there is an entry point, {entry:#x}, which nobody enters by");
        return Ok(());
    }
    let text = subject.section(".text")?;
    if !(text.vaddr..text.end()).contains(&entry) {
        bail!("the entry point {entry:#x} is outside .text");
    }
    Ok(())
}
