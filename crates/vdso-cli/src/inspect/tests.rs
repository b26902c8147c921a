//! Hostile images: whatever the bytes are, there is an answer, and it ends.

use std::ffi::OsStr;
use std::path::PathBuf;

use vdso_image::Source;

use super::disassemble::{self, Function};
use super::facts::Facts;
use super::{text, write_json};
use crate::subject::{FoundImage, Origin, Target};

/// `e_machine`, and those that instructions are shown of.
const E_MACHINE: usize = 18;
const MACHINES: [u8; 7] = [3, 20, 21, 40, 62, 183, 243];
const NAMES: [&str; 2] = ["__vdso_clock_gettime", "__vdso_getcpu"];

fn target(bytes: Vec<u8>) -> Target {
    let image = FoundImage { addr: Some(u64::MAX - 0xfff), bytes, in_use: Some(true) };
    Target {
        origin: Origin::File(PathBuf::from("image")),
        mappings: Vec::new(),
        images: vec![image],
    }
}

/// Everything that the command would do with it.
fn look(bytes: Vec<u8>) {
    let target = target(bytes);
    let facts = Facts::of(&target);
    text::write(&mut std::io::sink(), &target, &facts).unwrap();
    write_json(&mut std::io::sink(), &facts).unwrap();
    for name in NAMES {
        if let Ok(function) = Function::find(&target, false, name) {
            disassemble::write_text(&mut std::io::sink(), &function).unwrap();
        }
    }
}

#[test]
fn no_byte_of_an_image_is_taken_on_trust() {
    let bytes = vdso_image::bytes(Source::Chain);
    for at in 0..bytes.len() {
        let mut mutated = bytes.to_vec();
        mutated[at] ^= 0xff;
        look(mutated);
    }
}

#[test]
fn an_image_may_end_anywhere() {
    let bytes = vdso_image::bytes(Source::Chain);
    for length in (0..bytes.len()).step_by(13) {
        look(bytes[..length].to_vec());
    }
}

/// Code that was never meant for the machine that it claims to be for.
#[test]
fn no_instruction_is_taken_on_trust() {
    // Any sequence does that has no short period.
    let mut state = 1_u64;
    let mut random = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let original = vdso_image::bytes(Source::Chain);
    let image = vdso_elf::Image::parse(original).unwrap();
    let symbol = image.lookup("__vdso_clock_gettime", None).unwrap();
    let code = image.file_offset(symbol.value).unwrap()..;
    for machine in MACHINES {
        for _ in 0..200 {
            let mut bytes = original.to_vec();
            bytes[E_MACHINE] = machine;
            // What comes behind the code is cut off, and what comes before it is needed.
            bytes[code.clone()].iter_mut().for_each(|byte| *byte = random());
            look(bytes);
        }
    }
}

#[test]
fn a_target_is_what_is_written() {
    let refused = |text: &str| Target::find(Some(OsStr::new(text))).unwrap_err().to_string();
    assert!(refused("0").contains("no process"));
    assert!(refused("").contains("cannot open"));
    assert!(refused("/").contains("folder"));
}
