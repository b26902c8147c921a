//! Asks everything that can be asked of any bytes, and holds each answer against the bytes.
//!
//! Shared by the tests with damaged images and by the fuzzer (`fuzz/`).

use vdso_elf::{HashKind, Image, Symbol};

/// Names to look for, so that lookups follow chains whatever else is broken.
const NAMES: [&str; 5] =
    ["__vdso_clock_gettime", "__kernel_clock_gettime", "__vdso_getcpu", "LINUX_2.6", "absent"];
const VERSIONS: [Option<&str>; 4] =
    [None, Some("LINUX_2.6"), Some("LINUX_2.6.39"), Some("LINUX_2.5")];

/// Panics if an answer is not true of the bytes.
pub fn exercise(bytes: &[u8]) {
    let image = match Image::parse(bytes) {
        Ok(image) => image,
        Err(error) => return assert_is_a_reason(&error),
    };
    let limit = bytes.len();
    assert!(image.segments().count() <= limit);
    assert!(image.versions().count() <= limit);
    if let Some((_, offset)) = image.linux_version() {
        assert!(offset + 4 <= limit);
    }
    let _ = (image.soname(), image.build_id());
    for note in image.notes().flatten() {
        assert!(bytes[note.description_offset..].starts_with(note.description));
    }
    let mut count = 0;
    for symbol in image.symbols().flatten() {
        count += 1;
        check_symbol(&image, &symbol);
    }
    assert!(count <= limit);
    image.problems().for_each(|problem| assert_is_a_reason(&problem));
    look_up(&image);
}

fn look_up(image: &Image<'_>) {
    for name in NAMES {
        for version in VERSIONS {
            let kinds = [HashKind::Gnu, HashKind::SystemV];
            let by_table = kinds.map(|kind| image.lookup_by(kind, name, version));
            for symbol in by_table.into_iter().chain([image.lookup(name, version)]).flatten() {
                check_symbol(image, &symbol);
                assert_eq!(symbol.name, name);
                assert!(symbol.is_defined());
                assert!(version.is_none() || symbol.version.is_none() || symbol.version == version);
            }
        }
    }
}

/// No symbol points outside the image, with any of its bytes.
fn check_symbol(image: &Image<'_>, symbol: &Symbol<'_>) {
    let is_address = symbol.is_defined() && !symbol.is_absolute();
    assert_eq!(symbol.file_offset.is_some(), is_address);
    if let Some(offset) = symbol.file_offset {
        let bytes = image.bytes();
        let size = usize::try_from(symbol.size).expect("a symbol is no longer than the image");
        assert!(offset < bytes.len() && size <= bytes.len() - offset);
        assert_eq!(image.file_offset(symbol.value), Some(offset));
    }
    assert!(symbol.section_index_offset + 2 <= image.bytes().len());
}

fn assert_is_a_reason(error: &vdso_elf::Error) {
    let text = error.to_string();
    assert!(text.len() > 10 && !text.ends_with('.'), "{text:?} is no reason");
}
