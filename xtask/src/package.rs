//! `cargo xtask package`: is each crate that is to be published ready for it?
//!
//! What a registry or a reader of it wants is there (repository, keywords, what docs.rs is told, a README
//! with an example that runs), what its documentation names is in its package, two versions of the client
//! can be in one program, and each is built from what its package has and from each other's packages.
//! Nothing is sent anywhere.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{MetadataCommand, Package};

use xtask_build::cargo::{cargo, target_folder, workspace};

/// Check and build the packages of the crates that are to be published
#[derive(clap::Args)]
pub struct Args {
    /// Check what is in them, and build none
    #[arg(long)]
    no_verify: bool,
}

/// Fails at the first crate that is not ready, with all that it lacks.
pub fn run(args: &Args) -> Result<ExitCode> {
    let all = MetadataCommand::new().current_dir(workspace()).no_deps().exec()?.packages;
    let (published, kept): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|package| package.publish.is_none());
    for package in &published {
        let mut lacks = lacking(package);
        lacks.extend(lacking_files(package, &files_of(package)?)?);
        ensure!(lacks.is_empty(), "{} lacks:\n  {}", package.name, lacks.join("\n  "));
    }
    two_versions()?;
    if !args.no_verify {
        verify(&kept)?;
    }
    println!("{} packages are complete", published.len());
    Ok(ExitCode::SUCCESS)
}

/// What the manifest does not say.
fn lacking(package: &Package) -> Vec<String> {
    let said = [
        ("a description", package.description.is_some()),
        ("a licence", package.license.is_some()),
        ("a repository", package.repository.is_some()),
        ("keywords", !package.keywords.is_empty()),
        ("categories", !package.categories.is_empty()),
        ("the oldest compiler (rust-version)", package.rust_version.is_some()),
        ("a README", package.readme.is_some()),
        ("the targets for docs.rs", !docs_targets(package).is_empty()),
    ];
    said.iter().filter(|(_, is_said)| !is_said).map(|(what, _)| (*what).to_owned()).collect()
}

fn docs_targets(package: &Package) -> &[serde_json::Value] {
    let targets = package.metadata.pointer("/docs/rs/targets");
    targets.and_then(serde_json::Value::as_array).map_or(&[], Vec::as_slice)
}

/// The files that the package has, relative to the crate's folder.
fn files_of(package: &Package) -> Result<BTreeSet<String>> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace()).args(["package", "--quiet", "--list", "--allow-dirty", "-p"]);
    let output = cargo.arg(package.name.as_str()).output().context("cannot run cargo")?;
    ensure!(
        output.status.success(),
        "cargo package --list: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

/// What belongs into the package and is not there.
fn lacking_files(package: &Package, files: &BTreeSet<String>) -> Result<Vec<String>> {
    let folder = package.manifest_path.parent().context("a manifest is in a folder")?.as_std_path();
    let mut lacks = Vec::new();
    for file in ["README.md", "LICENSE-APACHE", "LICENSE-MIT"] {
        if !files.contains(file) {
            lacks.push(format!("the file {file}"));
        }
    }
    let readme = fs::read_to_string(folder.join("README.md")).unwrap_or_default();
    let library = fs::read_to_string(folder.join("src/lib.rs")).ok();
    lacks.extend(lacking_example(&readme, library.as_deref()).map(str::to_owned));
    for file in files.iter().filter(|file| file.ends_with(".rs") || file.ends_with(".md")) {
        let Ok(text) = fs::read_to_string(folder.join(file)) else { continue };
        for named in named_documents(file, &text) {
            if !files.contains(&named) {
                lacks.push(format!("{named}, which {file} names"));
            }
        }
        if file.starts_with("build") && text.contains("-Dwarnings") && !text.contains("Denied") {
            lacks.push(format!("a build that outlives the next compiler's warnings: {file}"));
        }
    }
    Ok(lacks)
}

/// An example that nobody runs is soon wrong: a library runs those of its README as documentation.
fn lacking_example(readme: &str, library: Option<&str>) -> Option<&'static str> {
    match library {
        Some(_) if !readme.contains("```rust\n") => Some("an example in its README"),
        Some(source) if !source.contains("#[doc = include_str!(\"../README.md\")]") => {
            Some("a test of its README's example")
        }
        None if !readme.contains("```console\n$ ") => Some("an example in its README"),
        _ => None,
    }
}

/// The documents that a file names: `docs/NAME.md` anywhere, and what a document links to beside itself.
fn named_documents(file: &str, text: &str) -> BTreeSet<String> {
    let is_name = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
    let documents = |before: &'static str, folder: &'static str| {
        text.split(before).skip(1).filter_map(move |rest| {
            let end = rest.find(|it| !is_name(it)).unwrap_or(rest.len());
            let name = rest[..end].trim_end_matches('.');
            name.ends_with(".md").then(|| format!("{folder}{name}"))
        })
    };
    let mut named: BTreeSet<_> = documents("docs/", "docs/").collect();
    if file.starts_with("docs/") {
        named.extend(documents("](", "docs/"));
    }
    named
}

/// Two versions of the client in one program: nothing in it may be there only once.
fn two_versions() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for version in ["0.1.0", "0.2.0"] {
        for name in ["vdso-client", "vdso-arch", "vdso-data", "vdso-elf"] {
            copy(name, version, &folder.path().join(version))?;
        }
    }
    // Beside them: what is below a workspace's root belongs to it.
    let program = folder.path().join("program");
    fs::create_dir_all(program.join("src"))?;
    fs::write(program.join("src/main.rs"), PROGRAM)?;
    fs::write(program.join("Cargo.toml"), MANIFEST)?;
    let status = cargo("two-versions").current_dir(program).args(["run", "--quiet"]).status();
    let status = status.context("cannot run cargo")?;
    ensure!(status.success(), "two versions of vdso-client cannot be in one program ({status})");
    Ok(())
}

const MANIFEST: &str = r#"
[package]
name = "two-versions"
edition = "2024"

[dependencies]
old = { package = "vdso-client", path = "../0.1.0/vdso-client" }
new = { package = "vdso-client", path = "../0.2.0/vdso-client" }

[workspace]
"#;

const PROGRAM: &str = r#"
fn main() {
    let old = old::clock_gettime(old::ClockId::MONOTONIC).expect("a time");
    let new = new::clock_gettime(new::ClockId::MONOTONIC).expect("a time");
    assert!((new.sec, new.nsec) >= (old.sec, old.nsec));
}
"#;

/// A crate's source under another version, with nothing but what it is built from.
fn copy(name: &str, version: &str, to: &Path) -> Result<()> {
    let from = workspace().join("crates").join(name);
    let to = to.join(name);
    copy_folder(&from.join("src"), &to.join("src"))?;
    fs::copy(from.join("README.md"), to.join("README.md"))?;
    let manifest = fs::read_to_string(from.join("Cargo.toml"))?;
    fs::write(to.join("Cargo.toml"), alone(&manifest, version))?;
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (path, to) = (entry?.path(), to.to_owned());
        let to = to.join(path.file_name().context("an entry has a name")?);
        if path.is_dir() {
            copy_folder(&path, &to)?;
        } else {
            fs::copy(&path, &to)?;
        }
    }
    Ok(())
}

/// A manifest without its workspace and its tests.
fn alone(manifest: &str, version: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut is_kept = true;
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_kept =
                !line.contains("dev-dependencies") && line != "[lints]" && !line.contains("loom");
        }
        let Some((key, _)) = line.split_once([' ', '.']).filter(|_| is_kept) else {
            lines.extend(is_kept.then(|| line.to_owned()));
            continue;
        };
        lines.push(match key {
            "version" => format!("version = \"{version}\""),
            "edition" => "edition = \"2024\"".to_owned(),
            "license" | "repository" => continue,
            "vdso-arch" | "vdso-data" | "vdso-elf" => format!("{key} = {{ path = \"../{key}\" }}"),
            // Features that nobody asks for here.
            "libc" | "rustix" | "rand_core" if line.contains("dep:") => format!("{key} = []"),
            "libc" | "rustix" | "rand_core" => continue,
            _ => line.to_owned(),
        });
    }
    lines.push("[lints.rust]\nunexpected_cfgs = \"allow\"\n".to_owned());
    lines.join("\n")
}

/// Each from what its package has, with the others' packages.
fn verify(kept: &[Package]) -> Result<()> {
    forget_packages();
    let mut cargo = cargo(BUILD_FOLDER);
    cargo.args(["package", "--quiet", "--allow-dirty", "--workspace"]);
    cargo.args(kept.iter().map(|package| format!("--exclude={}", package.name)));
    let status = cargo.status().context("cannot run cargo")?;
    if !status.success() {
        bail!("cargo package failed ({status})");
    }
    Ok(())
}

/// Where the packages are built: nothing else is, so that what was built there can be forgotten.
const BUILD_FOLDER: &str = "packages";

/// Cargo unpacks what it packages into its registry's folder, and builds it, under one name for all states of a
/// version, and believes what it finds there: crates would be built against others of an earlier run.
fn forget_packages() {
    let entries = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
    let begins = |entry: &fs::DirEntry, with| entry.file_name().to_string_lossy().starts_with(with);
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let built = target_folder().join(BUILD_FOLDER).join("debug/.fingerprint");
    for package in entries(built).filter(|entry| begins(entry, "vdso-")) {
        let _ = fs::remove_dir_all(package.path());
    }
    let Some(home) = home else { return };
    // Registries without a host are folders: those that cargo makes for this.
    for registry in entries(home.join("registry/src")).filter(|entry| begins(entry, "-")) {
        for package in entries(registry.path()).filter(|entry| begins(entry, "vdso-")) {
            let _ = fs::remove_dir_all(package.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{lacking_example, named_documents};

    fn named(file: &str, text: &str) -> Vec<String> {
        named_documents(file, text).into_iter().collect::<BTreeSet<_>>().into_iter().collect()
    }

    #[test]
    fn documents_are_found_where_they_are_named() {
        let text = "See `docs/DATAPAGE.md`, docs/KERNELS.md. [More](RANDOM.md), docs/ and docs/x.";
        assert_eq!(named("src/lib.rs", text), ["docs/DATAPAGE.md", "docs/KERNELS.md"]);
        assert_eq!(
            named("docs/A.md", text),
            ["docs/DATAPAGE.md", "docs/KERNELS.md", "docs/RANDOM.md"]
        );
    }

    #[test]
    fn an_example_that_nobody_runs_is_none() {
        let readme = "# x\n\n```rust\nx();\n```\n";
        assert!(lacking_example("# x\n", Some("")).is_some());
        assert!(lacking_example(readme, Some("#![no_std]")).is_some());
        assert!(lacking_example(readme, Some("#[doc = include_str!(\"../README.md\")]")).is_none());
        assert!(lacking_example(readme, None).is_some());
        assert!(lacking_example("```console\n$ x\n```\n", None).is_none());
    }
}
