//! What the `object` crate says about an image.

use object::elf::{FileHeader32, FileHeader64};
use object::read::elf::{
    FileHeader, GnuHashTable, HashTable, ProgramHeader, SectionTable, Sym, SymbolTable, Version,
    VersionTable,
};
use object::{Endianness, FileKind, SymbolIndex};
use vdso_elf::Error;

/// What both readers are asked for about an image.
#[derive(Debug)]
pub struct Answers<E = Error> {
    pub machine: u16,
    pub entry: u64,
    pub segments: Vec<Segment>,
    pub soname: Option<String>,
    /// Of all segments; one that cannot be read ends its segment.
    pub notes: Vec<Result<Note, ()>>,
    pub symbols: Vec<Result<Row, E>>,
}

/// What both readers are asked for about a program header.
#[derive(Debug, PartialEq, Eq)]
pub struct Segment {
    pub kind: u32,
    pub flags: u32,
    pub file_offset: u64,
    pub vaddr: u64,
    pub file_bytes: u64,
    pub memory_bytes: u64,
    pub align: u64,
}

/// Owner, type and description.
#[derive(Debug, PartialEq, Eq)]
pub struct Note(pub String, pub u32, pub Vec<u8>);

/// What both readers are asked for about a symbol.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub name: String,
    pub value: u64,
    pub size: u64,
    pub info: u8,
    pub section_index: u16,
    pub version: Option<String>,
}

/// The answer to a question.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub name: &'static str,
    pub version: Option<&'static str>,
    pub value: Option<u64>,
}

/// Names and versions to look for.
pub const QUESTIONS: [(&str, Option<&str>); 14] = [
    ("__vdso_clock_gettime", Some("LINUX_2.6")),
    ("__vdso_clock_gettime", Some("LINUX_4.15")),
    ("__vdso_clock_gettime", Some("LINUX_5.10")),
    ("__vdso_clock_gettime", Some("LINUX_9.9")),
    ("__vdso_gettimeofday", Some("LINUX_2.6")),
    ("__vdso_getcpu", Some("LINUX_2.6")),
    ("__vdso_getcpu", Some("LINUX_2.5")),
    ("clock_gettime", Some("LINUX_2.6")),
    ("__kernel_sigreturn", Some("LINUX_2.5")),
    ("__kernel_clock_gettime", Some("LINUX_2.6.39")),
    ("__kernel_clock_gettime", Some("LINUX_2.6.15")),
    ("__kernel_clock_gettime", Some("LINUX_2.6.29")),
    ("__kernel_gettimeofday", Some("LINUX_2.6.29")),
    ("absent", Some("LINUX_2.6")),
];

/// Everything about an image; the error says which part `object` could not read.
pub fn ask(bytes: &[u8]) -> Result<Answers<&'static str>, &'static str> {
    match FileKind::parse(bytes).map_err(|_| "the kind of file")? {
        FileKind::Elf32 => ask_as::<FileHeader32<Endianness>>(bytes),
        FileKind::Elf64 => ask_as::<FileHeader64<Endianness>>(bytes),
        _ => Err("not ELF"),
    }
}

fn ask_as<Elf>(bytes: &[u8]) -> Result<Answers<&'static str>, &'static str>
where
    Elf: FileHeader<Endian = Endianness>,
{
    let header = Elf::parse(bytes).map_err(|_| "the header")?;
    let endian = header.endian().map_err(|_| "the byte order")?;
    let segments = header.program_headers(endian, bytes).map_err(|_| "the program headers")?;
    let sections = header.sections(endian, bytes).ok();
    Ok(Answers {
        machine: header.e_machine(endian).0,
        entry: header.e_entry(endian).into(),
        segments: segments.iter().map(|segment| describe(segment, endian)).collect(),
        soname: sections.as_ref().and_then(|sections| soname(sections, endian, bytes)),
        notes: segments.iter().flat_map(|segment| notes(segment, endian, bytes)).collect(),
        symbols: sections.map(|sections| symbols(&sections, endian, bytes)).unwrap_or_default(),
    })
}

fn describe<Header>(segment: &Header, endian: Endianness) -> Segment
where
    Header: ProgramHeader<Endian = Endianness>,
{
    Segment {
        kind: segment.p_type(endian).0,
        flags: segment.p_flags(endian).0,
        file_offset: segment.p_offset(endian).into(),
        vaddr: segment.p_vaddr(endian).into(),
        file_bytes: segment.p_filesz(endian).into(),
        memory_bytes: segment.p_memsz(endian).into(),
        align: segment.p_align(endian).into(),
    }
}

fn notes<Header>(segment: &Header, endian: Endianness, bytes: &[u8]) -> Vec<Result<Note, ()>>
where
    Header: ProgramHeader<Endian = Endianness>,
{
    let mut notes = match segment.notes(endian, bytes) {
        Ok(Some(notes)) => notes,
        Ok(None) => return Vec::new(),
        Err(_) => return vec![Err(())],
    };
    let mut all = Vec::new();
    loop {
        all.push(match notes.next() {
            Ok(None) => return all,
            Err(_) => Err(()),
            Ok(Some(note)) => String::from_utf8(note.name().to_vec())
                .map(|owner| Note(owner, note.n_type(endian).0, note.desc().to_vec()))
                .map_err(|_| ()),
        });
    }
}

fn soname<Elf>(sections: &SectionTable<'_, Elf>, endian: Endianness, bytes: &[u8]) -> Option<String>
where
    Elf: FileHeader<Endian = Endianness>,
{
    let table = sections.dynamic_table(endian, bytes).ok()?;
    let soname = table.iter().find(|entry| entry.tag == object::elf::DT_SONAME)?;
    String::from_utf8(table.string(soname).ok()?.to_vec()).ok()
}

type Tables<'a, Elf> = (SymbolTable<'a, Elf>, VersionTable<'a, Elf>);

fn tables<'a, Elf>(
    sections: &SectionTable<'a, Elf>,
    endian: Endianness,
    bytes: &'a [u8],
) -> Result<Tables<'a, Elf>, &'static str>
where
    Elf: FileHeader<Endian = Endianness>,
{
    let symbols = sections.symbols(endian, bytes, object::elf::SHT_DYNSYM);
    let versions = sections.versions(endian, bytes).map_err(|_| "versions")?;
    Ok((symbols.map_err(|_| "the symbol table")?, versions.unwrap_or_default()))
}

fn symbols<Elf>(
    sections: &SectionTable<'_, Elf>,
    endian: Endianness,
    bytes: &[u8],
) -> Vec<Result<Row, &'static str>>
where
    Elf: FileHeader<Endian = Endianness>,
{
    let (table, versions) = match tables(sections, endian, bytes) {
        Ok(tables) => tables,
        Err(part) => return vec![Err(part)],
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| "text");
    let row = |index| {
        let symbol = table.symbol(index).map_err(|_| "symbol")?;
        let name = text(symbol.name(endian, table.strings()).map_err(|_| "name")?)?;
        let version = versions.version_index(endian, index).index();
        let version = versions.version(version).map_err(|_| "version")?;
        Ok(Row {
            name,
            value: symbol.st_value(endian).into(),
            size: symbol.st_size(endian).into(),
            info: symbol.st_info().0,
            section_index: symbol.st_shndx(endian).0,
            version: version.map(|version| text(version.name())).transpose()?,
        })
    };
    (1..table.len()).map(|index| row(SymbolIndex(index))).collect()
}

/// The answers to [`QUESTIONS`] by `DT_GNU_HASH`, and by `DT_HASH` if it is wanted.
pub fn look_up(bytes: &[u8], by_system_v: bool) -> Vec<Found> {
    match FileKind::parse(bytes).expect("object knows the kind of file") {
        FileKind::Elf32 => look_up_as::<FileHeader32<Endianness>>(bytes, by_system_v),
        _ => look_up_as::<FileHeader64<Endianness>>(bytes, by_system_v),
    }
}

fn look_up_as<Elf>(bytes: &[u8], by_system_v: bool) -> Vec<Found>
where
    Elf: FileHeader<Endian = Endianness>,
{
    let header = Elf::parse(bytes).expect("object reads the header");
    let endian = header.endian().expect("object knows the byte order");
    let sections = header.sections(endian, bytes).expect("object reads the sections");
    let (symbols, versions) = tables(&sections, endian, bytes).expect("object reads the tables");
    let gnu = sections.gnu_hash(endian, bytes).expect("object reads DT_GNU_HASH");
    let gnu: Option<GnuHashTable<'_, Elf>> = gnu.map(|(table, _)| table);
    let system_v = if by_system_v { sections.hash(endian, bytes) } else { Ok(None) };
    let system_v = system_v.expect("object reads DT_HASH");
    let system_v: Option<HashTable<'_, Elf>> = system_v.map(|(table, _)| table);
    let version = |name: Option<&'static str>| {
        let name = name.filter(|_| !versions.is_empty())?;
        Some(named(&versions, endian, &symbols, name))
    };
    let value = |found: Option<(SymbolIndex, &Elf::Sym)>| {
        found.map(|(_, symbol)| symbol.st_value(endian).into())
    };
    let mut all = Vec::new();
    for (name, wanted) in QUESTIONS {
        let hash = object::elf::gnu_hash(name.as_bytes());
        let found = gnu.as_ref().and_then(|table| match version(wanted) {
            Some(None) => None,
            wanted => {
                let wanted = wanted.flatten();
                table.find(endian, name.as_bytes(), hash, wanted, &symbols, &versions)
            }
        });
        all.push(Found { name, version: wanted, value: value(found) });
    }
    for (name, wanted) in QUESTIONS.into_iter().filter(|_| by_system_v) {
        let hash = object::elf::hash(name.as_bytes());
        let found = system_v.as_ref().and_then(|table| match version(wanted) {
            Some(None) => None,
            wanted => {
                let wanted = wanted.flatten();
                table.find(endian, name.as_bytes(), hash, wanted, &symbols, &versions)
            }
        });
        all.push(Found { name, version: wanted, value: value(found) });
    }
    all
}

/// The version of this name, if any symbol has it.
fn named<'a, 'data, Elf>(
    versions: &'a VersionTable<'data, Elf>,
    endian: Endianness,
    symbols: &SymbolTable<'data, Elf>,
    name: &str,
) -> Option<&'a Version<'data>>
where
    Elf: FileHeader<Endian = Endianness>,
{
    (1..symbols.len()).find_map(|index| {
        let index = versions.version_index(endian, SymbolIndex(index)).index();
        let version = versions.version(index).ok()??;
        (version.name() == name.as_bytes()).then_some(version)
    })
}
