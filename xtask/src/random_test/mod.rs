//! `cargo xtask random-test`: the image's random bytes under programs that look for patterns in them.
//!
//! The bytes are those of `test-programs/random/stream.c`: calls of many lengths, under `vdso run`.
//! [`tools`] has the programs, all Debian's, and what each must say of random bytes; [`pump`] gives them
//! the bytes. No such program can say that bytes are unpredictable: that is ChaCha20's promise, which the
//! tests of the image hold it to. They would notice a batch that is given twice, or parts of it that are
//! not filled.

mod pump;
mod tools;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use test_support::Program;
use vdso_image::Source;

use tools::{DIEHARDER, Verdict, dieharder, ent, rngtest};

/// Look for patterns in the image's random bytes, for some minutes
#[derive(clap::Args)]
pub struct Args {
    /// The command to test [default: built now]
    #[arg(long, value_name = "PATH")]
    vdso: Option<PathBuf>,
    /// The image whose bytes are looked at
    #[arg(long, default_value = "own", value_parser = crate::check_image::parse_source)]
    source: Source,
    /// How many bytes rngtest and ent are given; dieharder takes as many as it wants
    #[arg(long, default_value_t = 1_000_000_000)]
    bytes: u64,
}

/// Exits with 1 if a pattern was found.
pub fn run(args: Args) -> Result<ExitCode> {
    for (tool, package) in tools::PACKAGES {
        if Command::new(tool).arg("--help").output().is_err() {
            bail!("no `{tool}` in PATH (Debian: {package})");
        }
    }
    let program = match test_support::build(Program::RandomStream) {
        Ok(program) => program,
        Err(skip) => bail!("cannot build the program that gives the bytes: {skip:?}"),
    };
    let vdso = args.vdso.map_or_else(crate::selftests::build_vdso, Ok)?;
    let stream = Stream { vdso, program, source: args.source };

    let mut all = vec![rngtest(&stream, args.bytes)?, ent(&stream, args.bytes)?];
    all.iter().for_each(print);
    for test in DIEHARDER {
        let verdict = dieharder(&stream, test)?;
        print(&verdict);
        all.push(verdict);
    }
    let bytes: u64 = all.iter().map(|verdict| verdict.bytes).sum();
    let failed = all.iter().filter(|verdict| !verdict.is_good).count();
    eprintln!("{} tests of {bytes} bytes, {failed} failed", all.len());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(verdict: &Verdict) {
    let word = if verdict.is_good { "pass" } else { "FAIL" };
    println!("{word}  {:24} {:>12} bytes  {}", verdict.name, verdict.bytes, verdict.said);
}

/// Where the bytes come from.
struct Stream {
    vdso: PathBuf,
    program: PathBuf,
    source: Source,
}

impl Stream {
    fn command(&self, bytes: u64) -> Command {
        let mut command = Command::new(&self.vdso);
        command.args(["run", "--source", self.source.name(), "--"]);
        command.arg::<&Path>(&self.program).arg(bytes.to_string());
        command
    }
}
