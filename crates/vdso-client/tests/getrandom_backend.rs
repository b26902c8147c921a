//! The example of the crate getrandom's custom backend, built as its reader would: in its own folder, where
//! its flags are.

#![cfg(not(miri))]

use std::path::Path;
use std::process::Command;

#[test]
fn getrandom_takes_its_bytes_from_the_client() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/getrandom");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("getrandom");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--locked"]).current_dir(&folder);
    // These would go before the folder's own.
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS"] {
        cargo.env_remove(variable);
    }
    let output = cargo.env("CARGO_TARGET_DIR", target).output().expect("cargo has built this test");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(stdout.ends_with("asked 2 times, for 40 bytes\n"), "{stdout}");
}
