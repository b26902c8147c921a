//! The package in Debian's form: an archive of two archives, deb(5).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use test_support::{Lacking, skip};

use super::{Packed, append, gzip, output};

/// What Debian calls this architecture.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// The package's file.
pub fn file_name(version: &str) -> String {
    format!("vdso_{version}_{ARCHITECTURE}.deb")
}

/// The package of `files`, by their paths below a prefix, which is `/usr` there.
pub fn package(
    version: &str,
    files: &BTreeMap<PathBuf, Packed>,
    modified_sec: u64,
) -> Result<Vec<u8>> {
    let mut data = tar::Builder::new(Vec::new());
    for (path, file) in files {
        append(&mut data, &place(path), file.mode, &file.content, modified_sec)?;
    }
    let bytes: usize = files.values().map(|file| file.content.len()).sum();
    let control = format!(
        "Package: vdso\n\
         Version: {version}\n\
         Architecture: {ARCHITECTURE}\n\
         Maintainer: the vdso developers <vdso@localhost>\n\
         Installed-Size: {}\n\
         Section: utils\n\
         Priority: optional\n\
         Description: gives any unmodified program a clock of its own\n \
         Puts a vDSO written in Rust into programs as they start, and looks into, checks and\n \
         measures the vDSO of every process.\n",
        bytes.div_ceil(1024)
    );
    let mut control_archive = tar::Builder::new(Vec::new());
    append(&mut control_archive, Path::new("./control"), 0o644, control.as_bytes(), modified_sec)?;
    let members = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", gzip(&control_archive.into_inner()?)?),
        ("data.tar.gz", gzip(&data.into_inner()?)?),
    ];
    let mut package = b"!<arch>\n".to_vec();
    for (name, content) in members {
        let mut header = String::new();
        write!(header, "{name:<16}{modified_sec:<12}{:<6}{:<6}{:<8}", 0, 0, "100644")?;
        writeln!(header, "{:<10}`", content.len())?;
        package.extend(header.as_bytes());
        package.extend(&content);
        // Members begin at even places.
        if !content.len().is_multiple_of(2) {
            package.push(b'\n');
        }
    }
    Ok(package)
}

/// Debian keeps completions for zsh elsewhere.
fn place(path: &Path) -> PathBuf {
    let path = match path.strip_prefix("share/zsh/site-functions") {
        Ok(name) => Path::new("share/zsh/vendor-completions").join(name),
        Err(_) => path.to_owned(),
    };
    Path::new("./usr").join(path)
}

/// Unpacks it by Debian's own tool, and runs what comes out.
pub fn try_out(package: &[u8]) -> Result<()> {
    if Command::new("dpkg-deb").arg("--version").output().is_err() {
        skip(Lacking::Tool, "the package for Debian", "no `dpkg-deb` in PATH");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("vdso.deb");
    std::fs::write(&file, package)?;
    let root = folder.path().join("root");
    output(Command::new("dpkg-deb").arg("--extract").args([&file, &root]))?;
    let field = output(Command::new("dpkg-deb").arg("--field").arg(&file).arg("Architecture"))?;
    ensure!(field == format!("{ARCHITECTURE}\n").as_bytes(), "the package is for {field:?}");
    let said = output(Command::new(root.join("usr/bin/vdso")).arg("--version"))?;
    ensure!(said.starts_with(b"vdso "), "the packed command says {said:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_one_to_debians_tool() {
        let script = b"#!/bin/sh\necho vdso 1\n".to_vec();
        let mut files = BTreeMap::new();
        files.insert("bin/vdso".into(), Packed { mode: 0o755, content: script });
        let completion = Packed { mode: 0o644, content: b"odd".to_vec() };
        files.insert("share/zsh/site-functions/_vdso".into(), completion);
        let package = package("1", &files, 0).unwrap();
        try_out(&package).unwrap();
        assert!(package.starts_with(
            b"!<arch>\ndebian-binary   0           0     0     100644  4         `\n2.0\n"
        ));
    }
}
