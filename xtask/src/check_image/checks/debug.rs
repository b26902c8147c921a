//! The debug file, and what neither it nor the image may tell: the folder that they were built in.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use gimli::{AttributeValue, Dwarf, EndianSlice, LineProgramHeader, RunTimeEndian, Unit};
use object::elf;
use vdso_elf::Image;

use crate::check_image::file::{self, Section};
use crate::check_image::subject::Subject;

type Reader<'a> = EndianSlice<'a, RunTimeEndian>;

/// Folders that paths are mapped to, and where the compiler says that its own library's source is.
const MAPPED_FOLDERS: &[&str] =
    &["/vdso-image", "/vdso-data", "/vdso-arch", "/build", "/rust", "/rustc"];

/// Where people and machines build things.
const BUILD_FOLDERS: &[&str] = &["/home/", "/root/", "/tmp/", "/var/tmp/", "/Users/", "/builds/"];

pub fn build_id(subject: &Subject<'_>) -> Result<()> {
    let debug = Image::parse(subject.debug()?)?;
    let build_id = subject.image()?.build_id();
    ensure!(debug.build_id() == build_id, "the build-id is not the image's");
    Ok(())
}

/// Everything that is mapped is the same, so that a debugger can take the one for the other.
pub fn same_code(subject: &Subject<'_>) -> Result<()> {
    let of_debug_file = file::sections(subject.debug()?)?;
    for section in subject.sections()?.iter().filter(|it| it.flags.contains(elf::SHF_ALLOC)) {
        let same = of_debug_file.iter().find(|other| other.name == section.name);
        let same = same.with_context(|| format!("the debug file has no {}", section.name))?;
        ensure!(same.vaddr == section.vaddr, "{} is at another address", section.name);
        ensure!(same.content == section.content, "{} has other bytes", section.name);
    }
    Ok(())
}

pub fn information(subject: &Subject<'_>) -> Result<()> {
    let sections = file::sections(subject.debug()?)?;
    for name in [".debug_info", ".debug_line", ".symtab"] {
        let section = sections.iter().find(|section| section.name == name);
        let section = section.with_context(|| format!("there is no {name}"))?;
        ensure!(!section.content.is_empty(), "{name} is empty");
        let is_compressed = section.flags.contains(elf::SHF_COMPRESSED);
        ensure!(!is_compressed, "{name} is compressed, which no check here reads");
    }
    Ok(())
}

/// Every absolute path of the debug information is one of the fixed ones.
pub fn paths(subject: &Subject<'_>) -> Result<()> {
    let sections = file::sections(subject.debug()?)?;
    let endian = subject.endian();
    let dwarf = Dwarf::load(|id| Ok::<_, gimli::Error>(reader(&sections, id.name(), endian)))?;
    let mut units = dwarf.units();
    let mut count = 0;
    while let Some(header) = units.next()? {
        count += 1;
        let unit = dwarf.unit(header)?;
        for path in unit_paths(&dwarf, &unit)? {
            let is_known = MAPPED_FOLDERS.iter().any(|folder| Path::new(&path).starts_with(folder));
            ensure!(is_known || !path.starts_with('/'), "the debug information names {path}");
        }
    }
    ensure!(count > 0, "there is no unit of debug information");
    Ok(())
}

fn reader<'a>(sections: &[Section<'a>], name: &str, endian: RunTimeEndian) -> Reader<'a> {
    let section = sections.iter().find(|section| section.name == name);
    EndianSlice::new(section.map_or(&[], |section| section.content), endian)
}

/// The unit's name and folder, and all folders and files of its line table.
fn unit_paths<'a>(dwarf: &Dwarf<Reader<'a>>, unit: &Unit<Reader<'a>>) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    paths.extend(unit.name.map(|name| name.to_string_lossy().into_owned()));
    paths.extend(unit.comp_dir.map(|folder| folder.to_string_lossy().into_owned()));
    if let Some(program) = &unit.line_program {
        for value in line_table_paths(program.header()) {
            let text = dwarf.attr_string(unit, value)?;
            paths.push(text.to_string_lossy().into_owned());
        }
    }
    Ok(paths)
}

fn line_table_paths<'a>(header: &LineProgramHeader<Reader<'a>>) -> Vec<AttributeValue<Reader<'a>>> {
    let folders = header.include_directories().iter().cloned();
    folders.chain(header.file_names().iter().map(|file| file.path_name())).collect()
}

/// A path can be in other strings, too, so the bytes are searched as they are.
pub fn no_build_path(subject: &Subject<'_>) -> Result<()> {
    let workspace = format!("{}/", workspace().display());
    let prefixes = BUILD_FOLDERS.iter().copied().chain([workspace.as_str()]);
    for prefix in prefixes {
        for (name, bytes) in [("image", Some(subject.bytes)), ("debug file", subject.debug)] {
            if let Some(path) = bytes.and_then(|bytes| path_with_prefix(bytes, prefix)) {
                bail!("the {name} names {path}");
            }
        }
    }
    Ok(())
}

/// The root of this repository.
pub fn workspace() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The first path that begins with `prefix`, which must not itself be the middle of a path.
fn path_with_prefix(bytes: &[u8], prefix: &str) -> Option<String> {
    let is_path = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte);
    let start = (0..bytes.len()).find(|&at| {
        let is_middle = at.checked_sub(1).is_some_and(|before| is_path(bytes[before]));
        !is_middle && bytes[at..].starts_with(prefix.as_bytes())
    })?;
    let path = bytes[start..].iter().copied().take_while(|byte| is_path(*byte));
    Some(path.map(char::from).collect())
}
