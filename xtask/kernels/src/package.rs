//! A kernel out of Debian's package of it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::apt::Apt;
use super::cache::Cache;
use super::matrix::Kernel;

/// A kernel that can be booted.
pub struct Fetched {
    /// What the kernel calls itself: `uname -r`.
    pub release: String,
    /// The file.
    pub image: PathBuf,
}

/// The kernel from the cache, or from the archive if it is not there or if `renew`.
pub fn fetch(cache: &Cache, kernel: &Kernel, renew: bool) -> Result<Fetched> {
    let folder = cache.folder(&format!("kernels/{}/{}", kernel.arch, kernel.series))?;
    let _lock = cache.lock()?;
    if !renew && let Some(fetched) = cached(&folder)? {
        return Ok(fetched);
    }
    let apt = Apt::new(&cache.folder("apt")?, kernel.arch, &[kernel.suite], renew)?;
    let names = apt.names("linux-")?;
    let Some((package, release)) = newest(&names, kernel) else {
        let Kernel { suite, series, arch, flavour, .. } = kernel;
        bail!("{suite} has no kernel {series} of flavour {flavour} for {arch}");
    };
    let release = release.to_owned();
    let downloads = cache.temporary()?;
    let deb = apt.download(package, downloads.path())?;
    let unpacked = downloads.path().join("kernel");
    unpack(&deb, is_kernel, &unpacked)?;
    for entry in fs::read_dir(&folder)? {
        fs::remove_file(entry?.path())?;
    }
    let image = folder.join(&release);
    fs::rename(unpacked, &image)?;
    Ok(Fetched { release, image })
}

/// The one file of a kernel's folder is named for the release.
fn cached(folder: &Path) -> Result<Option<Fetched>> {
    let Some(entry) = fs::read_dir(folder)?.next() else { return Ok(None) };
    let image = entry?.path();
    let release = image.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Some(Fetched { release, image }))
}

/// The package of the newest kernel in the series, and that kernel's release. From 7.2 on, the image
/// has a package of its own.
fn newest<'a>(packages: &'a [String], kernel: &Kernel) -> Option<(&'a str, &'a str)> {
    let release = |package: &'a String| {
        let rest = ["linux-binary-unsigned-", "linux-binary-", "linux-image-"]
            .iter()
            .find_map(|prefix| package.strip_prefix(prefix))?;
        let version = rest.strip_suffix(kernel.flavour)?.strip_suffix('-')?;
        let is_of_series = version.strip_prefix(kernel.version())?.starts_with(['.', '-']);
        // Else the flavour is a longer one, such as rt-amd64.
        let is_version =
            version.split('-').all(|part| part.starts_with(|c: char| c.is_ascii_digit()));
        (is_of_series && is_version).then_some((package.as_str(), rest))
    };
    // Of those with one release, linux-binary-* has the kernel. It is the same signed or not.
    let rank = |package: &str| (package.contains("-binary-"), !package.contains("-unsigned-"));
    packages
        .iter()
        .filter_map(release)
        .max_by_key(|(package, release)| (numbers(release), rank(package)))
}

/// The numbers in a release, which order it.
fn numbers(release: &str) -> Vec<u64> {
    release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

fn is_kernel(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinu"))
}

/// Writes the first file of a package that `is_it` to `to`.
pub fn unpack(deb: &Path, is_it: impl Fn(&Path) -> bool, to: &Path) -> Result<()> {
    let mut command = Command::new("dpkg-deb");
    command.arg("--fsys-tarfile").arg(deb).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().context("cannot run dpkg-deb")?;
    let stdout = child.stdout.take().context("dpkg-deb has no output")?;
    let result = unpack_from(tar::Archive::new(stdout), is_it, to);
    // It may still be writing what nobody wants.
    let _ = child.kill();
    child.wait()?;
    ensure!(result?, "{} has no such file", deb.display());
    Ok(())
}

fn unpack_from(
    mut archive: tar::Archive<impl io::Read>,
    is_it: impl Fn(&Path) -> bool,
    to: &Path,
) -> Result<bool> {
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() && is_it(&entry.path()?) {
            io::copy(&mut entry, &mut File::create(to)?)?;
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::KERNELS;

    fn newest_of(packages: &[&str], arch: &str, series: &str) -> Option<String> {
        let kernel =
            KERNELS.iter().find(|kernel| (kernel.arch, kernel.series) == (arch, series)).unwrap();
        let packages: Vec<String> = packages.iter().map(|name| (*name).to_owned()).collect();
        newest(&packages, kernel).map(|(package, _)| package.to_owned())
    }

    #[test]
    fn the_newest_of_the_series_is_taken() {
        let packages = [
            "linux-image-6.1.0-9-amd64",
            "linux-image-6.1.0-50-amd64",
            "linux-image-6.1.0-50-amd64-unsigned",
            "linux-image-6.1.0-50-cloud-amd64",
            "linux-image-6.12.9+deb13-amd64",
            "linux-image-amd64",
        ];
        let newest = newest_of(&packages, "amd64", "6.1");
        assert_eq!(newest.as_deref(), Some("linux-image-6.1.0-50-amd64"));
        let newest = newest_of(&packages, "amd64", "6.12");
        assert_eq!(newest.as_deref(), Some("linux-image-6.12.9+deb13-amd64"));
        assert_eq!(newest_of(&packages, "amd64", "7.2"), None);
    }

    #[test]
    fn kernels_with_other_pages_are_others() {
        let packages = ["linux-binary-7.2.13+deb14-arm64", "linux-binary-7.2.13+deb14-arm64-16k"];
        let newest = |series| newest_of(&packages, "arm64", series);
        assert_eq!(newest("7.2").as_deref(), Some(packages[0]));
        assert_eq!(newest("7.2-16k").as_deref(), Some(packages[1]));
    }

    #[test]
    fn a_package_with_the_image_alone_goes_before_one_that_depends_on_it() {
        let packages = [
            "linux-binary-7.2.13+deb14-amd64",
            "linux-binary-7.2.13+deb14-rt-amd64",
            "linux-binary-unsigned-7.2.13+deb14-amd64",
            "linux-image-7.2.13+deb14-amd64",
        ];
        let newest = newest_of(&packages, "amd64", "7.2");
        assert_eq!(newest.as_deref(), Some(packages[0]));
        let unsigned = ["linux-binary-unsigned-7.3.4+deb13-arm64"];
        assert_eq!(newest_of(&unsigned, "arm64", "7.3").as_deref(), Some(unsigned[0]));
    }
}
