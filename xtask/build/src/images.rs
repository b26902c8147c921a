//! The images for other architectures than this machine's.
//!
//! Cargo builds an image for the target that it builds for. Here all of them are built, by the same code
//! (`build/images.rs` of the crate vdso-image) and without anything else for their targets, so neither a
//! linker nor a C library for them is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use vdso_data::architecture::Architecture;

use crate::cargo::{target_folder, workspace};
use crate::standard_library::{Core, rustc};

#[path = "../../../crates/vdso-image/build/images.rs"]
mod build;

/// Images for one architecture.
pub enum Images {
    /// `own.so`, `own.debug` and so on are in this folder.
    In(PathBuf),
    /// There is no standard library to compile them with, for this reason.
    Missing(String),
}

/// Makes a cargo build the images for i386 and x32 programs, too, into a command for x86-64: cargo itself
/// looks for their targets in the toolchain alone.
pub fn add_companions(cargo: &mut Command) -> Result<()> {
    let Some(current) = Architecture::CURRENT else { return Ok(()) };
    for (name, sysroot) in [
        (current.companion, "VDSO_IMAGE_COMPANION_SYSROOT"),
        (current.twin, "VDSO_IMAGE_TWIN_SYSROOT"),
    ] {
        if let Some(architecture) = name.and_then(Architecture::named)
            && let Core::Sysroot(folder) = Core::for_target(architecture.target)?
        {
            cargo.env(sysroot, folder);
        }
    }
    Ok(())
}

/// Builds them into `target/images/NAME`.
pub fn built(architecture: &'static Architecture) -> Result<Images> {
    let sysroot = match Core::for_target(architecture.target)? {
        Core::Installed => None,
        Core::Sysroot(folder) => Some(folder),
        Core::Missing(reason) => return Ok(Images::Missing(reason)),
    };
    let out = target_folder().join("images").join(architecture.name);
    build(architecture, workspace(), sysroot, &out)?;
    Ok(Images::In(out))
}

/// Builds them from the workspace `root` into `out`.
pub fn build(
    architecture: &'static Architecture,
    root: &Path,
    sysroot: Option<PathBuf>,
    out: &Path,
) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let build = build::Build {
        rustc: rustc(),
        target: architecture.target.to_owned(),
        architecture,
        sysroot,
        image_source: root.join("crates/vdso-image/image"),
        data_source: root.join("crates/vdso-data/src"),
        arch_source: root.join("crates/vdso-arch/src"),
        out: out.to_owned(),
        linker: std::env::var_os(build::LINKER).map(PathBuf::from),
        warnings: build::Warnings::Denied,
    };
    build.images().map_err(anyhow::Error::msg)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::build::{Build, SOURCES, Warnings};
    use test_support::Lacking;

    use super::{Architecture, Images, built, rustc, workspace};
    use crate::cargo::{cargo, target_folder};

    /// For this machine, by its own compiler.
    fn build(out: &Path) -> Build {
        let architecture = Architecture::CURRENT.expect("there is an image for this machine");
        Build {
            rustc: rustc(),
            target: architecture.target.to_owned(),
            architecture,
            sysroot: None,
            image_source: workspace().join("crates/vdso-image/image"),
            data_source: workspace().join("crates/vdso-data/src"),
            arch_source: workspace().join("crates/vdso-arch/src"),
            out: out.to_owned(),
            linker: None,
            warnings: Warnings::Denied,
        }
    }

    fn program(path: &Path, text: &str) {
        fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("a folder of the test's");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a file of the test's");
    }

    /// As a compiler of a distribution's has none.
    #[test]
    fn a_missing_linker_is_named_with_its_remedy() {
        let folder = tempfile::tempdir().expect("a folder");
        let without = folder.path().join("rustc");
        program(&without, "echo /nowhere");
        let error = Build { rustc: without.into(), ..build(folder.path()) }.images().unwrap_err();
        assert!(error.contains("rust-lld"), "{error}");
        assert!(error.contains("VDSO_IMAGE_LINKER=ld.lld"), "{error}");
    }

    /// Which of LLVM's linkers is to be is told by the name of the program.
    #[test]
    fn another_linker_gives_the_same_images() {
        let [usual, others] = [(), ()].map(|()| tempfile::tempdir().expect("a folder"));
        build(usual.path()).images().expect("images");
        let linker = others.path().join("ld.lld");
        program(&linker, "exec \"$(dirname \"$0\")\"/rust-lld -flavor gnu \"$@\"");
        let own = own_linker();
        std::os::unix::fs::symlink(own, others.path().join("rust-lld")).expect("a link");
        Build { linker: Some(linker), ..build(others.path()) }.images().expect("images");
        for source in SOURCES {
            let [usual, other] = [&usual, &others]
                .map(|folder| fs::read(folder.path().join(format!("{source}.so"))).expect("it"));
            assert!(usual == other, "{source} differs");
        }
    }

    /// Cargo itself builds for one machine.
    #[test]
    fn a_crate_has_the_images_that_were_asked_for() {
        let arm64 = Architecture::named("arm64").expect("a row");
        let images = match built(arm64).expect("images, or a reason") {
            Images::In(folder) => folder,
            Images::Missing(reason) => {
                return test_support::skip(Lacking::Toolchain, "images on request", &reason);
            }
        };
        let mut cargo = cargo("also");
        cargo.args(["test", "--quiet", "--package", "vdso-image", "--test", "architectures"]);
        cargo.env("VDSO_IMAGE_ALSO", "arm64").env("VDSO_IMAGE_ALSO_ARE_IN", &images);
        cargo.env("VDSO_IMAGE_SYSROOTS", target_folder().join("sysroots"));
        let output = cargo.output().expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn own_linker() -> std::path::PathBuf {
        let say = |what| {
            let output = std::process::Command::new(rustc()).args(["--print", what]).output();
            String::from_utf8(output.expect("it runs").stdout).expect("text").trim().to_owned()
        };
        let folder = Path::new(&say("sysroot")).join("lib/rustlib").join(say("host-tuple"));
        folder.join("bin/rust-lld")
    }
}
