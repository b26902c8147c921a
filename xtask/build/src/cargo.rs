//! Cargo, called for this workspace with a target folder of its own: flags that differ from the usual
//! ones would otherwise have everything built anew each time.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's root.
pub fn workspace() -> &'static Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("xtask/build/ is in the workspace's root")
}

/// The cargo that runs this task, about to build into `target/<folder>`.
pub fn cargo(folder: &str) -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()).as_ref(), folder)
}

/// Another cargo, likewise.
pub fn command(program: &Path, folder: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace()).env("CARGO_TARGET_DIR", target_folder().join(folder));
    // Goes before RUSTFLAGS, and is not for these builds.
    command.env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

/// Where this task was built, whatever was said about it when.
pub fn target_folder() -> PathBuf {
    let executable = std::env::current_exe().unwrap_or_default();
    // Cargo marks the folder with this file.
    let marked = executable.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    marked.map_or_else(|| workspace().join("target"), Path::to_owned)
}
