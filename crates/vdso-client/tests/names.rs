//! The table of names against real images of many kernels: the folder that `VDSO_IMAGES` names has
//! files called `ARCHITECTURE-KERNEL.so`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use test_support::{Lacking, skip};
use vdso_client::names::{Abi, Purpose};
use vdso_elf::{Image, Kind};

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

fn images_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| {
        panic!("cannot read {}: {error}", folder.display());
    });
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "so"));
    files.sort();
    files
}
