//! The examples say what their first lines promise.

use std::process::Command;

#[test]
fn an_image_is_mapped_in_a_process() {
    let here = std::env::current_exe().expect("this test");
    let target = here.parent().and_then(|folder| folder.parent()).expect("target/debug/deps");
    let example = target.join("examples/map_in_process");
    assert!(
        example.exists(),
        "cargo builds it for `cargo test -p vdso-map`, not for one test alone"
    );
    let output = Command::new(example).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let expected =
        "the image is a day ahead, and 1000 reads of it lie between two of the kernel's\n";
    assert_eq!(said, expected, "{output:?}");
}
