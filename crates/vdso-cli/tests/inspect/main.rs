//! `vdso inspect` and `vdso dump`, on made images and core files, on processes of every kind, and on
//! real images of other kernels where `VDSO_IMAGES` names a folder of them.
//!
//! [`golden`] holds whole outputs against files in `snapshots/`. When they are to change,
//! `INSTA_UPDATE=always cargo test -p vdso-cli --test inspect` writes them anew; look at the
//! difference.

#[cfg(feature = "disassemble")]
mod disassembly;
mod dumps;
mod files;
mod golden;
mod images;
mod processes;
mod refusals;
#[path = "../support/mod.rs"]
mod support;

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{Finished, finish};
use test_support::{Lacking, skip};

/// `vdso inspect` or `vdso dump`, to its end.
#[track_caller]
fn vdso<I: IntoIterator<Item: AsRef<OsStr>>>(arguments: I) -> Finished {
    finish(Command::new(support::VDSO).args(arguments))
}

/// The document of `vdso inspect --json` with more arguments.
#[track_caller]
fn facts<I: IntoIterator<Item: AsRef<OsStr>>>(arguments: I) -> Value {
    let mut command = Command::new(support::VDSO);
    let run = finish(command.args(["inspect", "--json"]).args(arguments)).succeeded().quiet();
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error} in {run:#?}"))
}

/// An address as the documents have it.
#[track_caller]
fn addr(value: &Value) -> u64 {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let digits = digits.unwrap_or_else(|| panic!("{value} is not an address"));
    u64::from_str_radix(digits, 16).expect("hexadecimal digits")
}

/// Whether this kernel gives programs a vDSO.
fn has_vdso(test: &str) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let has_one = maps.contains("[vdso]");
    if !has_one {
        skip(Lacking::Kernel, test, "the kernel gives no vDSO");
    }
    has_one
}

fn is_root(test: &str) -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        skip(Lacking::Privilege, test, "it needs root to become another user");
    }
    is_root
}

/// Writes a file into a folder and gives its path.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("a file in a folder of the test's");
    path
}
