//! The examples say what their first lines promise.

use std::process::Command;

use test_support::{Clock, Lacking, Program, Readings, example, skip};

#[test]
fn an_image_is_mapped_in_a_process() {
    let output = Command::new(example("map_in_process")).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let expected =
        "the image is a day ahead, and 1000 reads of it lie between two of the kernel's\n";
    assert_eq!(said, expected, "{output:?}");
}

/// A C library that was linked statically, and a program without any.
#[test]
fn a_loader_gives_a_static_program_a_vdso_of_ours() {
    const DAY_NS: i128 = 86_400 * 1_000_000_000;
    if cfg!(not(target_arch = "x86_64")) {
        return skip(Lacking::Kernel, "the example loader", "it is for x86-64");
    }
    for program in [Program::CStatic, Program::CMuslStatic, Program::NoLibc] {
        let path = match test_support::build(program) {
            Ok(path) => path,
            Err(skip) => {
                skip.report();
                continue;
            }
        };
        let output = Command::new(example("loader")).arg("86400").arg(path).output();
        let output = output.expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout);
        let readings = Readings::parse(&said).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        let mut count = 0;
        for reading in readings.of(Clock::Realtime) {
            assert!(reading.shift_range().contains(&DAY_NS), "{program:?}: {reading:?}");
            count += 1;
        }
        assert!(count > 0, "{program:?}: {said}");
    }
}
