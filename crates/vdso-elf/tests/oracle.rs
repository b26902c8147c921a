//! The reader against the `object` crate, over images of real kernels.

mod support;

use object::elf::{FileHeader32, FileHeader64, NoteType};
use object::read::elf::{FileHeader, ProgramHeader, Sym, VersionTable};
use object::{Endianness, FileKind, SymbolIndex};
use support::Sample;
use vdso_elf::{Class, HashKind, Image};

/// What both readers are asked for about a symbol.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    name: String,
    value: u64,
    size: u64,
    info: u8,
    section_index: u16,
    version: Option<String>,
}

/// What both readers are asked for about an image.
#[derive(Debug, PartialEq, Eq)]
struct Answers {
    entry: u64,
    machine: u16,
    load: (u64, u64),
    soname: Option<String>,
    build_id: Option<Vec<u8>>,
    notes: Vec<(String, u32, Vec<u8>)>,
    symbols: Vec<Row>,
}

#[test]
fn kernel_images_are_read_as_object_reads_them() {
    for sample in samples("kernel_images_are_read_as_object_reads_them") {
        let expected = match FileKind::parse(&*sample.bytes).expect("object knows ELF") {
            FileKind::Elf32 => by_object::<FileHeader32<Endianness>>(&sample.bytes),
            FileKind::Elf64 => by_object::<FileHeader64<Endianness>>(&sample.bytes),
            other => panic!("{} is {other:?}", sample.name),
        };
        assert_eq!(by_us(&sample.bytes), expected, "{}", sample.name);
    }
}

#[test]
fn every_export_is_found_by_every_hash_table_under_its_version_only() {
    let test = "every_export_is_found_by_every_hash_table_under_its_version_only";
    for sample in samples(test) {
        let image = Image::parse(&sample.bytes).expect("it is an image");
        let mut exports = 0;
        for symbol in image.symbols().map(|symbol| symbol.expect("it can be read")) {
            if !symbol.is_defined() || symbol.version.is_none() {
                continue;
            }
            exports += 1;
            for kind in [HashKind::Gnu, HashKind::SystemV] {
                if image.has_hash_table(kind) {
                    let found = image.lookup_by(kind, symbol.name, symbol.version);
                    assert_eq!(found, Some(symbol), "{}: {}", sample.name, symbol.name);
                }
            }
            assert_eq!(image.lookup(symbol.name, symbol.version), Some(symbol));
            assert_eq!(image.lookup(symbol.name, Some("LINUX_9.9")), None);
        }
        assert!(exports >= 3, "{}: {exports} exports", sample.name);
    }
}

#[test]
fn kernel_images_promise_the_kernel_that_they_are_of() {
    for sample in support::kernel_images("kernel_images_promise_the_kernel_that_they_are_of") {
        let image = Image::parse(&sample.bytes).expect("it is an image");
        let name = sample.name.replace("-compat-on", "");
        let release = name.split('-').find(|part| part.starts_with(|c: char| c.is_ascii_digit()));
        let mut numbers = release.expect("the name has a release").split('.');
        let major: u32 = numbers.next().and_then(|text| text.parse().ok()).expect("a number");
        let minor: u32 = numbers.next().and_then(|text| text.parse().ok()).expect("a number");
        // arm's images have the note, too; none is without it.
        let (code, offset) = image.linux_version().expect("it has the note");
        assert_eq!(code >> 8, major << 8 | minor, "{}", sample.name);
        assert!(offset < sample.bytes.len());
    }
}

fn samples(test: &str) -> Vec<Sample> {
    let mut samples = support::kernel_images(test);
    samples.extend(support::own_image(test));
    samples
}

fn by_us(bytes: &[u8]) -> Answers {
    let image = Image::parse(bytes).expect("it is an image");
    // The class decides where the entry has its `st_info`, which we do not give as it stands.
    let info_offset = match image.class() {
        Class::Elf32 => 12,
        Class::Elf64 => 4,
    };
    let symbols = image.symbols().map(|symbol| {
        let symbol = symbol.expect("a symbol of a real image can be read");
        Row {
            name: symbol.name.to_owned(),
            value: symbol.value,
            size: symbol.size,
            info: bytes[symbol.entry_offset + info_offset],
            section_index: symbol.section_index,
            version: symbol.version.map(str::to_owned),
        }
    });
    let notes = image.notes().map(|note| {
        let note = note.expect("a note of a real image can be read");
        assert!(bytes[note.description_offset..].starts_with(note.description));
        (note.owner.to_owned(), note.kind, note.description.to_vec())
    });
    Answers {
        entry: image.entry(),
        machine: image.machine().0,
        load: (image.load_segment().vaddr, image.load_segment().file_offset),
        soname: image.soname().map(str::to_owned),
        build_id: image.build_id().map(<[u8]>::to_vec),
        notes: notes.collect(),
        symbols: symbols.collect(),
    }
}

fn by_object<Elf: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Answers {
    let header = Elf::parse(bytes).expect("object reads the header");
    let endian = header.endian().expect("object knows the byte order");
    let segments = header.program_headers(endian, bytes).expect("object reads program headers");
    let load = segments
        .iter()
        .find(|segment| segment.p_type(endian) == object::elf::PT_LOAD)
        .expect("there is a segment");
    let mut notes = Vec::new();
    for segment in segments {
        let Some(mut iterator) = segment.notes(endian, bytes).expect("object reads notes") else {
            continue;
        };
        while let Some(note) = iterator.next().expect("object reads a note") {
            let owner = String::from_utf8_lossy(note.name()).into_owned();
            notes.push((owner, note.n_type(endian).0, note.desc().to_vec()));
        }
    }
    let is_build_id = |note: &&(String, u32, Vec<u8>)| {
        note.0 == "GNU" && NoteType(note.1) == object::elf::NT_GNU_BUILD_ID
    };
    Answers {
        entry: header.e_entry(endian).into(),
        machine: header.e_machine(endian).0,
        load: (load.p_vaddr(endian).into(), load.p_offset(endian).into()),
        soname: soname_by_object(header, endian, bytes),
        build_id: notes.iter().find(is_build_id).map(|note| note.2.clone()),
        symbols: symbols_by_object(header, endian, bytes),
        notes,
    }
}

fn soname_by_object<Elf: FileHeader<Endian = Endianness>>(
    header: &Elf,
    endian: Endianness,
    bytes: &[u8],
) -> Option<String> {
    let sections = header.sections(endian, bytes).expect("object reads sections");
    let table = sections.dynamic_table(endian, bytes).expect("object reads the dynamic table");
    let soname = table.iter().find(|entry| entry.tag == object::elf::DT_SONAME)?;
    let name = table.string(soname).expect("object reads the name");
    Some(String::from_utf8_lossy(name).into_owned())
}

fn symbols_by_object<Elf: FileHeader<Endian = Endianness>>(
    header: &Elf,
    endian: Endianness,
    bytes: &[u8],
) -> Vec<Row> {
    let sections = header.sections(endian, bytes).expect("object reads sections");
    let table = sections
        .symbols(endian, bytes, object::elf::SHT_DYNSYM)
        .expect("object reads dynamic symbols");
    let versions: VersionTable<'_, Elf> =
        sections.versions(endian, bytes).expect("object reads versions").unwrap_or_default();
    let mut rows = Vec::new();
    for index in 1..table.len() {
        let symbol = table.symbol(SymbolIndex(index)).expect("object reads a symbol");
        let version = versions.version_index(endian, SymbolIndex(index)).index();
        let version = versions.version(version).expect("object knows the version");
        let name = symbol.name(endian, table.strings()).expect("object reads a name");
        rows.push(Row {
            name: String::from_utf8_lossy(name).into_owned(),
            value: symbol.st_value(endian).into(),
            size: symbol.st_size(endian).into(),
            info: symbol.st_info().0,
            section_index: symbol.st_shndx(endian).0,
            version: version.map(|version| String::from_utf8_lossy(version.name()).into_owned()),
        });
    }
    rows
}
