//! The example for kernels says what its first lines promise.

use std::process::Command;

#[test]
fn a_kernels_programs_read_its_page() {
    let output = Command::new(test_support::example("kernel_page")).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let expected = "without a system call: 1000 reads of each clock by the image, none of them back, and all \
                    as the kernel has it\n";
    assert_eq!(said, expected, "{output:?}");
}
