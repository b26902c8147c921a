//! `cargo xtask test`: everything that must pass, in the order in which it fails the fastest.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::builder::PossibleValuesParser;
use nix::sys::signal::{SigHandler, Signal, signal};

use xtask_build::images::add_companions;

/// Install what the tests need, and run all of them
#[derive(clap::Args)]
pub struct Args {
    /// Install the Debian packages that the tests use first (by apt-get, as root or with sudo)
    #[arg(long)]
    install: bool,
    /// List the steps, with how many seconds each usually takes, and run none
    #[arg(long, conflicts_with = "install")]
    list: bool,
    /// Run only this step; may be repeated
    #[arg(long, value_name = "STEP", value_parser = PossibleValuesParser::new(names()))]
    only: Vec<String>,
    /// Run only what tells the most in little time: formatting, lints, unit tests, and the images as they are
    #[arg(long, conflicts_with = "only")]
    fast: bool,
}

/// A part of the tests: an invocation of cargo.
struct Step {
    name: &'static str,
    /// On two processors, after a first run, rounded up.
    usual_s: u32,
    arguments: &'static [&'static str],
    speed: Speed,
}

/// Which runs a step belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speed {
    /// All, also `--fast`.
    Fast,
    /// `--fast` alone, as another one does more.
    FastOnly,
    /// All but `--fast`.
    Slow,
}

const fn step(
    name: &'static str,
    usual_s: u32,
    speed: Speed,
    arguments: &'static [&'static str],
) -> Step {
    Step { name, usual_s, arguments, speed }
}

/// In the order in which they fail the fastest.
const STEPS: &[Step] = &[
    step("format", 2, Speed::Fast, &["fmt", "--all", "--check"]),
    step(
        "clippy",
        15,
        Speed::Fast,
        &["clippy", "--workspace", NO_MATRIX, "--all-targets", "--", "-Dwarnings"],
    ),
    step(
        "unit",
        30,
        Speed::FastOnly,
        &["test", "--workspace", NO_MATRIX, "--lib", "--bins", "--quiet"],
    ),
    step("check-image", 25, Speed::FastOnly, &["xtask", "check-image"]),
    // Workspaces of their own, as they are built for other machines.
    step("format-kernel-init", 1, Speed::Slow, &["fmt", "--check", KERNEL_INIT]),
    step("format-dlopen", 1, Speed::Slow, &["fmt", "--check", DLOPEN]),
    step(
        "clippy-kernel-init",
        5,
        Speed::Slow,
        &["clippy", "--locked", APART, KERNEL_INIT, "--", "-Dwarnings"],
    ),
    step(
        "clippy-dlopen",
        5,
        Speed::Slow,
        &["clippy", "--locked", APART, DLOPEN, "--", "-Dwarnings"],
    ),
    step("no-std", 15, Speed::Slow, &["xtask", "no-std"]),
    step("doc", 15, Speed::Slow, &["doc", "--workspace", "--no-deps", "--document-private-items"]),
    step("images", 60, Speed::Slow, &["xtask", "check-image", "--rebuild"]),
    step("command", 40, Speed::Slow, &["build", "--release", "--package", "vdso-cli"]),
    step("test", 420, Speed::Slow, &["test", "--workspace", NO_MATRIX]),
    // Without what can be left out.
    step("lean", 40, Speed::Slow, LEAN),
    step("no-alloc", 10, Speed::Slow, NO_ALLOC),
    step("dist", 40, Speed::Slow, &["xtask", "dist"]),
    step("package", 90, Speed::Slow, &["xtask", "package"]),
    step("fuzz", 40, Speed::Slow, &["xtask", "fuzz"]),
    step("loom", 60, Speed::Slow, &["xtask", "loom"]),
    step("miri", 10, Speed::Slow, &["xtask", "miri"]),
    step("faults", 30, Speed::Slow, &["xtask", "faults", "--short"]),
    step("selftests", 110, Speed::Slow, &["xtask", "selftests"]),
    step(
        "clippy-kernels",
        10,
        Speed::Slow,
        &["clippy", MATRIX, "--all-targets", "--", "-Dwarnings"],
    ),
    step("test-kernels", 15, Speed::Slow, &["test", MATRIX]),
    step("kernels", 420, Speed::Slow, &["xtask", "kernels", "--quick"]),
];

fn names() -> impl Iterator<Item = &'static str> {
    STEPS.iter().map(|step| step.name)
}

impl Args {
    fn takes(&self, step: &Step) -> bool {
        if !self.only.is_empty() {
            return self.only.iter().any(|name| name == step.name);
        }
        match step.speed {
            Speed::Fast => true,
            Speed::FastOnly => self.fast,
            Speed::Slow => !self.fast,
        }
    }
}

/// What the test programs are written in, and what the programs are tested with.
const PACKAGES: &[&str] = &[
    "bpftrace",
    "default-jdk-headless",
    "faketime",
    "g++",
    "gcc",
    "gdb",
    "golang-go",
    "groff-base",
    "libc6-dev",
    "linux-perf",
    "linux-source-6.12",
    "ltrace",
    "make",
    "mariadb-client-core",
    "mariadb-server-core",
    "musl-tools",
    "nodejs",
    "openssl",
    "perl",
    "postgresql",
    "procps",
    "python3",
    "redis-server",
    "ruby",
    "strace",
    "tmux",
    "util-linux",
    "valgrind",
    "xz-utils",
];

/// The command without its disassemblers, which says so.
const LEAN: &[&str] = &[
    "test",
    "--package=vdso-cli",
    "--no-default-features",
    "--test=inspect",
    "without_disassemblers",
];

/// The crates that can do with `core` alone.
const NO_ALLOC: &[&str] = &[
    "clippy",
    "--package=vdso-arch",
    "--package=vdso-client",
    "--package=vdso-data",
    "--package=vdso-elf",
    "--package=vdso-image",
    "--no-default-features",
    "--",
    "-Dwarnings",
];

/// The matrix of booted kernels: compiled by who boots some.
const MATRIX: &str = "--package=xtask-kernels";
const NO_MATRIX: &str = "--exclude=xtask-kernels";

/// Programs that are no members of the workspace.
const KERNEL_INIT: &str = "--manifest-path=test-programs/kernel-init/Cargo.toml";
const DLOPEN: &str = "--manifest-path=test-programs/dlopen/Cargo.toml";
/// Where the workspace's own build does not come in the way of what is built for them.
const APART: &str = "--target-dir=target/kernels";

/// Node's own headers, where Debian's node is used.
const NODE_HEADERS: &str = "libnode-dev";

/// Runs everything, or what was asked for, and lists what was skipped.
pub fn run(args: &Args) -> Result<ExitCode> {
    if args.list {
        list();
        return Ok(ExitCode::SUCCESS);
    }
    if args.install {
        install()?;
    }
    let skips = env::temp_dir().join(format!("vdso-skips-{}", std::process::id()));
    fs::write(&skips, "")?;
    let result = steps(args, &skips);
    list_skips(&skips)?;
    let _ = fs::remove_file(&skips);
    result.map(|()| ExitCode::SUCCESS)
}

fn list() {
    for step in STEPS {
        let when = match step.speed {
            Speed::Fast => "also with --fast",
            Speed::FastOnly => "with --fast alone",
            Speed::Slow => "",
        };
        let line = format!("{:<20}{:>5} s   {when}", step.name, step.usual_s);
        println!("{}\n    cargo {}", line.trim_end(), step.arguments.join(" "));
    }
}

fn steps(args: &Args, skips: &Path) -> Result<()> {
    for step in STEPS.iter().filter(|step| args.takes(step)) {
        step.run(skips)?;
    }
    Ok(())
}

impl Step {
    fn run(&self, skips: &Path) -> Result<()> {
        let Self { name, usual_s, arguments, .. } = self;
        println!("\n== {name} (usually {usual_s} s): cargo {}", arguments.join(" "));
        let start = Instant::now();
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(*arguments).env("VDSO_SKIPS", skips).env("RUSTDOCFLAGS", "-Dwarnings");
        add_companions(&mut command)?;
        // SAFETY: between fork and exec only this is called, which signal-safety(7) allows.
        unsafe { command.pre_exec(heed_signals) };
        let status = command.status().context("cannot run cargo")?;
        if !status.success() {
            bail!("{name}: cargo {} failed ({status})", arguments.join(" "));
        }
        println!("== {name}: passed in {:.0} s", start.elapsed().as_secs_f64());
        Ok(())
    }
}

/// nohup(1), and shells that start something in the background, have it ignore signals, which every
/// program that a test starts would inherit: then plain runs are not what they are in a terminal.
fn heed_signals() -> std::io::Result<()> {
    for number in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        // SAFETY: the default disposition runs no code of ours.
        unsafe { signal(number, SigHandler::SigDfl) }?;
    }
    Ok(())
}

fn list_skips(skips: &Path) -> Result<()> {
    let text = fs::read_to_string(skips)?;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    if lines.is_empty() {
        println!("\nNothing was skipped.");
        return Ok(());
    }
    println!("\nSkipped on this machine, and why:");
    for line in lines {
        println!("  {}", line.replace('\t', ": "));
    }
    Ok(())
}

fn install() -> Result<()> {
    let mut packages = PACKAGES.to_vec();
    if find("node").is_none_or(|node| !has_node_headers(&node)) {
        packages.push(NODE_HEADERS);
    }
    // What is there already is not replaced: a machine may have its own node, java or python.
    let has = |package: &&&str| match **package {
        "nodejs" => find("node").is_some(),
        "default-jdk-headless" => find("javac").is_some(),
        "python3" => find("python3").is_some(),
        _ => false,
    };
    let missing: Vec<&str> = packages.iter().filter(|package| !has(package)).copied().collect();
    apt_get(&["update", "-qq"])?;
    const INSTALL: &[&str] = &["install", "-y", "-qq", "--no-install-recommends"];
    apt_get(&[INSTALL, &missing].concat())?;
    install_python_tests()?;
    unpack_chronyd()?;
    if !cfg!(target_arch = "x86_64") {
        return Ok(());
    }
    // gcc is there only now. Its number has to be in the name: without one it is a package that
    // conflicts with cross compilers.
    let multilib = test_support::multilib_package().context("gcc -dumpversion says no number")?;
    apt_get(&[INSTALL, &[multilib.as_str()]].concat())
}

/// The tests of Debian's own python, whose number the package's name has. Others come with theirs.
fn install_python_tests() -> Result<()> {
    const PRINT: &str = "import sys; print('%d.%d' % sys.version_info[:2])";
    let Ok(version) = Command::new("/usr/bin/python3").args(["-c", PRINT]).output() else {
        return Ok(());
    };
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let package = format!("libpython{}-testsuite", version.trim());
    apt_get(&["install", "-y", "-qq", "--no-install-recommends", &package])
}

/// chronyd is not installed: it would begin to keep this machine's clock. What it needs is.
fn unpack_chronyd() -> Result<()> {
    let depends = Command::new("apt-cache").args(["depends", "chrony"]).output();
    let depends = depends.context("cannot run apt-cache")?;
    let depends = String::from_utf8_lossy(&depends.stdout).into_owned();
    let names = depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    let libraries: Vec<&str> = names.filter(|name| name.starts_with("lib")).collect();
    apt_get(&[&["install", "-y", "-qq", "--no-install-recommends"], &libraries[..]].concat())?;
    let folder = xtask_build::cargo::target_folder().join("chrony");
    fs::create_dir_all(&folder)?;
    let mut fetch = Command::new("apt-get");
    ensure!(fetch.args(["download", "-qq", "chrony"]).current_dir(&folder).status()?.success());
    for entry in folder.read_dir()? {
        let file = entry?.path();
        if file.extension().is_some_and(|it| it == "deb") {
            let mut unpack = Command::new("dpkg");
            ensure!(unpack.arg("-x").arg(&file).arg(&folder).status()?.success());
        }
    }
    Ok(())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let is_root = rustix::process::geteuid().is_root();
    let mut command = Command::new(if is_root { "apt-get" } else { "sudo" });
    if !is_root {
        command.arg("apt-get");
    }
    let status = command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").status();
    if !status
        .context("cannot run apt-get: install the packages by hand, and leave --install out")?
        .success()
    {
        bail!("apt-get {} failed", arguments.join(" "));
    }
    Ok(())
}

fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.exists())
}

fn has_node_headers(node: &Path) -> bool {
    let real = node.canonicalize().unwrap_or_else(|_| node.to_owned());
    real.ancestors().any(|folder| folder.join("include/node/node_api.h").exists())
}
