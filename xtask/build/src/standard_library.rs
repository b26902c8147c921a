//! `core` for targets that the toolchain has none for, from the standard library's source.
//!
//! Who has rustup adds the target (`rustup target add`) and needs none of this, or adds the source
//! (`rustup component add rust-src`). Otherwise the environment variable `VDSO_RUST_SRC` names the source
//! that matches the toolchain: a folder with `library/` in it, that folder itself, or a `.tar.xz` of it, as
//! in Debian's package rust-src.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{target_folder, workspace};

/// Names the standard library's source.
pub const SOURCE: &str = "VDSO_RUST_SRC";

/// Where the standard library's source seems to be in debug information, as `build/images.rs` of the crate
/// vdso-image has it.
const MAPPED_SOURCE: &str = "/rust/library";

/// Where `core` for a target is.
pub enum Core {
    /// In the toolchain.
    Installed,
    /// In this folder, which has the shape of a toolchain.
    Sysroot(PathBuf),
    /// Nowhere, for this reason.
    Missing(String),
}

impl Core {
    /// Finds or makes it.
    pub fn for_target(target: &str) -> Result<Self> {
        if is_installed(target)? {
            return Ok(Self::Installed);
        }
        let Some(source) = source()? else {
            return Ok(Self::Missing(missing(target)));
        };
        let folder = target_folder().join("sysroots").join(target);
        make(target, &source, &folder)?;
        Ok(Self::Sysroot(folder))
    }
}

/// Why nothing can be built for `target`, where neither the library nor its source is there.
pub fn missing(target: &str) -> String {
    format!(
        "the toolchain has no {target}: rustup target add {target}, or rustup component add rust-src, or \
         name the standard library's source in {SOURCE}"
    )
}

/// The compiler that cargo uses.
pub fn rustc() -> OsString {
    env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

/// The folder `library/` of the standard library's source; `None` if nobody names it and the toolchain has
/// none.
pub fn source() -> Result<Option<PathBuf>> {
    let Some(named) = env::var_os(SOURCE).map(PathBuf::from) else {
        let sysroot = PathBuf::from(said(&["--print", "sysroot"])?.trim_end());
        let library = sysroot.join("lib/rustlib/src/rust/library");
        return Ok(library.join("core/src/lib.rs").is_file().then_some(library));
    };
    let folder = if named.is_dir() { named.clone() } else { unpacked(&named)? };
    for library in [folder.join("library"), folder.join("src/library"), folder] {
        if library.join("core/src/lib.rs").is_file() {
            return Ok(Some(library));
        }
    }
    bail!("{SOURCE} names {}, which has no library/core in it", named.display())
}

/// The folder that the archive has been unpacked to.
fn unpacked(archive: &Path) -> Result<PathBuf> {
    let name = archive.file_name().context("an archive has a name")?;
    let folder = target_folder().join("rust-src").join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    // Under another name until it is complete.
    let parent = target_folder().join("rust-src");
    fs::create_dir_all(&parent)?;
    let part = tempfile::Builder::new().prefix("unpacking-").tempdir_in(&parent)?;
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--file").arg(archive).arg("--directory").arg(part.path());
    let status = tar.status().context("cannot run tar")?;
    ensure!(status.success(), "tar cannot unpack {}: {status}", archive.display());
    fs::rename(part.keep(), &folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Whether the toolchain has the library for `target`.
pub fn is_installed(target: &str) -> Result<bool> {
    let folder = said(&["--print", "target-libdir", "--target", target])?;
    let folder = PathBuf::from(folder.trim_end());
    let Ok(entries) = fs::read_dir(folder) else { return Ok(false) };
    let is_core = |name: OsString| name.to_string_lossy().starts_with("libcore-");
    Ok(entries.flatten().any(|entry| is_core(entry.file_name())))
}

/// Compiles `core` into `folder`, unless that has been done with this compiler and source.
///
/// Only as far as other crates' compilation needs it: an image is linked with nothing, so no code of it is
/// wanted. The compiler asks for `compiler_builtins` beside it, which for the same reason may be empty.
pub fn make(target: &str, source: &Path, folder: &Path) -> Result<()> {
    let stamp_file = folder.join("made-from");
    let stamp = format!("{}\n{}\n", said(&["-vV"])?, source.display());
    if fs::read_to_string(&stamp_file).is_ok_and(|made_from| made_from == stamp) {
        return Ok(());
    }
    let libraries = folder.join("lib/rustlib").join(target).join("lib");
    fs::create_dir_all(&libraries)
        .with_context(|| format!("cannot make {}", libraries.display()))?;
    let empty = folder.join("compiler_builtins.rs");
    let text = "#![allow(internal_features)]\n#![feature(compiler_builtins)]\n\
                #![compiler_builtins]\n#![no_std]\n";
    fs::write(&empty, text)?;
    let core = source.join("core/src/lib.rs");
    for (name, file) in [("core", &core), ("compiler_builtins", &empty)] {
        let mut map = OsString::from("--remap-path-prefix=");
        map.push(source);
        map.push(format!("={MAPPED_SOURCE}"));
        let mut rustc = Command::new(rustc());
        // The library is written in what only nightly compilers allow elsewhere.
        rustc.env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTFLAGS");
        rustc.args(["--edition=2024", "--crate-type=rlib", "--emit=metadata"]);
        rustc.args(["-Copt-level=3", "-Cpanic=abort", "-Zforce-unstable-if-unmarked"]);
        // As where machine code is made, too.
        rustc.args(["-Zalways-encode-mir=yes"]);
        rustc.args(["--cap-lints=allow", "--target", target, "--crate-name", name]);
        rustc.arg(map).arg("--sysroot").arg(folder).arg("--out-dir").arg(&libraries).arg(file);
        let status = rustc.status().context("cannot run rustc")?;
        ensure!(status.success(), "rustc cannot compile {name} for {target}: {status}");
    }
    fs::write(&stamp_file, stamp)?;
    Ok(())
}

/// What the compiler prints.
fn said(arguments: &[&str]) -> Result<String> {
    let mut rustc = Command::new(rustc());
    let output = rustc.args(arguments).current_dir(workspace()).output();
    let output = output.context("cannot run rustc")?;
    ensure!(output.status.success(), "rustc {} failed", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}
