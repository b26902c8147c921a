//! The crates that are in a binary of ours, and their licences: a package must carry their texts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

use xtask_build::cargo::workspace;

/// What the files are called that have a licence's text or what it asks to be passed on.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

/// Files of a package, by their paths below the folder for its documents.
pub fn files_for(package: &str, target: &str) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let metadata = MetadataCommand::new()
        .manifest_path(workspace().join("Cargo.toml"))
        .other_options(["--locked", "--filter-platform", target].map(str::to_owned).to_vec())
        .exec()
        .context("cargo cannot tell what the command depends on")?;
    let mut files = BTreeMap::new();
    let mut list = String::new();
    for package in linked(&metadata, package)? {
        let licence = package.license.as_deref().unwrap_or("see the files");
        let name = format!("{}-{}", package.name, package.version);
        let texts = texts_of(package)?;
        let note = if texts.is_empty() { " (its package has no text of it)" } else { "" };
        writeln!(list, "{name}: {licence}{note}")?;
        for (file, text) in texts {
            files.insert(Path::new("licences").join(&name).join(file), text);
        }
    }
    files.insert("DEPENDENCIES".into(), list.into_bytes());
    Ok(files)
}

/// The other people's crates that a package is linked with, in order. Macros are gone by then.
fn linked<'a>(metadata: &'a Metadata, package: &str) -> Result<Vec<&'a Package>> {
    let resolve = metadata.resolve.as_ref().context("cargo has not resolved the dependencies")?;
    let root = metadata.packages.iter().find(|other| other.name.as_str() == package);
    let mut seen = BTreeSet::new();
    let mut next = vec![&root.with_context(|| format!("there is no package {package}"))?.id];
    while let Some(id) = next.pop() {
        let is_macro = metadata[id].targets.iter().any(cargo_metadata::Target::is_proc_macro);
        if !is_macro && seen.insert(id) {
            next.extend(dependencies(&resolve[id]));
        }
    }
    let theirs = |id: &&PackageId| metadata[id].source.is_some();
    let mut packages: Vec<_> = seen.into_iter().filter(theirs).map(|id| &metadata[id]).collect();
    packages.sort_by_key(|package| (package.name.to_string(), package.version.clone()));
    Ok(packages)
}

/// Those that are linked: not those of tests and build scripts.
fn dependencies(node: &cargo_metadata::Node) -> impl Iterator<Item = &PackageId> {
    let is_linked = |dependency: &&cargo_metadata::NodeDep| {
        dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
    };
    node.deps.iter().filter(is_linked).map(|dependency| &dependency.pkg)
}

/// The files of a crate's own folder that have one of the names.
fn texts_of(package: &Package) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let folder = package.manifest_path.parent().context("a manifest is in a folder")?;
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {folder}"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        if path.is_file() && NAMES.iter().any(|prefix| name.starts_with(prefix)) {
            let text =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            texts.push((path.file_name().unwrap_or_default().into(), text));
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_that_are_linked_have_their_licences_and_no_others() {
        let files = files_for("vdso-cli", "x86_64-unknown-linux-gnu").unwrap();
        let list = String::from_utf8(files[Path::new("DEPENDENCIES")].clone()).unwrap();
        let has = |name: &str| list.lines().any(|line| line.starts_with(&format!("{name}-")));
        assert!(has("clap") && has("anyhow") && has("nix"), "{list}");
        // Of tests alone, a macro's, and our own.
        assert!(!has("insta") && !has("syn") && !has("vdso-client"), "{list}");
        let texts = |name: &str| {
            let of = |path: &&PathBuf| path.to_string_lossy().contains(&format!("/{name}-"));
            files.keys().filter(of).count()
        };
        assert!(texts("anyhow") >= 2, "both licences");
        for line in list.lines() {
            let (name, licence) = line.split_once(": ").unwrap();
            let without_text = licence.ends_with("no text of it)");
            let folder = Path::new("licences").join(name);
            assert_eq!(files.keys().any(|path| path.starts_with(&folder)), !without_text, "{line}");
        }
    }

    #[test]
    fn every_licence_may_be_passed_on_with_ours() {
        let files = files_for("vdso-cli", "x86_64-unknown-linux-gnu").unwrap();
        let list = String::from_utf8(files[Path::new("DEPENDENCIES")].clone()).unwrap();
        for line in list.lines() {
            let known = ["MIT", "Apache-2.0", "BSD", "Zlib", "Unlicense", "0BSD", "ISC"];
            assert!(known.iter().any(|licence| line.contains(licence)), "{line}");
        }
    }
}
