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

const PARTS: [Part; 3] = [
    ("libc6", "glibc-loader", is_glibc_loader),
    ("libc6", "libc.so.6", |name| name == "libc.so.6"),
    ("musl", "musl-loader", is_musl),
];

/// What glibc calls its loader differs.
fn is_glibc_loader(name: &str) -> bool {
    (name.starts_with("ld-") || name.starts_with("ld64.so.") || name.starts_with("ld.so."))
        && name.contains(".so.")
}

/// The library is its loader; newer packages have it under the loader's name.
fn is_musl(name: &str) -> bool {
    name == "libc.so" || name.starts_with("ld-musl-") && name.ends_with(".so.1")
}

/// Each file by its name in the machine, from the cache or from the archive that has the kernel.
pub fn fetch(cache: &Cache, kernel: &Kernel) -> Result<Vec<(String, PathBuf)>> {
    let folder = cache.folder(&format!("libraries/{}", kernel.arch))?;
    let mut files = Vec::new();
    for (package, name, is_it) in PARTS {
        let file = folder.join(name);
        let lock = cache.lock()?;
        if !file.exists() {
            // Backports are of kernels, not of C libraries.
            let suite = kernel.suite.trim_end_matches("-backports");
            let apt = Apt::new(&cache.folder("apt")?, kernel.arch, &[suite], false)?;
            let downloads = cache.temporary()?;
            let deb = apt.download(package, downloads.path())?;
            let part = downloads.path().join("part");
            let named =
                |path: &Path| path.file_name().is_some_and(|it| is_it(&it.to_string_lossy()));
            package::unpack(&deb, named, &part)?;
            fs::rename(part, &file)?;
        }
        drop(lock);
        files.push((name.to_owned(), file));
    }
    Ok(files)
}
