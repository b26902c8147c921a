//! The reader against the `object` crate: over images of real kernels and made ones, over broken
//! ones, and over images with one byte changed.
//!
//! `object` reads the ELF header, the program headers and the notes where we do, and the tables of
//! symbols where the section headers say they are; we take these from the dynamic table, as a
//! program does that has nothing but the mapped image. So a damaged dynamic table or section header
//! shows in one of the two only, and there the tables are not compared.

mod support;

use made_images::{ByteOrder, Class, Made, Recipe, Sections, Versions, broken, make};
use support::by_object::{self, Answers, Row, Segment};
use support::by_us;
use vdso_elf::abi::PT_NOTE;
use vdso_elf::{Error, HashKind, Image};

/// Whether both readers look for the tables of symbols in the same places.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tables {
    Same,
    /// What says where they are is damaged.
    MayDiffer,
}

#[test]
fn healthy_images_are_read_as_object_reads_them() {
    let test = "healthy_images_are_read_as_object_reads_them";
    let mut samples = support::kernel_images(test);
    samples.extend(support::own_image(test));
    for sample in samples {
        compare_healthy(&sample.bytes, &sample.name);
    }
    // Where versions are not defined, object gives no symbol that has one; tests/made.rs tells what we
    // do there.
    let is_for_object = |recipe: &Recipe| {
        recipe.sections == Sections::All && recipe.versions != Versions::WithoutDefinitions
    };
    for recipe in Recipe::all().into_iter().filter(is_for_object) {
        compare_healthy(&make(&recipe).bytes, "made");
    }
}

fn compare_healthy(bytes: &[u8], name: &str) {
    let image = Image::parse(bytes).expect("it is an image");
    let ours = by_us::ask(&image);
    let theirs = by_object::ask(bytes).expect("object reads it");
    assert!(ours.symbols.iter().all(Result::is_ok), "{name}");
    assert!(!ours.symbols.is_empty() && !ours.notes.is_empty(), "{name}");
    check(&ours, &theirs, Tables::Same).unwrap_or_else(|why| panic!("{name}: {why}"));
    // s390x and Alpha: object takes the words for 32 bits wide.
    let is_narrow = !by_us::has_wide_hash_words(&image);
    let lookups = by_us::look_up(&image, is_narrow);
    assert_eq!(lookups, by_object::look_up(bytes, is_narrow), "{name}");
    let count = lookups.iter().filter(|found| found.value.is_some()).count();
    assert!(count >= 1 || !image.has_hash_table(HashKind::Gnu), "{name}: {count} found");
}

#[test]
fn broken_images_are_read_as_object_reads_them() {
    for class in Class::ALL {
        for byte_order in ByteOrder::ALL {
            let recipe = Recipe { sections: Sections::All, ..Recipe::new(class, byte_order) };
            for case in broken(&recipe) {
                compare_damaged(&case.bytes, Tables::MayDiffer)
                    .unwrap_or_else(|why| panic!("{}: {why}", case.what));
            }
        }
    }
}

#[test]
fn images_with_one_byte_changed_are_read_as_object_reads_them() {
    for class in Class::ALL {
        for byte_order in ByteOrder::ALL {
            let recipe = Recipe { sections: Sections::All, ..Recipe::new(class, byte_order) };
            let made = make(&recipe);
            compare_mutations(&made.bytes, |at| tables_of(&made, at));
        }
    }
}

#[test]
fn a_kernels_image_with_one_byte_changed_is_read_as_object_reads_it() {
    let test = "a_kernels_image_with_one_byte_changed_is_read_as_object_reads_it";
    let images = support::kernel_images(test);
    if let Some(newest) = images.iter().rfind(|sample| sample.name.starts_with("amd64")) {
        let image = Image::parse(&newest.bytes).expect("it is an image");
        let entries = image.symbols().map(|symbol| symbol.expect("it can be read").entry_offset);
        let (first, last) = (entries.clone().min(), entries.max());
        compare_mutations(&newest.bytes, |at| {
            let is_symbol =
                first.is_some_and(|first| first <= at) && last.is_some_and(|last| at < last);
            if is_symbol { Tables::Same } else { Tables::MayDiffer }
        });
    }
}

fn compare_mutations(bytes: &[u8], tables: impl Fn(usize) -> Tables) {
    let mut damaged = bytes.to_vec();
    for at in 0..bytes.len() {
        for value in [0, 0xff, bytes[at] ^ 1, bytes[at] ^ 0x80, bytes[at].wrapping_add(1)] {
            damaged[at] = value;
            compare_damaged(&damaged, tables(at))
                .unwrap_or_else(|why| panic!("byte {at:#x} set to {value:#x}: {why}"));
        }
        damaged[at] = bytes[at];
    }
}

/// Strings, symbols and versions are found alike by both, as long as the headers, the dynamic table
/// and what comes after it (the section headers) are as they were.
fn tables_of(made: &Made, at: usize) -> Tables {
    let parts = &made.parts;
    let is_in = |part: made_images::Extent| (part.at..part.at + part.bytes).contains(&at);
    let compared = [parts.strings, parts.symbols, parts.symbol_versions, parts.content];
    let is_same = compared.into_iter().chain(parts.notes.iter().copied()).any(is_in);
    if is_same { Tables::Same } else { Tables::MayDiffer }
}

/// What both say about an image of which a part may be damaged; an error is a difference that has
/// no explanation.
fn compare_damaged(bytes: &[u8], tables: Tables) -> Result<(), String> {
    match (Image::parse(bytes), by_object::ask(bytes)) {
        (Ok(image), Ok(theirs)) => check(&by_us::ask(&image), &theirs, tables),
        (Err(_), Err(_)) => Ok(()),
        (Err(error), Ok(_)) if is_of_no_concern_to_object(error) => Ok(()),
        // object has no use for the size of what there is none of.
        (Err(Error::ProgramHeaderSize { .. }), Ok(theirs)) if theirs.segments.is_empty() => Ok(()),
        (Err(error), Ok(_)) => Err(format!("object reads it, we do not: {error}")),
        (Ok(_), Err(error)) => Err(format!("we read it, object does not: {error}")),
    }
}

/// Reasons to refuse an image that other ELF files do not have to fear: what we take from the dynamic
/// table and `object` does not, and what makes a file something else than a shared object.
fn is_of_no_concern_to_object(error: Error) -> bool {
    !matches!(
        error,
        Error::NotElf
            | Error::UnknownClass(_)
            | Error::UnknownByteOrder(_)
            | Error::UnknownElfVersion(_)
            | Error::HeaderTruncated
            | Error::ProgramHeaderSize { .. }
            | Error::ProgramHeadersTruncated
    )
}

fn check(ours: &Answers, theirs: &Answers<&'static str>, tables: Tables) -> Result<(), String> {
    let same = |what: &str, is_same: bool| if is_same { Ok(()) } else { Err(what.to_owned()) };
    same("machine or entry", (ours.machine, ours.entry) == (theirs.machine, theirs.entry))?;
    same("segments", ours.segments == theirs.segments)?;
    // object reads no notes of an alignment that nobody has; we take all but 8 for 4.
    let is_odd = |segment: &Segment| segment.kind == PT_NOTE && !matches!(segment.align, 0..=4 | 8);
    if ours.notes != theirs.notes && !ours.segments.iter().any(is_odd) {
        return Err(format!("notes: {:?} and {:?}", ours.notes, theirs.notes));
    }
    if tables == Tables::MayDiffer {
        return Ok(());
    }
    same("SONAME", ours.soname == theirs.soname)?;
    same("number of symbols", ours.symbols.len() == theirs.symbols.len())?;
    for (ours, theirs) in ours.symbols.iter().zip(&theirs.symbols) {
        check_symbol(ours, theirs)?;
    }
    Ok(())
}

fn check_symbol(
    ours: &Result<Row, Error>,
    theirs: &Result<Row, &'static str>,
) -> Result<(), String> {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) if ours == theirs => Ok(()),
        (Err(_), Err(_)) => Ok(()),
        // object does not ask whether a symbol's address is in the file.
        (Err(Error::SymbolOutside { vaddr, bytes }), Ok(theirs))
            if (*vaddr, *bytes) == (theirs.value, theirs.size) =>
        {
            Ok(())
        }
        // object gives the version of a symbol that the image only refers to; it has none.
        (Ok(ours), theirs) if ours.section_index == 0 => match theirs {
            Ok(theirs) if ours.name == theirs.name => Ok(()),
            Err("version") => Ok(()),
            _ => Err(format!("{ours:?} and {theirs:?}")),
        },
        _ => Err(format!("{ours:?} and {theirs:?}")),
    }
}

#[test]
fn every_export_is_found_by_every_hash_table_under_its_version_only() {
    let test = "every_export_is_found_by_every_hash_table_under_its_version_only";
    let mut samples = support::kernel_images(test);
    samples.extend(support::own_image(test));
    for sample in samples {
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
