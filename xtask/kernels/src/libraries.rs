//! The C libraries of an architecture, out of Debian's packages: what loads an image as a library.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::apt::Apt;
use super::cache::Cache;
use super::matrix::Kernel;
use super::package;

/// A file of a C library: the package, the name that it has in the machine, and which file it is.
type Part = (&'static str, &'static str, fn(&str) -> bool);

const PARTS: &[Part] = &[
    ("libc6", "glibc-loader", is_glibc_loader),
    ("libc6", GLIBC, |name| name == GLIBC),
    ("musl", "musl-loader", is_musl),
];

/// A part of amd64, which has no musl for it.
const X32_PARTS: &[Part] = &[
    ("libc6-x32", "glibc-loader", |name| name == "ld.so" || is_glibc_loader(name)),
    ("libc6-x32", GLIBC, |name| name == GLIBC),
];

/// glibc itself.
pub const GLIBC: &str = "libc.so.6";

/// What glibc calls its loader differs.
fn is_glibc_loader(name: &str) -> bool {
    (name.starts_with("ld-") || name.starts_with("ld64.so.") || name.starts_with("ld.so."))
        && name.contains(".so.")
}

/// The library is its loader; newer packages have it under the loader's name.
fn is_musl(name: &str) -> bool {
    name == "libc.so" || name.starts_with("ld-musl-") && name.ends_with(".so.1")
}

/// Each file of an ABI, as Debian calls it, by what it is called in the machine: from the cache or from the
/// archive that has the kernel.
pub fn fetch(
    cache: &Cache,
    kernel: &Kernel,
    abi: &'static str,
) -> Result<Vec<(&'static str, PathBuf)>> {
    // Backports are of kernels, not of C libraries.
    let suite = kernel.suite.trim_end_matches("-backports");
    let (arch, parts) = if abi == "x32" { ("amd64", X32_PARTS) } else { (abi, PARTS) };
    let folder = cache.folder(&format!("libraries/{abi}-{suite}"))?;
    let mut files = Vec::new();
    for (package, name, is_it) in parts {
        let file = folder.join(name);
        let lock = cache.lock()?;
        if !file.exists() {
            let apt = Apt::new(&cache.folder("apt")?, arch, &[suite], false)?;
            let downloads = cache.temporary()?;
            let deb = apt.download(package, downloads.path())?;
            let part = downloads.path().join("part");
            let named =
                |path: &Path| path.file_name().is_some_and(|it| is_it(&it.to_string_lossy()));
            package::unpack(&deb, named, &part)?;
            fs::rename(part, &file)?;
        }
        drop(lock);
        files.push((*name, file));
    }
    Ok(files)
}
