//! The table of names against real images of many kernels: the folder that `VDSO_IMAGES` names has
//! files called `ARCHITECTURE-KERNEL.so`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use test_support::{Lacking, skip};
use vdso_client::Call;
use vdso_client::names::{ABIS, Abi, Purpose};
use vdso_data::architecture;
use vdso_elf::abi::Machine;
use vdso_elf::{Class, Image, Kind};

#[test]
fn every_row_is_one_abi_and_names_each_purpose_once() {
    for (index, abi) in ABIS.iter().enumerate() {
        let is_twin = |other: &Abi| other.machine == abi.machine && other.class == abi.class;
        assert!(!ABIS[..index].iter().any(is_twin), "{} is there twice", abi.name);
        assert!(std::ptr::eq(Abi::of(abi.machine, abi.class).expect("its own row"), abi));
        for call in Call::ALL {
            for purpose in [Purpose::Call(call), Purpose::Time64(call)] {
                let count = abi.functions.iter().filter(|it| it.purpose == purpose).count();
                assert!(count <= 1, "{}: {count} for {purpose:?}", abi.name);
            }
        }
        let usual = |it: &&vdso_client::names::Function| it.version == abi.version;
        let count = abi.functions.iter().filter(usual).count();
        assert!(count > 0, "{}: no function has the version {}", abi.name, abi.version);
    }
}

#[test]
fn times_of_64_bits_are_preferred() {
    let i386 = ABIS.iter().find(|abi| abi.name == "i386").expect("a row");
    let function = i386.function(Call::ClockGettime).expect("it has the call");
    assert_eq!(function.name, "__vdso_clock_gettime64");
    let function = i386.function(Call::Time).expect("it has the call");
    assert_eq!(function.name, "__vdso_time");
}

#[test]
fn this_program_has_a_row() {
    let abi = Abi::CURRENT.expect("tests run where there is a vDSO");
    assert_eq!(abi.class == vdso_elf::Class::Elf64, cfg!(target_pointer_width = "64"));
}

/// Each function that an image exports is in its row, under the version that it has there.
#[test]
fn real_images_export_what_the_table_says() {
    let Some(folder) = std::env::var_os("VDSO_IMAGES") else {
        let reason = "VDSO_IMAGES names no folder of real vDSO images";
        return skip(Lacking::Kernel, "real_images_export_what_the_table_says", reason);
    };
    let files = images_in(Path::new(&folder));
    assert!(!files.is_empty(), "no image in {}", Path::new(&folder).display());
    let mut seen = BTreeSet::new();
    for file in files {
        seen.insert(compare(&file));
    }
    println!("rows seen: {seen:?}");
}

/// Gives the row's name.
fn compare(file: &Path) -> &'static str {
    let name = file.display();
    let bytes = std::fs::read(file).expect("an image");
    let image = Image::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    let abi = Abi::of(image.machine(), image.class()).unwrap_or_else(|| panic!("{name}: no row"));
    let soname = image.soname().expect("a soname");
    assert!(abi.sonames.contains(&soname), "{name}: {soname} is none of {:?}", abi.sonames);
    let mut calls = 0;
    for symbol in image.symbols() {
        let symbol = symbol.unwrap_or_else(|error| panic!("{name}: {error}"));
        // s390x's and others' trampolines have no type.
        let is_code = matches!(symbol.kind, Kind::Function | Kind::Untyped);
        if !symbol.is_defined() || symbol.is_absolute() || !is_code {
            continue;
        }
        let is_plain = !symbol.name.starts_with("__");
        let row = abi.functions.iter().find(|function| {
            function.name == symbol.name
                || is_plain
                    && abi.has_plain_aliases
                    && function.name.strip_prefix(abi.prefix) == Some(symbol.name)
        });
        let row = row.unwrap_or_else(|| panic!("{name}: {} is not in the table", symbol.name));
        assert_eq!(symbol.version, Some(row.version), "{name}: {}", symbol.name);
        calls += usize::from(row.purpose != Purpose::Other);
    }
    assert!(calls > 0, "{name}: no call");
    abi.name
}

/// The images of this project are to be taken for the kernel's: the same functions, all of them.
#[test]
fn our_images_have_what_the_table_says() {
    for ours in architecture::ALL {
        let name = ours.name;
        let class = if ours.bits == 64 { Class::Elf64 } else { Class::Elf32 };
        let abi = Abi::of(Machine(ours.machine), class).unwrap_or_else(|| panic!("{name}: no row"));
        assert_eq!(Some(&ours.soname), abi.sonames.first(), "{name}");
        for export in ours.exports {
            let row = abi.functions.iter().find(|function| function.name == export.name);
            let row = row.unwrap_or_else(|| panic!("{name}: {} is not in the table", export.name));
            assert_eq!(row.version, export.version, "{name}: {}", export.name);
            let plain = export.name.strip_prefix(abi.prefix);
            let has_plain_alias = abi.has_plain_aliases && row.purpose != Purpose::Other;
            assert_eq!(export.alias, plain.filter(|_| has_plain_alias), "{name}: {}", export.name);
        }
        for function in abi.functions {
            let is_there = ours.exports.iter().any(|export| export.name == function.name);
            assert!(is_there, "{name}: the image lacks {}", function.name);
        }
    }
}

fn images_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| {
        panic!("cannot read {}: {error}", folder.display());
    });
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "so"));
    files.sort();
    files
}
