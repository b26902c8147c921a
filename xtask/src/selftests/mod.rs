//! `cargo xtask selftests`: the kernel's own tests of its vDSO and its clocks, run on ours.
//!
//! Their sources come from Debian's package `linux-source-*` and stay under the target directory:
//! they are GPL, so nothing of them enters this repository. Each test goes through these modules in
//! turn:
//!
//! 1. [`suite`]: the tests, and what is compiled for each;
//! 2. [`source_tree`]: unpacks and compiles them;
//! 3. [`process`](xtask_build::process): runs one, plain or under `vdso run`, for a limited time;
//! 4. [`verdict`]: what its exit code and its output say.
//!
//! A test is run plain first. What fails then says nothing about our image: it is reported as a skip
//! and not counted.

mod source_tree;
mod suite;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use source_tree::SourceTree;
use suite::{TESTS, Test};
use test_support::{Lacking, skip};
use vdso_image::Source;
use verdict::Verdict;

use xtask_build::process::Finished;

/// Run the kernel's own vDSO and clock tests under `vdso run`
#[derive(clap::Args)]
pub struct Args {
    /// The command to test [default: built now]
    #[arg(long, value_name = "PATH")]
    vdso: Option<PathBuf>,
    /// Take the time from this source; may be repeated [default: all]
    #[arg(long, value_parser = crate::check_image::parse_source)]
    source: Vec<Source>,
    /// The kernel's source [default: the newest /usr/src/linux-source-*.tar.xz]
    #[arg(long, value_name = "PATH")]
    tarball: Option<PathBuf>,
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
    let sources = if args.source.is_empty() { Source::ALL.to_vec() } else { args.source };
    let mut usable = Vec::new();
    for source in sources {
        if is_usable(&vdso, source)? {
            usable.push(source);
        }
    }
    let programs = compile_all(&tree)?;

    let plain = Column::run("plain", &programs, |program| Command::new(program), None);
    // The sources wait for clocks most of the time, so they go side by side.
    let columns: Vec<Column> = std::thread::scope(|scope| {
        let start = |source: &Source| {
            let (programs, vdso, plain, source) = (&programs, &vdso, &plain, *source);
            scope.spawn(move || {
                let command = |program: &Path| vdso_run(vdso, source, program);
                Column::run(source.name(), programs, command, Some(plain))
            })
        };
        let threads: Vec<_> = usable.iter().map(start).collect();
        threads.into_iter().map(|thread| thread.join().expect("a column has no panic")).collect()
    });
    Ok(report(&tree, &programs, &plain, &columns))
}

/// A test and its program.
type Compiled = (&'static Test, PathBuf);

/// Those that this kernel's source has; the others are skipped by name.
fn compile_all(tree: &SourceTree) -> Result<Vec<Compiled>> {
    let mut programs = Vec::new();
    for test in TESTS {
        let name = format!("selftest {test}");
        if test.linked.is_some_and(|way| !way.is_usable()) {
            skip(Lacking::Kernel, &name, "this CPU cannot execute what is tested");
        } else if !tree.has(test) {
            skip(Lacking::Tool, &name, &format!("not in {}", tree.name()));
        } else {
            programs.push((test, tree.compile(test)?));
        }
    }
    Ok(programs)
}

/// All tests, run in one way.
struct Column {
    name: &'static str,
    runs: Vec<(Finished, Verdict)>,
}

impl Column {
    fn run(
        name: &'static str,
        programs: &[Compiled],
        command: impl Fn(&Path) -> Command,
        plain: Option<&Self>,
    ) -> Self {
        let run = |(index, (test, program)): (usize, &Compiled)| {
            let mut command = command(program);
            let finished = Finished::of(command.args(test.arguments), suite::LIMIT);
            let verdict = match plain {
                None => Verdict::of(&finished),
                Some(plain) if plain.runs[index].1 == Verdict::Pass => {
                    Verdict::under_vdso(&finished, name, &plain.runs[index].0)
                }
                Some(_) => Verdict::NotCounted,
            };
            (finished, verdict)
        };
        Self { name, runs: programs.iter().enumerate().map(run).collect() }
    }
}

/// Prints the table on standard output, and what is behind a failure on standard error.
fn report(
    tree: &SourceTree,
    programs: &[Compiled],
    plain: &Column,
    columns: &[Column],
) -> ExitCode {
    let columns_with_plain = || [plain].into_iter().chain(columns);
    print_row(tree.name(), columns_with_plain().map(|column| column.name));
    let (mut counted, mut failed) = (0, 0);
    for (index, (test, _)) in programs.iter().enumerate() {
        let verdicts = columns_with_plain().map(|column| column.runs[index].1.word());
        print_row(&test.to_string(), verdicts);
        for Column { runs, .. } in columns {
            let verdict = &runs[index].1;
            counted += usize::from(*verdict != Verdict::NotCounted);
            failed += usize::from(matches!(verdict, Verdict::Fail(_) | Verdict::Skip(_)));
        }
        explain(index, test, plain, columns);
    }
    eprintln!("{counted} runs under vdso, {failed} failed");
    // Nothing counted is nothing shown.
    if failed == 0 && counted > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_row<'a>(name: &str, words: impl Iterator<Item = &'a str>) {
    let words: String = words.map(|word| format!("  {word:11}")).collect();
    println!("{}", format!("{name:38}{words}").trim_end());
}

fn explain(index: usize, test: &Test, plain: &Column, columns: &[Column]) {
    match &plain.runs[index].1 {
        Verdict::Pass | Verdict::NotCounted => {}
        Verdict::Fail(reason) | Verdict::Skip(reason) => {
            let reason = format!("it does not pass on this machine without vdso: {reason}");
            skip(Lacking::Kernel, &format!("selftest {test}"), &reason);
        }
    }
    for column in columns {
        let (finished, verdict) = &column.runs[index];
        if let Verdict::Fail(reason) | Verdict::Skip(reason) = verdict {
            eprintln!("FAIL {test} with source {}: {reason}\n{finished}", column.name);
        }
    }
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
