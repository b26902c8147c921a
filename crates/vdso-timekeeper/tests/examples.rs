//! The example for kernels says what its first lines promise.

use std::process::Command;

#[test]
fn a_kernels_programs_read_its_page() {
    let here = std::env::current_exe().expect("this test");
    let target = here.parent().and_then(|folder| folder.parent()).expect("target/debug/deps");
    let example = target.join("examples/kernel_page");
    assert!(example.exists(), "cargo builds it for `cargo test -p vdso-timekeeper` alone");
    let output = Command::new(example).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let expected =
        "1000 reads of each clock by the image, none of them back, and all as the kernel has it\n";
    assert_eq!(said, expected, "{output:?}");
}
