//! `cargo xtask loom`: the page's locks in every order of memory accesses that the language allows.
//!
//! The tests of `crates/vdso-data/tests/loom.rs` run three times: as they are, which must pass, and
//! with either fence of `vdso_data::sync` taken away, which must make every test for torn reads fail,
//! and by a torn read. A model that passes without a fence has not looked; one that does not compile
//! has not looked either.

use std::collections::BTreeMap;
use std::process::{Command, ExitCode, Output};

use anyhow::{Context, Result, bail, ensure};

use xtask_build::cargo;

/// Check the locks in every order of memory accesses, with and without their fences.
#[derive(clap::Args)]
pub struct Args {}

/// `--cfg` of each run beside `loom`, and what it must show.
const RUNS: [(Option<&str>, Expected); 3] = [
    (None, Expected::Pass),
    (Some("without_reader_fence"), Expected::Torn),
    (Some("without_writer_fence"), Expected::Torn),
];

/// The tests that need both fences have names that end so.
const NEEDS_FENCES: &str = "_is_never_torn";

/// What such a test says when it fails: `TORN` in the tests.
const TORN: &str = "the model has found a torn read";

/// What a run must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Every test passes.
    Pass,
    /// Every test that needs the fences has found a torn read; the others pass.
    Torn,
}

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Torn,
    FailedOtherwise,
}

/// Exits with 1 if a run shows something else.
pub fn run(Args {}: Args) -> Result<ExitCode> {
    let mut is_good = true;
    for (removed, expected) in RUNS {
        let name = removed.unwrap_or("with both fences");
        match test(removed).and_then(|output| judge(&output, expected)) {
            Ok(summary) => println!("ok   loom {name}: {summary}"),
            Err(reason) => {
                is_good = false;
                println!("FAIL loom {name}: {reason:#}");
            }
        }
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds, which must succeed, and gives what the tests say.
fn test(removed: Option<&str>) -> Result<String> {
    let build =
        command(removed).args(["--quiet", "--no-run"]).status().context("cannot run cargo")?;
    ensure!(build.success(), "the tests do not compile: {build}");
    let Output { stdout, stderr, status } =
        command(removed).args(["--", "--test-threads=1"]).output().context("cannot run cargo")?;
    let said = String::from_utf8_lossy(&stdout).into_owned();
    if !said.contains("test result: ") {
        bail!("the tests came to no end ({status}): {}", String::from_utf8_lossy(&stderr));
    }
    Ok(said)
}

fn command(removed: Option<&str>) -> Command {
    let mut command = cargo::cargo("loom");
    let removed = removed.map_or_else(String::new, |cfg| format!(" --cfg {cfg}"));
    command.env("RUSTFLAGS", format!("--cfg loom{removed}"));
    // A model tries as much as it is told to by these, and by nothing else.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LOOM_")) {
        command.env_remove(name);
    }
    command.args(["test", "--locked", "--release", "--package", "vdso-data"]);
    command.args(["--test", "loom"]);
    command
}

/// Holds what the test harness printed against what it should have.
fn judge(output: &str, expected: Expected) -> Result<String> {
    let verdicts = verdicts(output);
    let needing = verdicts.keys().filter(|name| name.ends_with(NEEDS_FENCES)).count();
    ensure!(needing > 0, "no test ran that is called *{NEEDS_FENCES}");
    for (name, verdict) in &verdicts {
        let wanted = match expected {
            Expected::Torn if name.ends_with(NEEDS_FENCES) => Verdict::Torn,
            _ => Verdict::Passed,
        };
        match (*verdict, wanted) {
            (verdict, wanted) if verdict == wanted => {}
            (Verdict::Passed, _) => bail!("{name} does not miss the fence that was taken away"),
            _ => bail!("{name} has failed:\n{output}"),
        }
    }
    Ok(match expected {
        Expected::Pass => format!("{} tests pass", verdicts.len()),
        Expected::Torn => format!("{needing} tests have found a torn read, as they should"),
    })
}

/// By name; from lines like `test name ... ok` and the sections of the tests that failed.
fn verdicts(output: &str) -> BTreeMap<&str, Verdict> {
    let results = output.lines().filter_map(|line| line.strip_prefix("test ")?.split_once(" ... "));
    results
        .map(|(name, result)| {
            let verdict = match result {
                "ok" => Verdict::Passed,
                _ if section(output, name).contains(TORN) => Verdict::Torn,
                _ => Verdict::FailedOtherwise,
            };
            (name, verdict)
        })
        .collect()
}

/// What the test called `name` said, up to the next one's section or the list of failures.
fn section<'a>(output: &'a str, name: &str) -> &'a str {
    let header = format!("---- {name} stdout ----");
    let Some((_, said)) = output.split_once(&header) else {
        return "";
    };
    let end = said.find("\n---- ").or_else(|| said.find("\nfailures:\n"));
    &said[..end.unwrap_or(said.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSED: &str = "
running 2 tests
test latch_is_never_torn ... ok
test seqlock_ends ... ok

test result: ok. 2 passed; 0 failed
";

    /// One test that needs the fences, and one that does not; what they said.
    fn failed(latch: &str, seqlock: &str) -> String {
        let result = |said: &str| if said.is_empty() { "ok" } else { "FAILED" };
        let section = |name: &str, said: &str| match said {
            "" => String::new(),
            said => format!("---- {name} stdout ----\n{said}\n\n"),
        };
        format!(
            "running 2 tests\ntest latch_is_never_torn ... {}\ntest seqlock_ends ... {}\n\n\
             failures:\n\n{}{}\nfailures:\n    a list\n\ntest result: FAILED.\n",
            result(latch),
            result(seqlock),
            section("latch_is_never_torn", latch),
            section("seqlock_ends", seqlock),
        )
    }

    #[test]
    fn with_its_fences_everything_must_pass() {
        assert_eq!(judge(PASSED, Expected::Pass).unwrap(), "2 tests pass");
        assert!(judge(&failed(TORN, ""), Expected::Pass).is_err());
        assert!(judge(&failed("", "other"), Expected::Pass).is_err());
    }

    #[test]
    fn without_a_fence_a_torn_read_must_be_found() {
        assert!(judge(&failed(TORN, ""), Expected::Torn).is_ok());
        let passed = judge(PASSED, Expected::Torn).unwrap_err().to_string();
        assert_eq!(passed, "latch_is_never_torn does not miss the fence that was taken away");
    }

    #[test]
    fn another_failure_is_not_taken_for_a_torn_read() {
        assert!(judge(&failed("too many branches", ""), Expected::Torn).is_err());
        // The other test's torn read does not count for this one.
        assert!(judge(&failed("too many branches", TORN), Expected::Torn).is_err());
        assert!(judge(&failed(TORN, "deadlock"), Expected::Torn).is_err());
    }

    #[test]
    fn no_test_is_no_success() {
        let nothing = "running 0 tests\n\ntest result: ok. 0 passed; 0 failed\n";
        assert!(judge(nothing, Expected::Pass).is_err());
        assert!(judge(nothing, Expected::Torn).is_err());
    }
}
