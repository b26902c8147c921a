//! The dynamic table, and the tables that it names.

use anyhow::{Context, Result, ensure};
use object::elf::{self, DynamicTag};
use object::read::SymbolIndex;
use object::read::elf::{FileHeader, GnuHashTable, HashTable, SymbolTable, Version, VersionTable};
use object::{Endianness, read};
use vdso_data::architecture::HashStyle;
use vdso_elf::{HashKind, Symbol};

use super::exports;
use crate::check_image::file::by_class;
use crate::check_image::subject::Subject;

const DEPENDENCIES: &[(&str, DynamicTag)] = &[
    ("DT_NEEDED", elf::DT_NEEDED),
    ("DT_RPATH", elf::DT_RPATH),
    ("DT_RUNPATH", elf::DT_RUNPATH),
    ("DT_AUXILIARY", elf::DT_AUXILIARY),
    ("DT_FILTER", elf::DT_FILTER),
];

const RELOCATIONS: &[(&str, DynamicTag)] = &[
    ("DT_TEXTREL", elf::DT_TEXTREL),
    ("DT_REL", elf::DT_REL),
    ("DT_RELSZ", elf::DT_RELSZ),
    ("DT_RELENT", elf::DT_RELENT),
    ("DT_RELCOUNT", elf::DT_RELCOUNT),
    ("DT_RELA", elf::DT_RELA),
    ("DT_RELASZ", elf::DT_RELASZ),
    ("DT_RELAENT", elf::DT_RELAENT),
    ("DT_RELACOUNT", elf::DT_RELACOUNT),
    ("DT_RELR", elf::DT_RELR),
    ("DT_RELRSZ", elf::DT_RELRSZ),
    ("DT_RELRENT", elf::DT_RELRENT),
    ("DT_JMPREL", elf::DT_JMPREL),
    ("DT_PLTREL", elf::DT_PLTREL),
    ("DT_PLTRELSZ", elf::DT_PLTRELSZ),
    ("DT_PLTGOT", elf::DT_PLTGOT),
];

const CONSTRUCTORS: &[(&str, DynamicTag)] = &[
    ("DT_INIT", elf::DT_INIT),
    ("DT_FINI", elf::DT_FINI),
    ("DT_INIT_ARRAY", elf::DT_INIT_ARRAY),
    ("DT_INIT_ARRAYSZ", elf::DT_INIT_ARRAYSZ),
    ("DT_FINI_ARRAY", elf::DT_FINI_ARRAY),
    ("DT_FINI_ARRAYSZ", elf::DT_FINI_ARRAYSZ),
    ("DT_PREINIT_ARRAY", elf::DT_PREINIT_ARRAY),
    ("DT_PREINIT_ARRAYSZ", elf::DT_PREINIT_ARRAYSZ),
];

/// Linux's own, by which tools know that there is no such file.
pub fn soname(subject: &Subject<'_>) -> Result<()> {
    let soname = subject.image()?.soname().context("there is no SONAME")?;
    let expected = subject.architecture.soname();
    ensure!(soname == expected, "the SONAME is {soname:?}, not {expected:?}");
    Ok(())
}

pub fn no_dependencies(subject: &Subject<'_>) -> Result<()> {
    has_none_of(subject, DEPENDENCIES)
}

pub fn no_relocation(subject: &Subject<'_>) -> Result<()> {
    let is_allowed = |tag| subject.architecture.names_address_table && tag == elf::DT_PLTGOT;
    let forbidden: Vec<_> =
        RELOCATIONS.iter().filter(|(_, tag)| !is_allowed(*tag)).copied().collect();
    has_none_of(subject, &forbidden)?;
    for (tag, value) in subject.dynamic()? {
        // A loader writes to each, and code that used one would read what is not there.
        let is_used = tag == elf::DT_MIPS_LOCAL_GOTNO && value > 0;
        ensure!(!is_used, "a table has {value} addresses for a loader to change");
        let is_text = tag == elf::DT_FLAGS && value & elf::DF_TEXTREL.0 != 0;
        ensure!(!is_text, "DT_FLAGS has DF_TEXTREL");
    }
    if subject.architecture.names_address_table {
        // Or a loader would write to the table what functions are bound by when they are called.
        let is_now = |(tag, value)| tag == elf::DT_FLAGS && value & elf::DF_BIND_NOW.0 != 0;
        ensure!(subject.dynamic()?.into_iter().any(is_now), "DT_FLAGS lacks DF_BIND_NOW");
    }
    for section in subject.sections()? {
        let is_relocation = [elf::SHT_REL, elf::SHT_RELA, elf::SHT_RELR].contains(&section.kind);
        ensure!(!is_relocation || section.size_bytes == 0, "{} has relocations", section.name);
    }
    Ok(())
}

pub fn no_constructors(subject: &Subject<'_>) -> Result<()> {
    has_none_of(subject, CONSTRUCTORS)
}

fn has_none_of(subject: &Subject<'_>, tags: &[(&str, DynamicTag)]) -> Result<()> {
    for (found, _) in subject.dynamic()? {
        let forbidden = tags.iter().find(|(_, tag)| *tag == found);
        ensure!(forbidden.is_none(), "there is a {}", forbidden.map_or("", |(name, _)| *name));
    }
    Ok(())
}

pub fn hash_tables(subject: &Subject<'_>) -> Result<()> {
    let image = subject.image()?;
    let style = subject.architecture.hash_style;
    for (kind, name, other) in [
        (HashKind::Gnu, "DT_GNU_HASH", HashStyle::SystemV),
        (HashKind::SystemV, "DT_HASH", HashStyle::Gnu),
    ] {
        let (is_there, is_expected) = (image.has_hash_table(kind), style != other);
        ensure!(is_there || !is_expected, "there is no {name}");
        ensure!(!is_there || is_expected, "there is a {name}");
    }
    Ok(())
}

pub fn gnu_hash_lookup(subject: &Subject<'_>) -> Result<()> {
    by_class!(subject.bytes, gnu_hash_lookup_of(subject))
}

fn gnu_hash_lookup_of<Elf: FileHeader<Endian = Endianness>>(subject: &Subject<'_>) -> Result<()> {
    let tables = Tables::<Elf>::read(subject.bytes)?;
    let Some(hash) = &tables.gnu_hash else { return Ok(()) };
    every_export_is_found(subject, &tables, HashKind::Gnu, |name, version| {
        let code = elf::gnu_hash(name.as_bytes());
        let (symbols, versions) = (&tables.symbols, &tables.versions);
        let found = hash.find(tables.endian, name.as_bytes(), code, version, symbols, versions);
        found.map(|(index, _)| index)
    })
}

pub fn system_v_hash_lookup(subject: &Subject<'_>) -> Result<()> {
    by_class!(subject.bytes, system_v_hash_lookup_of(subject))
}

fn system_v_hash_lookup_of<Elf: FileHeader<Endian = Endianness>>(
    subject: &Subject<'_>,
) -> Result<()> {
    let tables = Tables::<Elf>::read(subject.bytes)?;
    let Some(hash) = &tables.system_v_hash else { return Ok(()) };
    every_export_is_found(subject, &tables, HashKind::SystemV, |name, version| {
        let code = elf::hash(name.as_bytes());
        let (symbols, versions) = (&tables.symbols, &tables.versions);
        let found = hash.find(tables.endian, name.as_bytes(), code, version, symbols, versions);
        found.map(|(index, _)| index)
    })
}

/// By our reader and, through `find`, by `object`'s.
fn every_export_is_found<Elf: FileHeader<Endian = Endianness>>(
    subject: &Subject<'_>,
    tables: &Tables<'_, Elf>,
    kind: HashKind,
    find: impl Fn(&str, Option<&Version<'_>>) -> Option<SymbolIndex>,
) -> Result<()> {
    let image = subject.image()?;
    for symbol in subject.exports()? {
        let Symbol { name, version, .. } = symbol;
        if image.has_hash_table(kind) {
            let found = image.lookup_by(kind, name, version);
            ensure!(found == Some(symbol), "{name} with version {version:?} is not found");
        }
        let index = tables.index_of(name).with_context(|| format!("{name} is in no section"))?;
        let version = tables.versions.version_index(tables.endian, index).index();
        let version = tables.versions.version(version)?;
        ensure!(find(name, version) == Some(index), "object's reader does not find {name}");
    }
    Ok(())
}

/// The same tables, as `object` finds them through the section headers.
struct Tables<'a, Elf: FileHeader<Endian = Endianness>> {
    endian: Endianness,
    symbols: SymbolTable<'a, Elf>,
    versions: VersionTable<'a, Elf>,
    gnu_hash: Option<GnuHashTable<'a, Elf>>,
    system_v_hash: Option<HashTable<'a, Elf>>,
}

impl<'a, Elf: FileHeader<Endian = Endianness>> Tables<'a, Elf> {
    fn read(bytes: &'a [u8]) -> read::Result<Self> {
        let header = Elf::parse(bytes)?;
        let endian = header.endian()?;
        let sections = header.sections(endian, bytes)?;
        Ok(Self {
            endian,
            symbols: sections.symbols(endian, bytes, elf::SHT_DYNSYM)?,
            versions: sections.versions(endian, bytes)?.unwrap_or_default(),
            gnu_hash: sections.gnu_hash(endian, bytes)?.map(|(table, _)| table),
            system_v_hash: sections.hash(endian, bytes)?.map(|(table, _)| table),
        })
    }

    fn index_of(&self, name: &str) -> Option<SymbolIndex> {
        let is_it = |index: &SymbolIndex| {
            let symbol = self.symbols.symbol(*index).ok();
            symbol.and_then(|it| self.symbols.symbol_name(self.endian, it).ok())
                == Some(name.as_bytes())
        };
        (1..self.symbols.len()).map(SymbolIndex).find(is_it)
    }
}

pub fn versions(subject: &Subject<'_>) -> Result<()> {
    let dynamic = subject.dynamic()?;
    for (name, tag) in [
        ("DT_VERSYM", elf::DT_VERSYM),
        ("DT_VERDEF", elf::DT_VERDEF),
        ("DT_VERDEFNUM", elf::DT_VERDEFNUM),
    ] {
        ensure!(dynamic.iter().any(|(found, _)| *found == tag), "there is no {name}");
    }
    let image = subject.image()?;
    let definitions = image.versions().collect::<Result<Vec<_>, _>>()?;
    for export in subject.architecture.exports {
        let version = export.version;
        let is_defined = definitions.iter().any(|it| it.name == version && !it.is_base);
        ensure!(is_defined, "the version {version} is not defined");
    }
    let count = dynamic.iter().find(|(tag, _)| *tag == elf::DT_VERDEFNUM).map(|(_, count)| *count);
    let is_count = count == Some(definitions.len() as u64);
    ensure!(is_count, "DT_VERDEFNUM is {count:?}, but there are {}", definitions.len());
    for symbol in subject.exports()? {
        let Some(export) = exports::promised(subject, symbol.name) else { continue };
        let is_right = symbol.version == Some(export.version);
        ensure!(is_right, "{} has version {:?}", symbol.name, symbol.version);
    }
    by_class!(subject.bytes, version_hash(subject))
}

/// glibc compares the hash of a version's name before the name.
fn version_hash<Elf: FileHeader<Endian = Endianness>>(subject: &Subject<'_>) -> Result<()> {
    let header = Elf::parse(subject.bytes)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, subject.bytes)?;
    let Some((mut definitions, strings)) = sections.gnu_verdef(endian, subject.bytes)? else {
        return Ok(());
    };
    let strings = sections.strings(endian, subject.bytes, strings)?;
    while let Some((definition, mut names)) = definitions.next()? {
        let Some(name) = names.next()? else { continue };
        let name = name.name(endian, strings)?;
        let hash = definition.vd_hash.get(endian);
        let text = String::from_utf8_lossy(name);
        ensure!(hash == elf::hash(name), "the hash of version {text} is {hash:#x}");
    }
    Ok(())
}
