//! Whole outputs, as they are in `snapshots/`.

use std::process::Command;

use crate::images;
use crate::support::{VDSO, finish, scratch};

/// What `vdso inspect` prints of a file that is called the same on every machine.
#[track_caller]
fn inspect(name: &str, bytes: &[u8], options: &[&str]) -> String {
    let folder = scratch();
    crate::write(folder.path(), name, bytes);
    let mut command = Command::new(VDSO);
    command.args(["inspect", name]).args(options).current_dir(folder.path());
    finish(&mut command).succeeded().quiet().stdout
}

#[test]
fn images_in_words() {
    for (name, image) in images::ALL {
        let text = inspect(&format!("{name}.so"), &image.bytes(), &[]);
        for line in text.lines() {
            assert!(line.len() <= 80 && line == line.trim_end(), "{line:?} of {name}");
        }
        insta::assert_snapshot!(format!("{name}-text"), text);
    }
}

#[test]
fn images_as_json() {
    for (name, image) in images::ALL {
        let text = inspect(&format!("{name}.so"), &image.bytes(), &["--json"]);
        insta::assert_snapshot!(format!("{name}-json"), text);
    }
}

/// The first function of each machine whose instructions are known.
#[cfg(feature = "disassemble")]
const DISASSEMBLED: [(&str, images::Image); 6] = [
    ("x86-64", images::X86_64),
    ("i386", images::I386),
    ("arm64", images::ARM64),
    ("arm", images::ARM),
    ("riscv64", images::RISCV64),
    ("ppc", images::POWERPC),
];

#[cfg(feature = "disassemble")]
#[test]
fn instructions_in_words() {
    let mut all = String::new();
    for (name, image) in DISASSEMBLED {
        let functions = image.functions.iter().filter(|function| function.displacement == 0);
        for function in functions {
            let options = ["--disassemble", function.name];
            all += &inspect(&format!("{name}.so"), &image.bytes(), &options);
            all += "\n";
        }
    }
    insta::assert_snapshot!("instructions-text", all);
}

#[cfg(feature = "disassemble")]
#[test]
fn instructions_as_json() {
    let options = ["--json", "--disassemble", "__vdso_clock_gettime"];
    let text = inspect("x86-64.so", &images::X86_64.bytes(), &options);
    insta::assert_snapshot!("instructions-json", text);
}

#[test]
fn a_core_file_of_another_machine() {
    for (name, image) in [("s390x", images::S390X), ("ppc", images::POWERPC)] {
        let core = image.make().core(0x7000_2000).bytes;
        insta::assert_snapshot!(
            format!("{name}-core-text"),
            inspect(&format!("core.{name}"), &core, &[])
        );
    }
}
