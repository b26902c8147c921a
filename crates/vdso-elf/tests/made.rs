//! The reader against made images: every class and byte order, and every part that may be missing.

mod support;

use support::made::{self, EXPORTS, PLAIN, Recipe};
use vdso_elf::{Binding, ByteOrder, Class, Error, HashKind, Image, Kind, Table};

const CLASSES: [Class; 2] = [Class::Elf32, Class::Elf64];
const BYTE_ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

/// x86-64 and the two whose DT_HASH words may have 64 bits.
const MACHINES: [u16; 3] = [62, 22, 0x9026];

fn every_recipe() -> Vec<Recipe> {
    let mut recipes = Vec::new();
    for class in CLASSES {
        for byte_order in BYTE_ORDERS {
            for machine in MACHINES {
                for link_base in [0, 0x1_0000] {
                    for (gnu_hash, system_v_hash) in [(true, true), (true, false), (false, true)] {
                        let recipe = Recipe { class, byte_order, machine, ..PLAIN };
                        recipes.push(Recipe { link_base, gnu_hash, system_v_hash, ..recipe });
                    }
                    let recipe = Recipe { class, byte_order, machine, link_base, ..PLAIN };
                    let section_headers = true;
                    let (gnu_hash, system_v_hash) = (false, false);
                    recipes.push(Recipe { gnu_hash, system_v_hash, section_headers, ..recipe });
                }
            }
        }
    }
    recipes
}

#[test]
fn every_class_byte_order_link_base_and_hash_table_is_read() {
    for recipe in every_recipe() {
        let bytes = made::make(recipe);
        let image = Image::parse(&bytes).expect("a made image is an image");
        assert_eq!(image.class(), recipe.class);
        assert_eq!(image.byte_order(), recipe.byte_order);
        assert_eq!(image.machine().0, recipe.machine);
        assert_eq!(image.load_segment().vaddr, recipe.link_base);
        assert_eq!(image.file_offset(image.entry()), Some(made::TEXT as usize));
        assert_eq!(image.segments().count(), 3);
        assert_eq!(image.soname(), Some(made::SONAME));
        assert_eq!(image.build_id(), Some(made::BUILD_ID.as_slice()));
        let (code, offset) = image.linux_version().expect("it has the note");
        assert_eq!(code, made::VERSION_CODE);
        let written = match recipe.byte_order {
            ByteOrder::Little => code.to_le_bytes(),
            ByteOrder::Big => code.to_be_bytes(),
        };
        assert_eq!(bytes[offset..offset + 4], written);
        check_symbols(&image);
    }
}

fn check_symbols(image: &Image<'_>) {
    let symbols: Result<Vec<_>, _> = image.symbols().collect();
    let symbols = symbols.expect("its symbols can be read");
    assert_eq!(symbols[0].name, made::UNDEFINED);
    assert!(!symbols[0].is_defined());
    assert_eq!(image.lookup(made::UNDEFINED, None), None);
    assert_eq!(symbols.len(), 1 + EXPORTS.len());
    for (index, (name, version)) in EXPORTS.into_iter().enumerate() {
        let symbol = image.lookup(name, Some(version)).expect("it is exported");
        assert_eq!(symbol, symbols[1 + index]);
        assert_eq!(image.lookup(name, None), Some(symbol));
        assert_eq!(image.lookup(name, Some("LINUX_9.9")), None);
        assert_eq!(symbol.name, name);
        assert_eq!(symbol.version, Some(version));
        assert_eq!(symbol.size, made::FUNCTION_BYTES);
        assert_eq!(symbol.binding, Binding::Global);
        assert_eq!(symbol.kind, Kind::Function);
        let offset = made::function_offset(index) as usize;
        assert_eq!(image.file_offset(symbol.value), Some(offset));
        for kind in [HashKind::Gnu, HashKind::SystemV] {
            let found = image.lookup_by(kind, name, Some(version));
            assert_eq!(found, image.has_hash_table(kind).then_some(symbol));
        }
    }
    assert_eq!(image.lookup("__vdso_clock_gettim", None), None);
    assert_eq!(image.lookup("", None), None);
}

#[test]
fn a_zeroed_section_index_hides_a_symbol() {
    for recipe in every_recipe() {
        let mut bytes = made::make(recipe);
        let (hidden, version) = EXPORTS[1];
        let image = Image::parse(&bytes).expect("it is an image");
        let symbol = image.lookup(hidden, Some(version)).expect("it is exported");
        let at = symbol.section_index_offset;
        assert!(at > symbol.entry_offset);
        bytes[at..at + 2].fill(0);
        let image = Image::parse(&bytes).expect("it is still an image");
        for (name, version) in EXPORTS {
            assert_eq!(image.lookup(name, Some(version)).is_none(), name == hidden);
        }
    }
}

#[test]
fn a_symbol_outside_the_image_is_never_an_answer() {
    let mut bytes = made::make(PLAIN);
    let (name, version) = EXPORTS[0];
    let image = Image::parse(&bytes).expect("it is an image");
    let symbol = image.lookup(name, Some(version)).expect("it is exported");
    let value_at = symbol.section_index_offset + 2;
    bytes[value_at + 4] = 1;
    let image = Image::parse(&bytes).expect("it is still an image");
    assert_eq!(image.lookup(name, Some(version)), None);
}

#[test]
fn without_any_count_the_symbols_are_an_error() {
    let bytes = made::make(Recipe { gnu_hash: false, system_v_hash: false, ..PLAIN });
    let image = Image::parse(&bytes).expect("it is an image");
    let symbols: Vec<_> = image.symbols().collect();
    assert_eq!(symbols, [Err(Error::UnknownSymbolCount)]);
    assert_eq!(image.lookup(EXPORTS[0].0, None), None);
}

/// Where the made images have what these tests spoil (64 bits, little endian).
const E_TYPE: usize = 16;
const E_PHENTSIZE: usize = 54;
const P_TYPE_LOAD: usize = 0x40;
const P_TYPE_DYNAMIC: usize = 0x40 + 56;
const DT_STRTAB_TAG: usize = 0x490;
const DT_STRSZ_VALUE: usize = 0x4a8;
const DT_SYMTAB_VALUE: usize = 0x4b8;
const DT_SYMENT_VALUE: usize = 0x4c8;

#[test]
fn every_spoilt_part_has_an_error_of_its_own() {
    let spoils: [(usize, u8, Error); 11] = [
        (0, 0, Error::NotElf),
        (4, 3, Error::UnknownClass(3)),
        (5, 0, Error::UnknownByteOrder(0)),
        (E_TYPE, 2, Error::NotSharedObject { kind: 2 }),
        (E_PHENTSIZE, 55, Error::ProgramHeaderSize { bytes: 55 }),
        (P_TYPE_LOAD, 9, Error::NoLoadSegment),
        (P_TYPE_DYNAMIC, 9, Error::NoDynamicSegment),
        (DT_STRTAB_TAG, 21, Error::NoTable(Table::Strings)),
        (DT_STRSZ_VALUE + 3, 1, Error::TableTruncated(Table::Strings)),
        (DT_SYMTAB_VALUE + 3, 1, Error::TableOutside { table: Table::Symbols, vaddr: 0x0100_0200 }),
        (DT_SYMENT_VALUE, 16, Error::SymbolSize { bytes: 16 }),
    ];
    for (at, byte, expected) in spoils {
        let mut bytes = made::make(PLAIN);
        bytes[at] = byte;
        let error = Image::parse(&bytes).expect_err("it is spoilt");
        assert_eq!(error, expected);
        let text = error.to_string();
        assert!(!text.ends_with('.') && text.len() > 10, "{text}");
    }
}

#[test]
fn truncation_says_where() {
    let bytes = made::make(PLAIN);
    let error = |length: usize| Image::parse(&bytes[..length]).expect_err("it is cut");
    assert_eq!(error(3), Error::NotElf);
    assert_eq!(error(0x3f), Error::HeaderTruncated);
    assert_eq!(error(0x41), Error::ProgramHeadersTruncated);
    assert_eq!(error(0x481), Error::TableTruncated(Table::Dynamic));
    assert_eq!(error(0x41).to_string(), "the file ends inside the program headers");
}
