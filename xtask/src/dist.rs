//! `cargo xtask dist`: the packages that a person downloads, with the command, its manual pages and
//! completions, and the licences: ours, and those of the crates that are in it.
//!
//! The command is one static file, for any Linux of this architecture. The archive is laid out as a prefix is,
//! so that unpacking installs it: `tar -xf vdso-….tar.gz -C ~/.local --strip-components 1`. There is a
//! package of Debian's form, too, and the checksums of both. The same sources give the same bytes, whoever
//! builds them where and when.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, anyhow, bail, ensure};
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use test_support::{Clock, Lacking, Program, Readings};
use xtask_build::cargo::{cargo, target_folder, workspace};
use xtask_build::images::add_companions;
use xtask_build::standard_library::{is_installed, missing};

use crate::licences;

mod debian;

/// Build the static binary and pack it with manual pages, completions and licences
#[derive(clap::Args)]
pub struct Args {
    /// Write the packages to this folder; target/dist, if not given
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What the packages are for: this machine's architecture. The first whose standard library can be had.
///
/// On x86-64 with musl: before anything else glibc asks the processor 68 questions, each of which takes eight
/// microseconds in a virtual machine.
const TARGETS: &[&str] = if cfg!(target_arch = "aarch64") {
    &["aarch64-unknown-linux-gnu"]
} else {
    &["x86_64-unknown-linux-musl", "x86_64-unknown-linux-gnu"]
};
/// Where the package is built, with flags of its own.
const BUILD_FOLDER: &str = "dist-build";
/// The time of every file in the package, seconds since 1970: 2026-01-01. `SOURCE_DATE_EPOCH` changes
/// it, see <https://reproducible-builds.org/specs/source-date-epoch/>.
const MODIFIED_SEC: u64 = 1_767_225_600;
const DOCUMENTS: [&str; 3] = ["README.md", "LICENSE-APACHE", "LICENSE-MIT"];
/// Where each shell looks for completions, below a prefix.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/vdso"),
    ("fish", "share/fish/vendor_completions.d/vdso.fish"),
    ("zsh", "share/zsh/site-functions/_vdso"),
];

/// Builds, packs, and tries what was packed.
pub fn run(args: &Args) -> Result<ExitCode> {
    let out = args.out.clone().unwrap_or_else(|| target_folder().join("dist"));
    let target = target()?;
    let binary = build(target)?;
    let files = files_of(&binary, target)?;
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("vdso-{version}-{}-linux", std::env::consts::ARCH);
    let archive = pack(&name, &files)?;
    try_out(&name, &archive)?;
    try_without_anything(&binary)?;
    try_script(&binary)?;
    let debian = debian::package(version, &files, modified_sec()?)?;
    debian::try_out(&debian)?;
    fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    let mut sums = String::new();
    for (name, content) in
        [(format!("{name}.tar.gz"), archive), (debian::file_name(version), debian)]
    {
        let path = out.join(&name);
        fs::write(&path, &content).with_context(|| format!("cannot write {}", path.display()))?;
        sums.extend(Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")));
        sums += &format!("  {name}\n");
        println!("{}: {} files, {} bytes", path.display(), files.len(), content.len());
    }
    fs::write(out.join("SHA256SUMS"), sums).context("cannot write SHA256SUMS")?;
    println!("the command has {} bytes", fs::metadata(&binary)?.len());
    Ok(ExitCode::SUCCESS)
}

/// The target to build for.
fn target() -> Result<&'static str> {
    for target in TARGETS {
        let is_there = is_installed(target)? || install(target) && is_installed(target)?;
        if is_there {
            return Ok(target);
        }
        println!("not for {target}: {}", missing(target));
    }
    bail!("the toolchain has no standard library for this machine")
}

/// Has rustup install a target's standard library, where there is rustup.
fn install(target: &str) -> bool {
    let status = Command::new("rustup").args(["target", "add", target]).status();
    status.is_ok_and(|status| status.success())
}

/// Builds the command, with nothing in it that tells in which folder.
fn build(target: &str) -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let mut flags =
        format!("-Ctarget-feature=+crt-static --remap-path-prefix={}=/vdso", workspace().display());
    if let Some(home) = home {
        flags += &format!(" --remap-path-prefix={}=/cargo", home.display());
    }
    let mut command = cargo(BUILD_FOLDER);
    add_companions(&mut command)?;
    // With a target the flags are not for build scripts and macros, which are no static programs.
    let status = command
        .args(["build", "--quiet", "--profile", "dist", "--locked", "--package", "vdso-cli"])
        .args(["--target", target])
        .env("RUSTFLAGS", flags)
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("the command could not be built ({status})");
    }
    Ok(target_folder().join(BUILD_FOLDER).join(target).join("dist/vdso"))
}

/// A file of the package.
struct Packed {
    mode: u32,
    content: Vec<u8>,
}

/// All files by their paths below the prefix, which sorts them.
fn files_of(binary: &Path, target: &str) -> Result<BTreeMap<PathBuf, Packed>> {
    let mut files = BTreeMap::new();
    let mut add = |path: PathBuf, mode, content| files.insert(path, Packed { mode, content });
    add("bin/vdso".into(), 0o755, read(binary)?);
    for document in DOCUMENTS {
        let path = Path::new("share/doc/vdso").join(document);
        add(path, 0o644, read(&workspace().join(document))?);
    }
    for (path, content) in licences::files_for("vdso-cli", target)? {
        add(Path::new("share/doc/vdso").join(path), 0o644, content);
    }
    for (shell, path) in COMPLETIONS {
        add(path.into(), 0o644, output(Command::new(binary).args(["completions", shell]))?);
    }
    let folder = tempfile::tempdir().context("cannot create a folder")?;
    output(Command::new(binary).arg("manual").arg(folder.path()))?;
    for page in fs::read_dir(folder.path()).context("the manual pages have gone")? {
        let page = page.context("the manual pages have gone")?;
        add(Path::new("share/man/man1").join(page.file_name()), 0o644, read(&page.path())?);
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// What a command prints; it must succeed.
fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

/// The archive: sorted, everything owned by root, nothing of this machine or this moment in it.
fn pack(name: &str, files: &BTreeMap<PathBuf, Packed>) -> Result<Vec<u8>> {
    let modified_sec = modified_sec()?;
    let mut archive = tar::Builder::new(Vec::new());
    for (path, file) in files {
        let path = Path::new(name).join(path);
        append(&mut archive, &path, file.mode, &file.content, modified_sec)?;
    }
    gzip(&archive.into_inner()?)
}

fn modified_sec() -> Result<u64> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text.parse().context("SOURCE_DATE_EPOCH is no number of seconds"),
        Err(_) => Ok(MODIFIED_SEC),
    }
}

/// Adds a file that root owns.
fn append(
    archive: &mut tar::Builder<Vec<u8>>,
    path: &Path,
    mode: u32,
    content: &[u8],
    modified_sec: u64,
) -> Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    header.set_mtime(modified_sec);
    header.set_uid(0);
    header.set_gid(0);
    header.set_username("root")?;
    header.set_groupname("root")?;
    Ok(archive.append_data(&mut header, path, content)?)
}

fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    gzip.write_all(content)?;
    Ok(gzip.finish()?)
}

/// Unpacks it as a person would, and runs what comes out.
fn try_out(name: &str, package: &[u8]) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot create a folder")?;
    tar::Archive::new(flate2::read::GzDecoder::new(package))
        .unpack(folder.path())
        .context("cannot unpack the package")?;
    let binary = folder.path().join(name).join("bin/vdso");
    let version = output(Command::new(&binary).arg("--version"))?;
    let expected = format!("vdso {}\n", env!("CARGO_PKG_VERSION"));
    if version != expected.as_bytes() {
        bail!("the packed command says {:?}, not {expected:?}", String::from_utf8_lossy(&version));
    }
    Ok(())
}

/// Runs a script without an interpreter's line by the command, which is not every C library's to do.
fn try_script(binary: &Path) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot create a folder")?;
    let script = folder.path().join("script");
    fs::write(&script, "echo a script with \"$@\"\n").context("cannot write a script")?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).context("cannot mark it")?;
    for name in [script.as_path(), Path::new("script")] {
        let mut run = Command::new(binary);
        run.args(["run", "--"]).arg(name).arg("its argument");
        let said = output(run.env("PATH", folder.path()))?;
        ensure!(said == b"a script with its argument\n", "{run:?}: {said:?}");
    }
    Ok(())
}

/// Runs the command, and a program by it, where there is nothing else: no C library, no shell, no time zones.
fn try_without_anything(binary: &Path) -> Result<()> {
    const NAME: &str = "the packed command in an empty root";
    let program = match test_support::build(Program::CStatic) {
        Ok(program) => program,
        Err(skip) => {
            skip.report();
            return Ok(());
        }
    };
    let root = tempfile::tempdir().context("cannot create a folder")?;
    for (from, to) in [(binary, "vdso"), (&program, "program")] {
        fs::copy(from, root.path().join(to)).context("cannot copy a program")?;
    }
    for folder in ["proc", "dev"] {
        fs::create_dir(root.path().join(folder)).context("cannot create a folder")?;
    }
    let enter = "mount -t proc proc \"$0/proc\" && exec chroot \"$0\" \"$@\"";
    let inside = |arguments: &[&str]| -> Result<std::process::Output> {
        let mut unshare = Command::new("unshare");
        unshare.args([
            "--map-root-user",
            "--user",
            "--mount",
            "--pid",
            "--fork",
            "sh",
            "-c",
            enter,
        ]);
        unshare.arg(root.path()).args(arguments).output().context("cannot run unshare")
    };
    let plain = inside(&["/program"])?;
    if !plain.status.success() {
        let reason = String::from_utf8_lossy(&plain.stderr);
        test_support::skip(Lacking::Privilege, NAME, reason.trim_end());
        return Ok(());
    }
    let run = inside(&["/vdso", "run", "--offset", "1000s", "--", "/program"])?;
    let (said, errors) =
        (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    ensure!(run.status.success() && errors.is_empty(), "{NAME}: {}, {errors}", run.status);
    let readings = Readings::parse(&said).map_err(|error| anyhow!("{NAME}: {error}: {said}"))?;
    for reading in readings.of(Clock::Realtime) {
        ensure!(reading.shift_range().contains(&1_000_000_000_000), "{NAME}: {reading:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something that answers as the command does.
    fn stand_in(folder: &Path, version: &str) -> PathBuf {
        let path = folder.join("vdso");
        let script = format!(
            "#!/bin/sh\ncase $1 in\ncompletions) echo complete $2;;\n\
             manual) echo page >$2/vdso.1; echo page >$2/vdso-run.1;;\n\
             --version) echo vdso {version};;\nesac\n"
        );
        // By another process: one that is forked meanwhile would keep the file open for writing.
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"printf %s "$2" >"$1" && chmod 755 "$1""#, "sh"]);
        output(shell.arg(&path).arg(script)).unwrap();
        path
    }

    #[test]
    fn a_package_has_everything_in_order_and_is_the_same_every_time() {
        let folder = tempfile::tempdir().unwrap();
        let binary = stand_in(folder.path(), env!("CARGO_PKG_VERSION"));
        let package =
            pack("vdso-1", &files_of(&binary, TARGETS[TARGETS.len() - 1]).unwrap()).unwrap();
        assert_eq!(
            package,
            pack("vdso-1", &files_of(&binary, TARGETS[TARGETS.len() - 1]).unwrap()).unwrap()
        );
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(package.as_slice()));
        let mut paths = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let header = entry.header();
            let mode = if path.ends_with("bin/vdso") { 0o755 } else { 0o644 };
            assert_eq!(header.mode().unwrap(), mode, "{path}");
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0), "{path}");
            assert_eq!(header.mtime().unwrap(), MODIFIED_SEC, "{path}");
            if !path.contains("/licences/") {
                paths.push(path);
            }
        }
        let expected = [
            "vdso-1/bin/vdso",
            "vdso-1/share/bash-completion/completions/vdso",
            "vdso-1/share/doc/vdso/DEPENDENCIES",
            "vdso-1/share/doc/vdso/LICENSE-APACHE",
            "vdso-1/share/doc/vdso/LICENSE-MIT",
            "vdso-1/share/doc/vdso/README.md",
            "vdso-1/share/fish/vendor_completions.d/vdso.fish",
            "vdso-1/share/man/man1/vdso-run.1",
            "vdso-1/share/man/man1/vdso.1",
            "vdso-1/share/zsh/site-functions/_vdso",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn what_comes_out_of_a_package_is_run() {
        let folder = tempfile::tempdir().unwrap();
        let good = stand_in(folder.path(), env!("CARGO_PKG_VERSION"));
        let package =
            pack("vdso-1", &files_of(&good, TARGETS[TARGETS.len() - 1]).unwrap()).unwrap();
        try_out("vdso-1", &package).unwrap();
        let other = stand_in(folder.path(), "0.0.0");
        let package =
            pack("vdso-1", &files_of(&other, TARGETS[TARGETS.len() - 1]).unwrap()).unwrap();
        assert!(try_out("vdso-1", &package).unwrap_err().to_string().contains("0.0.0"));
    }
}
