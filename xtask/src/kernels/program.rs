//! Builds `test-programs/kernel-init` for one target after another.
//!
//! Where the toolchain has the target (`rustup target add`), its `core` is used. Elsewhere `core` is
//! built with the program, from the standard library's source: that which `VDSO_RUST_SRC` names, or the
//! toolchain's component `rust-src`. Cargo takes such a build from its nightly versions alone, so it is
//! told to be one; nothing else of nightly is used but inline assembly for mips. The linker is the
//! toolchain's own, so no other compiler is needed.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::apt::run;
use super::cache::Cache;
use crate::cargo;

/// What builds programs.
pub struct Builder {
    sysroot: PathBuf,
    /// The folder `library` of the standard library's source.
    library: Option<Library>,
}

enum Library {
    Toolchain,
    Folder(PathBuf),
}

impl Builder {
    /// Looks for the standard library's source.
    pub fn new(cache: &Cache) -> Result<Self> {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut command = Command::new(rustc);
        command.args(["--print", "sysroot"]).current_dir(cargo::workspace());
        let sysroot = PathBuf::from(String::from_utf8(run(&mut command)?.stdout)?.trim_end());
        let library = match env::var_os("VDSO_RUST_SRC") {
            Some(path) => Some(Library::Folder(source(cache, Path::new(&path))?)),
            None => sysroot
                .join("lib/rustlib/src/rust/library/core/Cargo.toml")
                .exists()
                .then_some(Library::Toolchain),
        };
        Ok(Self { sysroot, library })
    }

    /// What is lacking to build for a target; `None` if nothing is.
    pub fn lacks(&self, target: &str) -> Option<String> {
        if self.has_target(target) || self.library.is_some() {
            return None;
        }
        Some(format!(
            "the toolchain has no {target}: rustup target add {target}, or rustup component add \
             rust-src, or name the standard library's source in VDSO_RUST_SRC"
        ))
    }

    fn has_target(&self, target: &str) -> bool {
        self.sysroot.join("lib/rustlib").join(target).join("lib").is_dir()
    }

    /// Gives the path of the program.
    pub fn build(&self, target: &str) -> Result<PathBuf> {
        let manifest = cargo::workspace().join("test-programs/kernel-init/Cargo.toml");
        let mut command = cargo::cargo("kernels");
        command.arg("rustc").arg("--quiet").arg("--manifest-path").arg(manifest);
        command.args(["--locked", "--release", "--target", target]);
        // Features of rustc's nightly versions.
        command.env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTFLAGS");
        self.bring_library(&mut command, target, "core,compiler_builtins");
        // For this program alone: build scripts are for this machine.
        command.args(["--", "-Clinker=rust-lld", "-Clinker-flavor=ld.lld"]);
        command.arg("-Crelocation-model=static");
        let output = command.output().context("cannot run cargo")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the program for {target} does not build:\n{said}");
        Ok(cargo::target_folder().join("kernels").join(target).join("release/kernel-init"))
    }

    /// Has cargo build these crates of the standard library, where the toolchain lacks the target.
    pub fn bring_library(&self, command: &mut Command, target: &str, crates: &str) {
        if self.has_target(target) {
            return;
        }
        command.arg("-Z").arg(format!("build-std={crates}")).env("RUSTC_BOOTSTRAP", "1");
        if let Some(Library::Folder(folder)) = &self.library {
            command.env("__CARGO_TESTS_ONLY_SRC_ROOT", folder);
        }
    }
}

/// The folder `library` in a folder or an archive.
fn source(cache: &Cache, path: &Path) -> Result<PathBuf> {
    let path = path.canonicalize().with_context(|| format!("VDSO_RUST_SRC: {}", path.display()))?;
    let folder = if path.is_file() { unpacked(cache, &path)? } else { path };
    let places = [folder.join("library"), folder.clone()];
    let is_it = |place: &&PathBuf| place.join("core/Cargo.toml").exists();
    let found = places.iter().find(is_it).cloned();
    found.with_context(|| format!("{} is no source of the standard library", folder.display()))
}

/// Unpacks an archive into the cache, once.
fn unpacked(cache: &Cache, archive: &Path) -> Result<PathBuf> {
    let name = archive.file_name().unwrap_or(OsStr::new("library"));
    let folder = cache.folder("library")?.join(name);
    let _lock = cache.lock()?;
    if !folder.exists() {
        let temporary = cache.temporary()?;
        run(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(temporary.path()))?;
        std::fs::rename(temporary.keep(), &folder)?;
    }
    Ok(folder)
}
