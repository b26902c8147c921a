//! `cargo xtask selftests`: the kernel's own tests of its vDSO, its clocks and its timers, run on ours.
//!
//! Their sources come from Debian's package `linux-source-*` and stay under the target directory:
//! they are GPL, so nothing of them enters this repository. Each test goes through these modules in
//! turn:
//!
//! 1. [`suite`]: the tests of the vDSO, each run on each source, and what is compiled for one;
//!    [`timers`]: those of timers, each run under several ways to move the clocks;
//! 2. [`source_tree`]: unpacks and compiles them;
//! 3. [`harmless`]: takes the privilege to set this machine's clock from all that is started;
//! 4. [`process`](xtask_build::process): runs one, plain or under `vdso run`, for a limited time;
//! 5. [`verdict`]: what its exit code and its output say;
//! 6. [`table`]: what came of all.
//!
//! A test is run plain first. What fails then says nothing about our image: it is reported as a skip
//! and not counted. Those that set the clock are never run plain.

mod harmless;
mod source_tree;
mod suite;
mod table;
mod timers;
mod verdict;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use harmless::HostClock;
use source_tree::SourceTree;
use suite::Test;
use table::{Column, Tally, report};
use test_support::{Lacking, skip};
use timers::{MODES, Mode, Needs, TimersTest};
use vdso_image::Source;
use verdict::Verdict;

use xtask_build::process::Finished;

/// Run the kernel's own vDSO, clock and timer tests under `vdso run`
#[derive(clap::Args)]
pub struct Args {
    /// The command to test [default: built now]
    #[arg(long, value_name = "PATH")]
    vdso: Option<PathBuf>,
    /// Take the time from this source in the vDSO's tests; may be repeated [default: all]
    #[arg(long, value_parser = crate::check_image::parse_source)]
    source: Vec<Source>,
    /// The kernel's source [default: the newest /usr/src/linux-source-*.tar.xz]
    #[arg(long, value_name = "PATH")]
    tarball: Option<PathBuf>,
    /// Also run the tests that take up to half an hour, and those that want an idle machine
    #[arg(long)]
    all: bool,
    /// Run only tests with this in their names; may be repeated
    #[arg(long, value_name = "NAME")]
    test: Vec<String>,
}

/// Exits with 1 if a test fails.
pub fn run(args: Args) -> Result<ExitCode> {
    let tree = match SourceTree::find(args.tarball)? {
        Ok(tree) => tree,
        Err(reason) => {
            skip(Lacking::Tool, "selftests", &reason);
            return Ok(ExitCode::SUCCESS);
        }
    };
    let vdso = args.vdso.map_or_else(build_vdso, Ok)?;
    harmless::give_up_setting()?;
    let host = HostClock::read();
    let is_wanted = |test: &Test| {
        let name = test.to_string();
        args.test.is_empty() || args.test.iter().any(|part| name.contains(part))
    };
    let sources = if args.source.is_empty() { Source::ALL.to_vec() } else { args.source };
    let tally = run_vdso_tests(&vdso, &tree, &sources, is_wanted)?
        .and(run_timers_tests(&vdso, &tree, args.all, is_wanted)?);
    host.ensure_unmoved()?;
    Ok(if tally.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A test and its program.
struct Compiled<T> {
    row: T,
    program: PathBuf,
}

/// Those that this kernel's source has; the others are skipped by name.
fn compile_all<T>(
    tree: &SourceTree,
    rows: impl Iterator<Item = T>,
    test_of: impl Fn(&T) -> &Test,
) -> Result<Vec<Compiled<T>>> {
    let mut compiled = Vec::new();
    for row in rows {
        let test = test_of(&row);
        let name = format!("selftest {test}");
        if test.linked.is_some_and(|way| !way.is_usable()) {
            skip(Lacking::Kernel, &name, "this CPU cannot execute what is tested");
        } else if !tree.has(test) {
            skip(Lacking::Tool, &name, &format!("not in {}", tree.name()));
        } else {
            let program = tree.compile(test)?;
            compiled.push(Compiled { row, program });
        }
    }
    Ok(compiled)
}

/// Those of the vDSO: a column for each source.
fn run_vdso_tests(
    vdso: &Path,
    tree: &SourceTree,
    sources: &[Source],
    is_wanted: impl Fn(&Test) -> bool,
) -> Result<Tally> {
    let tests = compile_all(tree, suite::TESTS.iter().filter(|test| is_wanted(test)), |test| test)?;
    if tests.is_empty() {
        return Ok(Tally::default());
    }
    let mut usable = Vec::new();
    for &source in sources {
        if is_usable(vdso, source)? {
            usable.push(source);
        }
    }
    let commands = |command: &dyn Fn(&Path) -> Command| -> Vec<_> {
        let of = |test: &Compiled<&Test>| {
            let mut command = command(&test.program);
            command.args(test.row.arguments);
            Some((command, suite::LIMIT))
        };
        tests.iter().map(of).collect()
    };
    let plain_commands = commands(&|program| Command::new(program));
    let plain = Column::run("plain", plain_commands.into_iter(), |_, run| Verdict::of(run));
    // The sources wait for clocks most of the time, so they go side by side.
    let columns = side_by_side(&usable, |source| {
        let commands = commands(&|program| vdso_run(vdso, *source, program));
        Column::run(source.name(), commands.into_iter(), |place, run| match plain.passed(place) {
            Some(plain) => Verdict::under_vdso(run, Some(source.name()), Some(plain)),
            None => Verdict::NotCounted,
        })
    });
    let names: Vec<String> = tests.iter().map(|test| test.row.to_string()).collect();
    Ok(report(tree.name(), &names, &plain, &columns))
}

/// Those of timers: a column for each way to move the clocks.
fn run_timers_tests(
    vdso: &Path,
    tree: &SourceTree,
    long_too: bool,
    is_wanted: impl Fn(&Test) -> bool,
) -> Result<Tally> {
    if !cfg!(target_arch = "x86_64") {
        skip(
            Lacking::Kernel,
            "selftests of timers",
            "programs set clocks of their own on x86-64 alone",
        );
        return Ok(Tally::default());
    }
    let has_namespaces = has_namespaces();
    let is_possible = |row: &&TimersTest| {
        has_namespaces || !matches!(row.needs, Needs::Namespaces | Needs::OwnTimeNamespace)
    };
    let wanted = timers::TESTS.iter().filter(|row| is_wanted(&row.test)).filter(is_possible);
    let tests = compile_all(tree, wanted, |row| &row.test)?;
    if tests.is_empty() {
        return Ok(Tally::default());
    }
    for started in tests.iter().flat_map(|test| test.row.starts) {
        tree.compile(started)?;
    }
    let plain_commands = tests.iter().map(|Compiled { row, program }| {
        row.is_run_plain(long_too)
            .then(|| (timers_command(row, program, None), row.limit(&MODES[0])))
    });
    let plain = Column::run("plain", plain_commands, |_, run| Verdict::of(run));
    let columns = side_by_side(MODES, |mode| {
        let commands = tests.iter().map(|Compiled { row, program }| {
            let command = || timers_command(row, program, Some((vdso, mode)));
            row.is_run(mode, long_too).then(|| (command(), row.limit(mode)))
        });
        Column::run(mode.name, commands, |place, run| match plain.passed(place) {
            None if plain.has(place) => Verdict::NotCounted,
            plain => Verdict::under_vdso(run, None, plain),
        })
    });
    let names: Vec<String> = tests.iter().map(|test| test.row.test.to_string()).collect();
    let tally = report(tree.name(), &names, &plain, &columns);
    for (name, Compiled { row, .. }) in names.iter().zip(&tests) {
        if let Some(reason) = row.where_not() {
            println!("{name}: {reason}");
        }
    }
    Ok(tally)
}

/// A column for each.
fn side_by_side<T: Sync>(ways: &[T], column: impl Fn(&T) -> Column + Sync) -> Vec<Column> {
    std::thread::scope(|scope| {
        let column = &column;
        let threads: Vec<_> = ways.iter().map(|way| scope.spawn(move || column(way))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a column has no panic")).collect()
    })
}

/// unshare(1) into a user namespace, whose time namespaces a test makes, and into one of these.
const IN_NAMESPACE: [&str; 4] = ["unshare", "--user", "--map-root-user", "--"];
const IN_TIME_NAMESPACE: [&str; 6] =
    ["unshare", "--user", "--map-root-user", "--time", "--fork", "--"];

fn has_namespaces() -> bool {
    let mut probe = Command::new(IN_TIME_NAMESPACE[0]);
    let finished = Finished::of(probe.args(&IN_TIME_NAMESPACE[1..]).arg("true"), suite::LIMIT);
    let is_possible = Verdict::of(&finished) == Verdict::Pass;
    if !is_possible {
        skip(Lacking::Privilege, "selftests of time namespaces", finished.stderr.trim());
    }
    is_possible
}

/// In the folder of the programs, as some run others.
fn timers_command(row: &TimersTest, program: &Path, under: Option<(&Path, &Mode)>) -> Command {
    let namespace: &[&str] = match row.needs {
        Needs::Nothing | Needs::Setting => &[],
        Needs::Namespaces => &IN_NAMESPACE,
        Needs::OwnTimeNamespace => &IN_TIME_NAMESPACE,
    };
    let mut words: Vec<&OsStr> = namespace.iter().map(OsStr::new).collect();
    if let Some((vdso, mode)) = under {
        words.push(vdso.as_os_str());
        words.extend(["run", "-v"].iter().chain(mode.options).map(OsStr::new));
        let last: &[&str] =
            if row.needs == Needs::Setting { &["--settable", "--"] } else { &["--"] };
        words.extend(last.iter().map(OsStr::new));
    }
    words.push(program.as_os_str());
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(row.test.arguments);
    command.current_dir(program.parent().unwrap_or(Path::new("/")));
    command
}

fn vdso_run(vdso: &Path, source: Source, program: &Path) -> Command {
    let mut command = Command::new(vdso);
    // With -v it says which source was taken and where the image is, which the verdict looks for.
    command.args(["run", "-v", "--source", source.name(), "--"]).arg(program);
    command
}

/// Whether this machine has what the source needs. What it lacks is reported.
///
/// A program that looks at itself must see the image: else every test would pass on the kernel's own.
fn is_usable(vdso: &Path, source: Source) -> Result<bool> {
    let mut command = vdso_run(vdso, source, Path::new("cat"));
    let finished = Finished::of(command.arg("/proc/self/maps"), suite::LIMIT);
    if finished.stderr.contains("cannot be used here") {
        let name = format!("selftests with source {}", source.name());
        skip(Lacking::Kernel, &name, finished.stderr.trim());
        return Ok(false);
    }
    let is_image = |line: &str| {
        line.contains(" r-xp ") && line.contains(&format!("/memfd:vdso-{} ", source.name()))
    };
    ensure!(finished.stdout.lines().any(is_image), "vdso run gives no image:\n{finished}");
    Ok(true)
}

/// The command of this workspace, in the profile that this task was built in.
pub fn build_vdso() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "vdso-cli"]);
    cargo.arg("--manifest-path").arg(xtask_build::cargo::workspace().join("Cargo.toml"));
    if own.parent().is_some_and(|folder| folder.ends_with("release")) {
        cargo.arg("--release");
    }
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(status.success(), "cargo cannot build vdso: {status}");
    Ok(own.with_file_name("vdso"))
}
