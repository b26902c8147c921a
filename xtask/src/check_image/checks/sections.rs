//! The sections: what the image consists of.

use anyhow::{Result, bail, ensure};
use object::elf;
use vdso_data::architecture::{Architecture, HashStyle, Unwinding};

use crate::check_image::file::Section;
use crate::check_image::subject::Subject;

/// Sections that every image has. Which hash tables there are, the dynamic table says.
const EXPECTED: &[&str] =
    &[".dynsym", ".dynstr", ".gnu.version", ".gnu.version_d", ".dynamic", ".text"];
/// Hash tables, and who lacks each.
const HASH_TABLES: [(&str, HashStyle); 2] =
    [(".hash", HashStyle::Gnu), (".gnu.hash", HashStyle::SystemV)];
/// Where backtraces go by `.eh_frame`.
const UNWIND_TABLES: [&str; 2] = [".eh_frame_hdr", ".eh_frame"];

/// Sections with content that is mapped and is no table of the format's. There is no `.rodata`:
/// panic messages would be there, and so would the tables of jumps that a `match` can become.
const KNOWN: &[&str] = &[".text", ".eh_frame", ".eh_frame_hdr", ".rodata.chacha"];

pub fn section_headers(subject: &Subject<'_>) -> Result<()> {
    let sections = subject.sections()?;
    ensure!(!sections.is_empty(), "there are no section headers");
    for section in &sections {
        ensure!(!section.name.is_empty(), "section {} has no name", section.index);
    }
    let Architecture { hash_style, unwinding, .. } = subject.architecture;
    let hash_tables = HASH_TABLES.iter().filter(|(_, lacking)| hash_style != lacking);
    let hash_tables = hash_tables.map(|(name, _)| name);
    let unwind_tables = UNWIND_TABLES.iter().filter(|_| *unwinding == Unwinding::Dwarf);
    for name in EXPECTED.iter().chain(hash_tables).chain(unwind_tables) {
        ensure!(sections.iter().any(|section| section.name == *name), "there is no {name}");
    }
    Ok(())
}

pub fn no_writable_section(subject: &Subject<'_>) -> Result<()> {
    for section in sections_with_content(subject)? {
        // Marked because a dynamic linker may write to DT_DEBUG, which is not here.
        let is_dynamic = section.kind == elf::SHT_DYNAMIC;
        let is_writable = section.flags.contains(elf::SHF_WRITE) && !is_dynamic;
        ensure!(!is_writable, "{} is writable, with {} bytes", section.name, section.size_bytes);
    }
    Ok(())
}

pub fn no_thread_local(subject: &Subject<'_>) -> Result<()> {
    if subject.image()?.segments().any(|segment| segment.kind == elf::PT_TLS.0) {
        bail!("there is a PT_TLS");
    }
    for section in sections_with_content(subject)? {
        ensure!(!section.flags.contains(elf::SHF_TLS), "{} is thread-local", section.name);
    }
    Ok(())
}

pub fn no_constant_data(subject: &Subject<'_>) -> Result<()> {
    for section in sections_with_content(subject)? {
        let is_mapped = section.flags.contains(elf::SHF_ALLOC);
        let is_data = section.kind == elf::SHT_PROGBITS || section.kind == elf::SHT_NOBITS;
        let is_known = KNOWN.contains(&section.name);
        let is_constant = is_mapped && is_data && !is_known;
        ensure!(!is_constant, "{} has {} bytes", section.name, section.size_bytes);
    }
    Ok(())
}

fn sections_with_content<'a>(subject: &Subject<'a>) -> Result<Vec<Section<'a>>> {
    let mut sections = subject.sections()?;
    sections.retain(|section| section.size_bytes > 0);
    Ok(sections)
}
