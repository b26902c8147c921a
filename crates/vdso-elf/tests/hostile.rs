//! Damaged images: whatever a byte is set to, wherever the file ends, and however the tables are tied
//! in knots, the reader answers, and every answer is inside the image.

mod support;

use made_images::{ByteOrder, Class, Extent, HashTables, Made, Recipe, Sections, broken, make};
use support::Sample;
use support::exercise::exercise;
use vdso_elf::{Error, HashKind, Image};

/// Sets every byte to each of the values that `values` makes of it; gives how many images that was.
fn mutate(bytes: &[u8], values: impl Fn(u8) -> Vec<u8>) -> usize {
    let mut damaged = bytes.to_vec();
    let mut count = 0;
    for at in 0..bytes.len() {
        for value in values(bytes[at]) {
            damaged[at] = value;
            exercise(&damaged);
            count += 1;
        }
        damaged[at] = bytes[at];
    }
    count
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

/// Both classes and byte orders, with all tables and with what is left when there are none.
fn made_images() -> Vec<Made> {
    let mut images = Vec::new();
    for class in Class::ALL {
        for byte_order in ByteOrder::ALL {
            for hash_tables in [HashTables::Both, HashTables::None] {
                let recipe = Recipe::new(class, byte_order);
                images.push(make(&Recipe { hash_tables, sections: Sections::All, ..recipe }));
            }
        }
    }
    images
}

#[test]
fn every_byte_of_a_made_image_set_to_a_few_values() {
    for made in made_images() {
        let count = mutate(&made.bytes, few_values);
        assert_eq!(count, 3 * made.bytes.len());
    }
}

#[test]
fn every_byte_of_a_plain_image_set_to_every_value() {
    let made = make(&Recipe::new(Class::Elf64, ByteOrder::Little));
    mutate(&made.bytes, |_| (0..=u8::MAX).collect());
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
        mutate(&sample.bytes, few_values);
    }
}

#[test]
fn every_architectures_image_cut_at_every_length() {
    let samples = one_of_each_architecture("every_architectures_image_cut_at_every_length");
    let real = samples.into_iter().map(|sample| sample.bytes);
    for bytes in real.chain(made_images().into_iter().map(|made| made.bytes)) {
        for length in 0..bytes.len() {
            exercise(&bytes[..length]);
        }
    }
}

#[test]
fn broken_images_are_survived() {
    for recipe in Recipe::all() {
        if recipe.sections == Sections::None && recipe.hash_tables == HashTables::Both {
            broken(&recipe).iter().for_each(|broken| exercise(&broken.bytes));
        }
    }
}

#[test]
fn what_the_fuzzer_has_found_is_survived() {
    for input in support::fuzzer_corpus() {
        exercise(&input.bytes);
    }
}

/// Every chain of DT_HASH leads back to itself, so that no chain ends by itself.
#[test]
fn hash_chains_that_go_in_circles_end() {
    for class in Class::ALL {
        for machine in [62, 22] {
            for circle in [1, 2, 3] {
                let recipe = Recipe { machine, ..Recipe::new(class, ByteOrder::Big) };
                let mut made = make(&Recipe { hash_tables: HashTables::SystemV, ..recipe });
                let symbols = made.symbols.len() as u64;
                let buckets =
                    (made.parts.system_v_hash.bytes / word_bytes(&made)) as u64 - 3 - symbols;
                for symbol in 1..=symbols {
                    let next = (symbol + circle - 1) % symbols + 1;
                    let chain = made.system_v_hash_word((2 + buckets + symbol) as usize);
                    made.put(chain, next);
                }
                exercise(&made.bytes);
                let image = Image::parse(&made.bytes).expect("it is still an image");
                assert_eq!(image.lookup("absent", None), None);
            }
        }
    }
}

fn word_bytes(made: &Made) -> usize {
    made.system_v_hash_word(1).at - made.system_v_hash_word(0).at
}

/// How many times each of the tables of [`knot`] leads on.
const KNOTS: u32 = 1 << 17;

/// An image with as many symbols of one name as versions, none of which is theirs: who looks at every
/// version of every symbol looks 2^34 times.
fn knot() -> Made {
    let mut made = make(&Recipe::new(Class::Elf64, ByteOrder::Little));
    let entry = made.symbol_field("__vdso_time", made_images::SymbolField::Name).at;
    let entry = made.bytes[entry..entry + 24].to_vec();
    let symbols = append(&mut made, &entry.repeat(KNOTS as usize));
    // Every fourth byte begins a definition with number 4 whose name and successor are 4 bytes on.
    let definitions = append(&mut made, &4_u32.to_le_bytes().repeat(KNOTS as usize));
    let hidden_fives = append(&mut made, &0x8005_u16.to_le_bytes().repeat(KNOTS as usize));
    let chain: Vec<u32> = (1..=KNOTS).map(|symbol| (symbol + 1) % KNOTS).collect();
    let system_v = append(&mut made, &words(&[&[1, KNOTS, 1, 0], &*chain].concat()));
    // Chains of GNU's end at an odd word.
    let hash = "__vdso_time"
        .bytes()
        .fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)));
    let gnu_chain = vec![hash & !1; KNOTS as usize];
    let gnu = [&[1, 1, 1, 6, u32::MAX, u32::MAX, 1], &*gnu_chain].concat();
    let gnu = append(&mut made, &words(&gnu));
    for (tag, at) in [
        (6, symbols),
        (0x6fff_fffc, definitions),
        (0x6fff_fff0, hidden_fives),
        (4, system_v),
        (0x6fff_fef5, gnu),
    ] {
        made.put(made.dynamic_value(tag), at as u64);
    }
    let bytes = made.bytes.len() as u64;
    made.put(made.segment_bytes(0), bytes);
    made
}

fn append(made: &mut Made, bytes: &[u8]) -> usize {
    made.bytes.resize(made.bytes.len().next_multiple_of(8), 0);
    let at = made.bytes.len();
    made.bytes.extend_from_slice(bytes);
    at
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// There is no clock here: a reader that is not linear would take hours.
#[test]
fn a_lookup_in_a_knot_looks_at_each_thing_once() {
    let made = knot();
    let image = Image::parse(&made.bytes).expect("it is an image");
    let version = image.versions().nth(1).expect("there are many").expect("it can be read");
    assert_eq!(version.index, 4);
    for kind in [HashKind::Gnu, HashKind::SystemV] {
        assert_eq!(image.lookup_by(kind, "__vdso_time", Some(version.name)), None);
        assert_eq!(image.lookup_by(kind, "__vdso_time", Some("LINUX_2.6")), None);
        assert_eq!(image.lookup_by(kind, "__vdso_time", None), None);
    }
    assert!(image.symbols().next().is_some_and(|symbol| symbol.is_err()));
}

/// Whoever lists the symbols looks for each one's version among all definitions.
#[test]
fn a_knot_has_too_many_versions() {
    let made = knot();
    let image = Image::parse(&made.bytes).expect("it is an image");
    assert_eq!(image.versions().count(), 1025);
    assert_eq!(image.versions().last(), Some(Err(Error::TooManyVersions)));
    let mut symbols = image.symbols().skip(1).take(100);
    assert!(symbols.all(|symbol| symbol == Err(Error::TooManyVersions)));
}

/// Whoever lists the symbols looks for the end of each one's name.
#[test]
fn names_have_a_greatest_length() {
    let mut made = make(&Recipe::new(Class::Elf64, ByteOrder::Little));
    let text = [&[b'a'; 4097][..], &[0], &[b'b'; 5000]].concat();
    let strings = append(&mut made, &text);
    made.put(made.dynamic_value(5), strings as u64);
    made.put(made.dynamic_value(10), text.len() as u64);
    made.put(made.segment_bytes(0), (strings + text.len()) as u64);
    for (offset, expected) in [
        (0, Err(Error::NameTooLong { offset: 0 })),
        (1, Ok(4096)),
        (4098, Err(Error::NameTooLong { offset: 4098 })),
        (9000, Err(Error::NameOutside { offset: 9000 })),
    ] {
        made.put(made.dynamic_value(14), offset);
        let image = Image::parse(&made.bytes).expect("it is an image");
        assert_eq!(image.soname().map(str::len), expected.ok());
        if let Err(error) = expected {
            assert!(image.problems().any(|problem| problem == error));
        }
    }
}

/// As many segments of notes as a header can have, each of which is the whole image.
#[test]
fn notes_that_are_named_thousands_of_times_are_read_once() {
    let mut made = make(&Recipe::new(Class::Elf64, ByteOrder::Little));
    let count = u16::MAX;
    let notes = append(&mut made, &[0; 12].repeat(1 << 16));
    let load_and_dynamic = made.parts.program_headers.at..made.parts.program_headers.at + 2 * 56;
    let mut headers = made.bytes[load_and_dynamic].to_vec();
    made.put(made.segment_offset(2), notes as u64);
    made.put(made.segment_bytes(2), 12 << 16);
    let note_header = made.segment_kind(2).at;
    let note_header = made.bytes[note_header..note_header + 56].to_vec();
    headers.extend(note_header.repeat(usize::from(count) - 2));
    let headers = append(&mut made, &headers);
    made.put(Extent { at: 32, bytes: 8 }, headers as u64);
    made.put(Extent { at: 56, bytes: 2 }, count.into());
    let image = Image::parse(&made.bytes).expect("it is an image");
    assert_eq!(image.build_id(), None);
    assert!(image.notes().count() <= made.bytes.len() / 12);
}
