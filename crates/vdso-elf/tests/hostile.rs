//! Damaged images: whatever a byte is set to and wherever the file ends, the reader answers, soon,
//! and every answer is inside the image.

mod support;

use std::time::{Duration, Instant};

use support::Sample;
use support::made::{self, PLAIN, Recipe};
use vdso_elf::{ByteOrder, Class, HashKind, Image};

/// No damaged image may keep the reader busy for longer; a healthy one takes microseconds.
const SOON: Duration = Duration::from_millis(500);

/// Names to look for, so that lookups follow chains whatever else is broken.
const NAMES: [&str; 3] = ["__vdso_clock_gettime", "__kernel_clock_gettime", "absent"];

/// Asks everything that can be asked.
fn exercise(bytes: &[u8]) {
    let start = Instant::now();
    if let Ok(image) = Image::parse(bytes) {
        let limit = bytes.len() + 1;
        let _ = (image.soname(), image.build_id(), image.linux_version());
        assert!(image.segments().count() <= limit);
        assert!(image.versions().count() <= limit);
        let mut symbols = 0;
        for symbol in image.symbols() {
            symbols += 1;
            assert!(symbol.is_err() || symbol.is_ok_and(|it| it.section_index_offset < limit));
        }
        assert!(symbols <= limit);
        for note in image.notes().flatten() {
            assert!(bytes[note.description_offset..].starts_with(note.description));
        }
        for name in NAMES {
            check_answer(&image, image.lookup(name, None));
            check_answer(&image, image.lookup_by(HashKind::SystemV, name, Some("LINUX_2.6")));
        }
    }
    assert!(start.elapsed() < SOON, "the reader took {:?}", start.elapsed());
}

fn check_answer(image: &Image<'_>, answer: Option<vdso_elf::Symbol<'_>>) {
    if let Some(symbol) = answer {
        assert!(symbol.is_defined());
        assert!(symbol.is_absolute() || image.file_offset(symbol.value).is_some());
    }
}

/// Sets every byte to each of the values that `values` makes of it.
fn mutate(bytes: &[u8], values: impl Fn(u8) -> Vec<u8>) {
    let mut damaged = bytes.to_vec();
    for at in 0..bytes.len() {
        for value in values(bytes[at]) {
            damaged[at] = value;
            exercise(&damaged);
        }
        damaged[at] = bytes[at];
    }
}

/// The extremes, the neighbours, and every flipped bit.
fn many_values(byte: u8) -> Vec<u8> {
    let flips = (0..8).map(|bit| byte ^ 1 << bit);
    let chosen = [0, 1, 0x7f, 0x80, 0xff, byte.wrapping_add(1), byte.wrapping_sub(1)];
    chosen.into_iter().chain(flips).collect()
}

fn few_values(byte: u8) -> Vec<u8> {
    vec![0, 0xff, byte ^ 1]
}

/// One image of each architecture, without what is behind it: powerpc has 40 KB of zeros.
fn one_of_each_architecture(test: &str) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    for mut sample in support::kernel_images(test) {
        sample.name.truncate(sample.name.find('-').unwrap_or_default());
        sample.bytes.truncate(0x2000);
        if samples.last().is_none_or(|last| last.name != sample.name) {
            samples.push(sample);
        }
    }
    samples
}

fn made_images() -> Vec<Sample> {
    let mut samples = Vec::new();
    for class in [Class::Elf32, Class::Elf64] {
        for byte_order in [ByteOrder::Little, ByteOrder::Big] {
            for has_hash_tables in [true, false] {
                let (gnu_hash, system_v_hash) = (has_hash_tables, has_hash_tables);
                let recipe = Recipe { class, byte_order, gnu_hash, system_v_hash, ..PLAIN };
                let bytes = made::make(Recipe { section_headers: true, ..recipe });
                samples.push(Sample { name: "made".to_owned(), bytes });
            }
        }
    }
    samples
}

#[test]
fn every_byte_of_a_made_image_set_to_a_few_values() {
    for sample in made_images() {
        mutate(&sample.bytes, few_values);
    }
}

#[test]
fn every_byte_of_the_newest_amd64_image_set_to_many_values() {
    let images = support::kernel_images("every_byte_of_the_newest_amd64_image_set_to_many_values");
    if let Some(newest) = images.iter().rfind(|sample| sample.name.starts_with("amd64")) {
        mutate(&newest.bytes, many_values);
    }
}

#[test]
fn every_byte_of_one_image_of_each_architecture_damaged() {
    for sample in one_of_each_architecture("every_byte_of_one_image_of_each_architecture_damaged") {
        mutate(&sample.bytes, |byte| vec![byte ^ 0xff]);
    }
}

#[test]
fn every_architectures_image_cut_at_every_length() {
    let mut samples = one_of_each_architecture("every_architectures_image_cut_at_every_length");
    samples.extend(made_images());
    for sample in samples {
        for length in 0..sample.bytes.len() {
            exercise(&sample.bytes[..length]);
        }
    }
}
