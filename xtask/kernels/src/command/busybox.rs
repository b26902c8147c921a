//! A shell and what a shell needs, in one static program: Debian's package busybox-static.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::apt::Apt;
use crate::cache::Cache;
use crate::package;

/// That of a suite; that of the release that backports are for.
pub fn fetch(cache: &Cache, arch: &str, suite: &str) -> Result<PathBuf> {
    let suite = suite.strip_suffix("-backports").unwrap_or(suite);
    let to = cache.folder("busybox")?.join(format!("{arch}-{suite}"));
    if !to.exists() {
        let apt = Apt::new(&cache.folder("apt")?, arch, &[suite], false)?;
        let downloads = cache.temporary()?;
        let deb = apt.download("busybox-static", downloads.path())?;
        let unpacked = downloads.path().join("file");
        package::unpack(&deb, |path| path.ends_with("bin/busybox"), &unpacked)?;
        fs::rename(unpacked, &to)?;
    }
    Ok(to)
}
