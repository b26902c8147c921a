//! Builds `test-programs/kernel-init` for one target after another.
//!
//! Where the toolchain has the target (`rustup target add`), its `core` is used. Elsewhere `core` is
//! built with the program, from the standard library's source: that which `VDSO_RUST_SRC` names, or the
//! toolchain's component `rust-src`. Cargo takes such a build from its nightly versions alone, so it is
//! told to be one; nothing else of nightly is used but inline assembly for mips. The linker is the
//! toolchain's own, so no other compiler is needed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use xtask_build::{cargo, standard_library};

/// What builds programs.
pub struct Builder {
    /// The folder `library` of the standard library's source.
    library: Option<PathBuf>,
}

impl Builder {
    /// Looks for the standard library's source.
    pub fn new() -> Result<Self> {
        Ok(Self { library: standard_library::source()? })
    }

    /// What is lacking to build for a target; `None` if nothing is.
    pub fn lacks(&self, target: &str) -> Result<Option<String>> {
        let is_there = self.library.is_some() || standard_library::is_installed(target)?;
        Ok((!is_there).then(|| standard_library::missing(target)))
    }

    /// Makes cargo build these parts of the standard library as well, if the toolchain has them not.
    pub fn with_standard_library(
        &self,
        command: &mut Command,
        target: &str,
        parts: &str,
    ) -> Result<()> {
        // Cargo's nightly features, and those of rustc.
        command.env("RUSTC_BOOTSTRAP", "1");
        if !standard_library::is_installed(target)? {
            command.arg("-Z").arg(format!("build-std={parts}"));
            if let Some(folder) = &self.library {
                command.env("__CARGO_TESTS_ONLY_SRC_ROOT", folder);
            }
        }
        Ok(())
    }

    /// Gives the path of the first program.
    pub fn build(&self, target: &str) -> Result<PathBuf> {
        self.build_program("kernel-init", target, &[])
    }

    /// Gives the path of the program that has a C library load images; `libc` is glibc's.
    pub fn build_dlopen(&self, target: &str, libc: &Path) -> Result<PathBuf> {
        // The loader is called by name, and is what the library needs beside itself.
        let linked = format!("-Clink-arg={}", libc.display());
        self.build_program("dlopen", target, &[&linked, "-Clink-arg=--allow-shlib-undefined"])
    }

    fn build_program(&self, program: &str, target: &str, arguments: &[&str]) -> Result<PathBuf> {
        let manifest = cargo::workspace().join("test-programs").join(program).join("Cargo.toml");
        let mut command = cargo::cargo("kernels");
        command.arg("rustc").arg("--quiet").arg("--manifest-path").arg(manifest);
        command.args(["--locked", "--release", "--target", target]);
        command.env_remove("RUSTFLAGS");
        self.with_standard_library(&mut command, target, "core,compiler_builtins")?;
        // For this program alone: build scripts are for this machine.
        command.args(["--", "-Clinker=rust-lld", "-Clinker-flavor=ld.lld"]);
        command.arg("-Crelocation-model=static").args(arguments);
        let output = command.output().context("cannot run cargo")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the program for {target} does not build:\n{said}");
        Ok(cargo::target_folder().join("kernels").join(target).join("release").join(program))
    }
}
