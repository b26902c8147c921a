//! `cargo xtask fuzz`: vdso-elf against inputs that libFuzzer makes.
//!
//! The target in `fuzz/` works with cargo-fuzz, too, which wants a nightly toolchain for its
//! sanitizers. In a crate without unsafe code these would find nothing, so this builds with coverage
//! alone, which every toolchain can. It begins with the corpus of the repository and with seeds: the
//! images that this project makes and links. What it finds to be new stays below `target/fuzz/`;
//! `--minimise` makes the repository's corpus of it. Where a C++ compiler or the fuzzer's source is
//! lacking, this says so by name and is content: an ordinary test replays the corpus everywhere.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use made_images::{ByteOrder, Class, Recipe, broken, make};
use test_support::{Lacking, Skip};

use xtask_build::cargo;

/// Run vdso-elf on inputs that libFuzzer makes, and on the corpus.
#[derive(clap::Args)]
pub struct Args {
    /// How many inputs to run
    #[arg(long, default_value_t = 200_000)]
    runs: u64,
    /// Run nothing new, and make the repository's corpus of what has been found
    #[arg(long)]
    minimise: bool,
}

/// The flags by which cargo-fuzz has code report where it goes and what it compares with.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1 -Cdebug-assertions=on -Coverflow-checks=on";

/// The largest input, in bytes: what a kernel's image has, and some more.
const LARGEST_BYTES: u64 = 16384;
/// One input that takes longer, in seconds, is a finding. Most take microseconds.
const SLOW_S: u32 = 10;

/// Exits with 1 if an input breaks a promise; what is lacking is a named skip.
pub fn run(args: Args) -> Result<ExitCode> {
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let mut fetch = in_fuzz_folder(["fetch", "--locked", "--quiet"]);
    if let Err(skip) = look_for_tools(&compiler, &mut fetch) {
        println!("skip: {}: {}", skip.name, skip.reason);
        skip.report();
        return Ok(ExitCode::SUCCESS);
    }
    let fuzzer = build()?;
    let folders = Folders::new()?;
    write_seeds(&folders.seeds)?;
    if args.minimise { minimise(&fuzzer, &folders) } else { fuzz(&fuzzer, &folders, args.runs) }
}

/// Where inputs are.
struct Folders {
    /// In the repository.
    corpus: PathBuf,
    /// Written anew each time.
    seeds: PathBuf,
    /// What runs have found to go where no other input goes.
    found: PathBuf,
    /// What breaks a promise.
    artefacts: PathBuf,
}

impl Folders {
    fn new() -> Result<Self> {
        let target = cargo::target_folder().join("fuzz");
        let folders = Self {
            corpus: cargo::workspace().join("fuzz/corpus/image"),
            seeds: target.join("seeds"),
            found: target.join("found"),
            artefacts: target.join("artefacts"),
        };
        if folders.seeds.exists() {
            fs::remove_dir_all(&folders.seeds)?;
        }
        for folder in [&folders.corpus, &folders.seeds, &folders.found, &folders.artefacts] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        Ok(folders)
    }
}

/// What the build needs and cargo does not bring: a C++ compiler, and what `fetch` gets.
fn look_for_tools(compiler: &OsStr, fetch: &mut Command) -> Result<(), Skip> {
    let skip = |lacking, reason| {
        let name = "the fuzzer of vdso-elf".to_owned();
        Err(Skip { lacking, name, reason })
    };
    if let Err(error) = Command::new(compiler).arg("--version").output() {
        let compiler = compiler.display();
        let reason = format!("cannot run {compiler}, to compile libFuzzer: {error}; install g++");
        return skip(Lacking::Tool, reason);
    }
    match fetch.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().next().unwrap_or("cargo fetch fails");
            skip(Lacking::Toolchain, format!("cannot get libFuzzer's source: {said}"))
        }
        Err(error) => skip(Lacking::Toolchain, format!("cannot run cargo: {error}")),
    }
}

fn in_fuzz_folder<const COUNT: usize>(arguments: [&str; COUNT]) -> Command {
    let mut command = cargo::cargo("fuzz");
    command.current_dir(cargo::workspace().join("fuzz")).args(arguments);
    command
}

/// Gives the path of the executable.
fn build() -> Result<PathBuf> {
    let mut command = in_fuzz_folder(["build", "--locked", "--release", "--bin", "image"]);
    // With a target, the flags are not for build scripts, which have no fuzzer to report to.
    let host = host()?;
    let status = command.args(["--target", &host]).env("RUSTFLAGS", COVERAGE).status();
    ensure!(status.context("cannot run cargo")?.success(), "the fuzzer does not build");
    Ok(cargo::target_folder().join("fuzz").join(host).join("release/image"))
}

/// The machine that this runs on, as rustc calls it.
fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "host-tuple"]).output();
    let output = output.context("cannot run rustc")?;
    ensure!(output.status.success(), "rustc does not tell for which machine it is");
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// Images that this project makes and links: nobody else's.
fn write_seeds(folder: &Path) -> Result<()> {
    let write = |name: String, bytes: &[u8]| {
        fs::write(folder.join(&name), bytes).with_context(|| format!("cannot write {name}"))
    };
    for source in vdso_image::Source::ALL {
        write(format!("own-{}", source.name()), vdso_image::bytes(source))?;
    }
    for class in Class::ALL {
        for byte_order in ByteOrder::ALL {
            let plain = Recipe::new(class, byte_order);
            let s390 = Recipe { machine: 22, link_base: 0x1_0000, ..plain.clone() };
            for recipe in [&plain, &s390] {
                let name = format!("{class:?}-{byte_order:?}-{}", recipe.machine);
                for (number, recipe) in recipe.with_every_set_of_tables().iter().enumerate() {
                    write(format!("{name}-good-{number}"), &make(recipe).bytes)?;
                }
                for (number, broken) in broken(recipe).iter().enumerate() {
                    write(format!("{name}-broken-{number}"), &broken.bytes)?;
                }
            }
        }
    }
    Ok(())
}

fn fuzz(fuzzer: &Path, folders: &Folders, runs: u64) -> Result<ExitCode> {
    let mut command = Command::new(fuzzer);
    // New inputs go into the first folder.
    command.args([&folders.found, &folders.corpus, &folders.seeds]);
    command.arg(format!("-artifact_prefix={}/", folders.artefacts.display()));
    command.arg(format!("-runs={runs}"));
    command.arg(format!("-max_len={LARGEST_BYTES}"));
    command.arg(format!("-timeout={SLOW_S}"));
    command.arg("-print_final_stats=1");
    let status = command.status().context("cannot run the fuzzer")?;
    if status.success() {
        println!("ok   fuzz vdso-elf: {runs} inputs");
        return Ok(ExitCode::SUCCESS);
    }
    println!("FAIL fuzz vdso-elf: see {}", folders.artefacts.display());
    Ok(ExitCode::FAILURE)
}

/// The fewest inputs that go everywhere where all of them go become the repository's corpus.
fn minimise(fuzzer: &Path, folders: &Folders) -> Result<ExitCode> {
    let fewest = tempfile::tempdir_in(cargo::target_folder())?;
    let mut command = Command::new(fuzzer);
    // Which branches an input takes counts, not how often.
    command.args(["-set_cover_merge=1", "-use_counters=0"]).arg(fewest.path());
    command.args([&folders.seeds, &folders.corpus, &folders.found]);
    let status = command.status().context("cannot run the fuzzer")?;
    ensure!(status.success(), "the fuzzer cannot minimise: {status}");
    fs::remove_dir_all(&folders.corpus)?;
    fs::create_dir_all(&folders.corpus)?;
    let mut count = 0;
    for input in fs::read_dir(fewest.path())? {
        let input = input?;
        fs::copy(input.path(), folders.corpus.join(input.file_name()))?;
        count += 1;
    }
    println!("{count} inputs in {}", folders.corpus.display());
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_named() {
        let compiler = OsStr::new("/no/such/compiler");
        let skip = look_for_tools(compiler, &mut shell("exit 0")).unwrap_err();
        assert_eq!(skip.lacking, Lacking::Tool);
        assert!(skip.reason.starts_with("cannot run /no/such/compiler"), "{}", skip.reason);
        let offline = &mut shell("echo 'error: no network' >&2; exit 101");
        let skip = look_for_tools(OsStr::new("true"), offline).unwrap_err();
        assert_eq!(skip.lacking, Lacking::Toolchain);
        assert_eq!(skip.reason, "cannot get libFuzzer's source: error: no network");
        assert!(look_for_tools(OsStr::new("true"), &mut shell("exit 0")).is_ok());
    }

    #[test]
    fn seeds_are_this_projects_images() {
        let folder = tempfile::tempdir().unwrap();
        write_seeds(folder.path()).unwrap();
        let count = fs::read_dir(folder.path()).unwrap().count();
        assert!(count > 400, "{count} seeds");
        let own = fs::read(folder.path().join("own-host")).unwrap();
        assert_eq!(own, vdso_image::bytes(vdso_image::Source::Host));
    }

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }
}
