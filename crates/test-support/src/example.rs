//! Examples, which cargo builds beside the tests of their crate.

use std::path::PathBuf;

/// The file of an example of the crate whose test calls this; `name` is the file's, as cargo calls it.
///
/// # Panics
/// If cargo has not built it, as where it was asked for one test alone.
#[track_caller]
pub fn example(name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("the calling test has a file");
    let target = here.parent().and_then(|folder| folder.parent()).expect("target/debug/deps");
    let path = target.join("examples").join(name);
    assert!(path.exists(), "cargo builds {name} for all tests of its crate, not for one alone");
    path
}
