//! The reader against made images: every class, byte order and set of tables, and every way to break
//! one.

use made_images::{ByteOrder, Class, HashTables, Made, Place, Recipe, Sections, Symbol, Versions};
use made_images::{Extent, FoundBy, SymbolField, broken, make};
use vdso_elf::{Binding, Error, HashKind, Image, Kind, Table};

/// Every combination of what an image can be and have.
fn every_image() -> impl Iterator<Item = Made> {
    Recipe::all().into_iter().map(|recipe| make(&recipe))
}

fn plain() -> Recipe {
    Recipe::new(Class::Elf64, ByteOrder::Little)
}

#[test]
fn every_class_byte_order_link_base_and_set_of_tables_is_read() {
    for made in every_image() {
        let recipe = &made.recipe;
        let image = Image::parse(&made.bytes).expect("a made image is an image");
        assert_eq!(image.class() == vdso_elf::Class::Elf64, recipe.class == Class::Elf64);
        let is_little = image.byte_order() == vdso_elf::ByteOrder::Little;
        assert_eq!(is_little, recipe.byte_order == ByteOrder::Little);
        assert_eq!(image.machine().0, recipe.machine);
        assert_eq!(image.load_segment().vaddr, recipe.link_base);
        assert_eq!(image.file_offset(image.entry()), Some(made.parts.content.at));
        assert_eq!(image.segments().count(), 2 + made.parts.notes.len());
        assert_eq!(image.soname(), Some(recipe.soname));
        assert_eq!(image.has_hash_table(HashKind::Gnu), recipe.hash_tables.has_gnu());
        assert_eq!(image.has_hash_table(HashKind::SystemV), recipe.hash_tables.has_system_v());
    }
}

#[test]
fn every_note_is_read() {
    for made in every_image() {
        let image = Image::parse(&made.bytes).expect("it is an image");
        let notes: Result<Vec<_>, _> = image.notes().collect();
        let notes = notes.expect("its notes can be read");
        assert_eq!(notes.len(), made.recipe.notes.len());
        for (note, expected) in notes.iter().zip(&made.recipe.notes) {
            assert_eq!((note.owner, note.kind), (expected.owner, expected.kind));
            assert!(made.bytes[note.description_offset..].starts_with(note.description));
        }
        assert_eq!(image.build_id(), Some(b"\x01\x02\x03\x04\x05\x06\x07".as_slice()));
        let (code, offset) = image.linux_version().expect("it has the note");
        assert_eq!(code, 0x0006_0c01);
        let encoded = match made.recipe.byte_order {
            ByteOrder::Little => code.to_le_bytes(),
            ByteOrder::Big => code.to_be_bytes(),
        };
        assert_eq!(made.bytes[offset..offset + 4], encoded);
    }
}

/// Whether the symbols' number is known: by a hash table or a section header.
fn is_countable(recipe: &Recipe) -> bool {
    recipe.hash_tables != HashTables::None || recipe.sections == Sections::All
}

#[test]
fn every_symbol_is_listed_as_it_was_made() {
    for made in every_image().filter(|made| is_countable(&made.recipe)) {
        let image = Image::parse(&made.bytes).expect("it is an image");
        let symbols: Result<Vec<_>, _> = image.symbols().collect();
        let symbols = symbols.expect("its symbols can be read");
        assert_eq!(symbols.len(), made.symbols.len());
        for (symbol, expected) in symbols.iter().zip(&made.symbols) {
            check_symbol(&made, symbol, expected);
        }
    }
}

fn check_symbol(made: &Made, symbol: &vdso_elf::Symbol<'_>, expected: &Symbol) {
    assert_eq!(symbol.name, expected.name);
    let has_versions = made.recipe.versions == Versions::Both;
    assert_eq!(symbol.version, expected.version.filter(|_| has_versions));
    assert_eq!(symbol.binding, binding(expected));
    assert_eq!(symbol.kind, kind(expected));
    match expected.place {
        Place::Piece(piece) | Place::HiddenPiece(piece) => {
            let at = made.parts.content.at + 16 * piece as usize;
            assert_eq!((symbol.value, symbol.size), (made.vaddr(at), 16));
            assert_eq!(symbol.file_offset, Some(at));
            assert!(symbol.is_defined() && !symbol.is_absolute());
        }
        Place::Code { number, displacement } => {
            let code = made.recipe.code[number];
            let at = symbol.file_offset.expect("it is in the image") - displacement as usize;
            assert_eq!(symbol.value, made.vaddr(at) + displacement);
            assert!(made.bytes[at..].starts_with(code));
            assert_eq!(symbol.size, code.len() as u64);
        }
        Place::Absolute(number) => {
            assert_eq!((symbol.value, symbol.size, symbol.file_offset), (number, 0, None));
            assert!(symbol.is_defined() && symbol.is_absolute());
        }
        Place::Undefined => {
            assert_eq!((symbol.value, symbol.size, symbol.file_offset), (0, 0, None));
            assert!(!symbol.is_defined());
        }
    }
}

#[test]
fn code_is_where_its_symbol_points() {
    for (class, displacement) in [(Class::Elf32, 0), (Class::Elf32, 1), (Class::Elf64, 0)] {
        let code = |number| Place::Code { number, displacement };
        let mut recipe = Recipe::new(class, ByteOrder::Little);
        recipe.symbols.extend([
            Symbol::function("second", code(1)),
            Symbol::function("first", code(0)),
            Symbol::function("also_first", code(0)),
        ]);
        recipe.code = vec![b"first code", &[0x55; 64]];
        let made = make(&recipe);
        let image = Image::parse(&made.bytes).expect("it is an image");
        let symbols: Result<Vec<_>, _> = image.symbols().collect();
        for (symbol, expected) in symbols.expect("symbols").iter().zip(&made.symbols) {
            check_symbol(&made, symbol, expected);
        }
        let value = |name| image.lookup(name, None).expect("it is exported").value;
        assert_eq!(value("second") - value("first"), 64);
        assert_eq!(value("also_first"), value("first"));
    }
}

fn binding(symbol: &Symbol) -> Binding {
    match symbol.binding {
        made_images::Binding::Local => Binding::Local,
        made_images::Binding::Global => Binding::Global,
        made_images::Binding::Weak => Binding::Weak,
    }
}

fn kind(symbol: &Symbol) -> Kind {
    match symbol.kind {
        made_images::Kind::Untyped => Kind::Untyped,
        made_images::Kind::Object => Kind::Object,
        made_images::Kind::Function => Kind::Function,
    }
}

/// The symbol that a program should find, by what the image was made of.
fn wanted<'a>(made: &'a Made, name: &str, version: Option<&str>) -> Option<&'a Symbol> {
    let has_versions = made.recipe.versions == Versions::Both;
    made.symbols.iter().find(|symbol| {
        let is_visible =
            symbol.binding != made_images::Binding::Local && symbol.place != Place::Undefined;
        let is_hidden = matches!(symbol.place, Place::HiddenPiece(_));
        let is_version = match version {
            Some(version) if has_versions => symbol.version == Some(version),
            _ => !(has_versions && is_hidden),
        };
        symbol.name == name && is_visible && is_version
    })
}

#[test]
fn a_lookup_finds_what_was_made_and_nothing_else() {
    let names = ["__vdso_clock_gettim", "__vdso_clock_gettime2", "", "absent"];
    let versions = [None, Some("LINUX_2.6"), Some("LINUX_2.5"), Some("LINUX_9.9"), Some("")];
    for made in every_image() {
        let image = Image::parse(&made.bytes).expect("it is an image");
        for name in made.symbols.iter().map(|symbol| symbol.name).chain(names) {
            for version in versions {
                let expected = wanted(&made, name, version);
                let found = image.lookup(name, version);
                let by = |kind| image.lookup_by(kind, name, version);
                for kind in [HashKind::Gnu, HashKind::SystemV] {
                    let expected = found.filter(|_| image.has_hash_table(kind));
                    // Which of two of the same name comes first is not the same in both tables.
                    if version.is_some() && made.recipe.versions == Versions::Both {
                        assert_eq!(by(kind), expected, "{name} {version:?} by {kind:?}");
                    }
                }
                let expected = expected.filter(|_| is_countable(&made.recipe));
                assert_eq!(found.is_some(), expected.is_some(), "{name} {version:?}");
                let is_ambiguous =
                    name == "__vdso_getcpu" && made.recipe.versions != Versions::Both;
                if let (Some(found), Some(expected), false) = (found, expected, is_ambiguous) {
                    check_symbol(&made, &found, expected);
                }
            }
        }
    }
}

#[test]
fn two_functions_of_one_name_are_told_apart_by_version_and_the_hidden_one_needs_it() {
    let made = make(&plain());
    let image = Image::parse(&made.bytes).expect("it is an image");
    let offset = |version| image.lookup("__vdso_getcpu", version).and_then(|it| it.file_offset);
    let (new, old) = (offset(Some("LINUX_2.6")), offset(Some("LINUX_2.5")));
    assert_eq!(new, Some(made.parts.content.at + 16 * 5));
    assert_eq!(old, Some(made.parts.content.at + 16 * 6));
    assert_eq!(offset(None), new);
}

#[test]
fn without_definitions_versions_are_reported_and_not_looked_at() {
    for made in every_image().filter(|made| made.recipe.versions != Versions::Both) {
        let image = Image::parse(&made.bytes).expect("it is an image");
        let missing = Error::NoTable(Table::VersionDefinitions);
        let is_reported = image.problems().any(|problem| problem == missing);
        assert_eq!(is_reported, made.recipe.versions == Versions::WithoutDefinitions);
        if is_countable(&made.recipe) {
            let found = image.lookup("__vdso_time", Some("LINUX_9.9")).expect("it is found");
            assert_eq!(found.version, None);
            assert_eq!(image.versions().count(), 0);
        }
    }
}

#[test]
fn a_zeroed_section_index_hides_a_symbol() {
    for mut made in every_image().filter(|made| is_countable(&made.recipe)) {
        let image = Image::parse(&made.bytes).expect("it is an image");
        let symbol = image.lookup("__vdso_time", Some("LINUX_2.6")).expect("it is exported");
        let at = symbol.section_index_offset;
        let field = made.symbol_field("__vdso_time", SymbolField::SectionIndex);
        assert_eq!(at, field.at);
        made.put(field, 0);
        let image = Image::parse(&made.bytes).expect("it is still an image");
        assert_eq!(image.lookup("__vdso_time", Some("LINUX_2.6")), None);
        assert!(image.lookup("__vdso_clock_gettime", Some("LINUX_2.6")).is_some());
    }
}

#[test]
fn a_healthy_image_has_no_problems() {
    for made in every_image() {
        let is_whole = made.recipe.versions != Versions::WithoutDefinitions;
        if is_whole && is_countable(&made.recipe) {
            let image = Image::parse(&made.bytes).expect("it is an image");
            assert_eq!(image.problems().collect::<Vec<_>>(), []);
        }
    }
}

#[test]
fn everything_that_can_be_wrong_has_a_reason_of_its_own() {
    for recipe in Recipe::all() {
        let is_first = recipe.hash_tables == HashTables::Both
            && recipe.versions == Versions::Both
            && recipe.sections == Sections::None;
        for case in broken(&recipe).into_iter().filter(|_| is_first) {
            let reasons: Vec<String> = match (Image::parse(&case.bytes), case.found_by) {
                (Err(error), FoundBy::Parsing) => vec![error.to_string()],
                (Ok(image), FoundBy::Looking) => {
                    image.problems().map(|problem| problem.to_string()).collect()
                }
                (other, found_by) => panic!("{} {found_by:?}: {other:?}", case.what),
            };
            let (what, reason) = (case.what, case.reason);
            assert!(reasons.contains(&reason), "{what}: {reasons:?} instead of {reason:?}");
        }
    }
}

#[test]
fn what_is_broken_is_never_an_answer() {
    for recipe in [plain(), Recipe { link_base: 0x1_0000, ..plain() }] {
        let cases = broken(&recipe).into_iter().filter(|case| case.what.starts_with("a symbol "));
        for case in cases {
            let image = Image::parse(&case.bytes).expect("it is an image");
            for kind in [HashKind::Gnu, HashKind::SystemV] {
                assert_eq!(image.lookup_by(kind, "__vdso_clock_gettime", None), None);
                assert!(image.lookup_by(kind, "__vdso_time", Some("LINUX_2.6")).is_some());
            }
        }
    }
}

#[test]
fn a_symbol_whose_version_cannot_be_read_is_found_without_one() {
    let cases = broken(&plain());
    let case = cases.iter().find(|case| case.what == "a version that nothing defines");
    let image = Image::parse(&case.expect("there is the case").bytes).expect("it is an image");
    let found = image.lookup("__vdso_clock_gettime", None).expect("it is found");
    assert_eq!(found.version, None);
    assert_eq!(image.lookup("__vdso_clock_gettime", Some("LINUX_2.6")), None);
}

#[test]
fn the_definition_that_names_the_file_is_no_version_of_a_symbol() {
    let mut made = make(&plain());
    // It comes first, and is given the number of LINUX_2.5.
    let number = Extent { at: made.parts.version_definitions.at + 4, bytes: 2 };
    made.put(number, 2);
    let image = Image::parse(&made.bytes).expect("it is an image");
    let base = image.versions().next().expect("there is one").expect("it can be read");
    assert_eq!((base.name, base.index, base.is_base), (made.recipe.soname, 2, true));
    let found = image.lookup("__kernel_sigreturn", None).expect("it is found");
    assert_eq!(found.version, Some("LINUX_2.5"));
    assert_eq!(image.lookup("__kernel_sigreturn", Some("LINUX_2.5")), Some(found));
    assert_eq!(image.lookup("__kernel_sigreturn", Some(made.recipe.soname)), None);
}

#[test]
fn the_extent_is_what_the_first_segment_maps() {
    for recipe in Recipe::all() {
        let mut made = make(&recipe);
        let segment = Image::parse(&made.bytes).expect("it is an image").load_segment();
        let end = usize::try_from(segment.file_offset + segment.file_bytes).expect("it fits");
        assert_eq!(vdso_elf::extent(&made.bytes), Ok(end));
        if recipe.class == Class::Elf64 {
            // No memory is as long, nor can be once whole pages are counted.
            for bytes in [u64::MAX, u64::MAX - segment.file_offset, 1 << 63, (1 << 63) - 1] {
                made.put(made.segment_bytes(0), bytes);
                assert_eq!(vdso_elf::extent(&made.bytes), Err(Error::ImageTooLong), "{bytes:#x}");
            }
        }
    }
}
