//! The kernel's sources: found, unpacked once, compiled by gcc alone. No kernel is configured or
//! built: the tests need nothing but the C library's headers and the kernel's as Debian installs
//! them with it (`linux-libc-dev`).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use xtask_build::standard_library::rustc;

use super::suite::{Chacha, FOLDER, Test, UNPACKED};

/// Where Debian's packages put their tarballs.
const INSTALLED: &str = "/usr/src";
const PREFIX: &str = "linux-source-";
const SUFFIX: &str = ".tar.xz";

/// Unpacked selftests.
pub struct SourceTree {
    name: String,
    selftests: PathBuf,
    /// Compiled programs, removed at the end.
    programs: TempDir,
}

impl SourceTree {
    /// Finds and unpacks the sources; the inner error says what this machine lacks.
    pub fn find(tarball: Option<PathBuf>) -> Result<Result<Self, String>> {
        let Some(tarball) = tarball.or_else(newest) else {
            let reason = format!("no {INSTALLED}/{PREFIX}*{SUFFIX} (Debian: linux-source-6.12)");
            return Ok(Err(reason));
        };
        for tool in ["gcc", "tar", "xz"] {
            if Command::new(tool).arg("--version").output().is_err() {
                return Ok(Err(format!("no `{tool}` in PATH")));
            }
        }
        let file_name = tarball.file_name().context("the tarball is a folder")?.to_string_lossy();
        let name = file_name.trim_end_matches(SUFFIX).to_owned();
        let cache = xtask_build::cargo::target_folder().join("selftests");
        let unpacked = cache.join(&name);
        unpack(&tarball, &name, &unpacked)?;
        let programs = tempfile::Builder::new().prefix("programs-").tempdir_in(&cache)?;
        Ok(Ok(Self { name, selftests: unpacked.join(FOLDER), programs }))
    }

    /// Which kernel's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has the test: older kernels lack some.
    pub fn has(&self, test: &Test) -> bool {
        self.selftests.join(test.folder).join(test.sources[0]).exists()
    }

    /// Compiles the test, unless that is done already.
    pub fn compile(&self, test: &Test) -> Result<PathBuf> {
        let program = self.programs.path().join(test.name());
        if program.exists() {
            return Ok(program);
        }
        let mut gcc = Command::new("gcc");
        gcc.current_dir(self.selftests.join(test.folder));
        gcc.args(["-std=gnu99", "-w"]);
        // Sources of Linux 6.12 and later use its types without naming it.
        gcc.args(["-include", "linux/types.h"]);
        gcc.args(test.sources).args(test.flags).arg("-o").arg(&program);
        if let Some(way) = test.linked {
            gcc.arg(self.compile_chacha(way)?);
        }
        let output = gcc.output().context("cannot run gcc")?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cannot compile {}:\n{words}", test.name());
        Ok(program)
    }
}

impl SourceTree {
    /// Our ChaCha20, as the image has it, in an object file.
    fn compile_chacha(&self, way: Chacha) -> Result<PathBuf> {
        let object = self.programs.path().join(format!("chacha-{}.o", way.name()));
        let mut rustc = Command::new(rustc());
        rustc.args(["--edition=2024", "--crate-type=lib", "--emit=obj", "-O", "-Cpanic=abort"]);
        rustc.arg(format!("--cfg=way=\"{}\"", way.name())).arg("-o").arg(&object);
        rustc.arg(xtask_build::cargo::workspace().join("test-programs/random/chacha.rs"));
        let output = rustc.output().context("cannot run rustc")?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cannot compile chacha.rs:\n{words}");
        Ok(object)
    }
}

/// The highest version that is installed.
fn newest() -> Option<PathBuf> {
    let names = fs::read_dir(INSTALLED)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let version = |name: &String| -> Option<Vec<u32>> {
        let version = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        version.split('.').map(|part| part.parse().ok()).collect()
    };
    let newest = names.filter(|name| version(name).is_some()).max_by_key(version)?;
    Some(Path::new(INSTALLED).join(newest))
}

/// Unpacks what the tests need, unless that has been done from this very file. xz has to read nearly
/// all of the tarball for it, which takes some ten seconds.
fn unpack(tarball: &Path, name: &str, into: &Path) -> Result<()> {
    let data = fs::metadata(tarball).with_context(|| format!("no {}", tarball.display()))?;
    let (bytes, sec, nsec) = (data.len(), data.mtime(), data.mtime_nsec());
    let stamp = format!("{bytes} {sec} {nsec} {UNPACKED:?}");
    let stamp_path = into.join("stamp");
    if fs::read_to_string(&stamp_path).is_ok_and(|last| last == stamp) {
        return Ok(());
    }
    if into.exists() {
        fs::remove_dir_all(into).with_context(|| format!("cannot remove {}", into.display()))?;
    }
    fs::create_dir_all(into).with_context(|| format!("cannot create {}", into.display()))?;
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--file").arg(tarball).arg("--directory").arg(into);
    tar.arg("--strip-components=1");
    tar.args(UNPACKED.map(|path| format!("{name}/{path}")));
    let status = tar.status().context("cannot run tar")?;
    ensure!(status.success(), "tar cannot unpack {}: {status}", tarball.display());
    fs::write(&stamp_path, stamp).context("cannot write a stamp")
}
