//! Builds the images again, where nothing is as before: another folder, another target folder, and for
//! this machine's architecture each profile. Their bytes must be the same, as people compare them and debug files are found by
//! their build-id.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use vdso_image::Source;
use xtask_build::images;
use xtask_build::standard_library::Core;

use super::Report;
use super::checks::workspace;
use super::set::Set;

const REMEDY: &str = "find what build.rs lets through: a path, an environment variable, a flag";

/// What is not source.
const LEFT_OUT: [&str; 2] = ["target", ".git"];

/// Folder of a profile's output, and how cargo is told of the profile.
const PROFILES: [(&str, &str); 2] = [("debug", "dev"), ("release", "release")];

pub fn run(set: &Set, sources: &[Source], report: &mut Report) -> Result<()> {
    let temporary = tempfile::Builder::new().prefix("rebuilt-elsewhere-").tempdir()?;
    let copy = temporary.path().join("another-name");
    copy_folder(workspace(), &copy)
        .with_context(|| format!("cannot copy {} to be rebuilt", workspace().display()))?;
    if set.architecture.name != vdso_image::ARCHITECTURE.name {
        let built = build_alone(set, &copy);
        compare_all(set, sources, "rebuild", &built, report);
        return Ok(());
    }
    for (folder, profile) in PROFILES {
        let built = build(&copy, folder, profile);
        compare_all(set, sources, &format!("rebuild-{profile}"), &built, report);
    }
    Ok(())
}

fn compare_all(
    set: &Set,
    sources: &[Source],
    check: &str,
    built: &Result<PathBuf>,
    report: &mut Report,
) {
    for source in sources {
        let outcome = match built {
            Ok(out) => compare(set, out, *source),
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        report.add(&set.name(*source), check, REMEDY, outcome);
    }
}

/// Builds another architecture's images, without cargo.
fn build_alone(set: &Set, copy: &Path) -> Result<PathBuf> {
    let sysroot = match Core::for_target(set.architecture.target)? {
        Core::Installed => None,
        Core::Sysroot(folder) => Some(folder),
        Core::Missing(reason) => bail!(reason),
    };
    let out = copy.join("images");
    images::build(set.architecture, copy, sysroot, &out)?;
    Ok(out)
}

/// Builds `vdso-image` alone and gives its `OUT_DIR`.
fn build(copy: &Path, folder: &str, profile: &str) -> Result<PathBuf> {
    let target = copy.join("target");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(copy).env("CARGO_TARGET_DIR", &target);
    // Would put the output into a folder of the target's name.
    cargo.env_remove("CARGO_BUILD_TARGET");
    cargo.args(["build", "--quiet", "--locked", "--package", "vdso-image", "--profile", profile]);
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(status.success(), "cargo cannot build the copy: {status}");
    for entry in fs::read_dir(target.join(folder).join("build"))? {
        let out = entry?.path().join("out");
        if out.join("own.so").exists() {
            return Ok(out);
        }
    }
    bail!("the build of the copy has left no image");
}

fn compare(set: &Set, out: &Path, source: Source) -> Result<()> {
    let before = set.subject(source);
    let image = fs::read(out.join(format!("{}.so", source.name())))?;
    same_bytes("image", before.bytes, &image)?;
    let debug = fs::read(out.join(format!("{}.debug", source.name())))?;
    same_bytes("debug file", before.debug()?, &debug)
}

/// Says where the first difference is.
pub fn same_bytes(name: &str, before: &[u8], rebuilt: &[u8]) -> Result<()> {
    if let Some(at) = before.iter().zip(rebuilt).position(|(left, right)| left != right) {
        bail!("the rebuilt {name} differs at {at:#x}");
    }
    let (before, rebuilt) = (before.len(), rebuilt.len());
    ensure!(before == rebuilt, "the rebuilt {name} has {rebuilt} bytes, not {before}");
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if LEFT_OUT.iter().any(|left_out| name == OsStr::new(left_out)) {
            continue;
        }
        let target = to.join(&name);
        // Follows a link to what it stands for.
        if fs::metadata(entry.path())?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
