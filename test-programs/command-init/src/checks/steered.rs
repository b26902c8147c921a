//! A host that is steered as hard as the kernel allows, which is done in a booted machine only.

use anyhow::{Context, Result, ensure};

use super::Expected;
use crate::command::{SELF, vdso};
use crate::machine::Steered;
use crate::report::Report;

/// Milliseconds of reads; the host's clock changes its speed a hundred times a second meanwhile.
const DURATION_MS: &str = "3000";

pub fn run(report: &mut Report, expected: Expected) {
    // `chain` is the kernel's own time, which by its HPET has gone back by 10 us here.
    for source in ["host", "own"] {
        if expected.refusal(source).is_none() {
            report.check(&format!("never-back-{source}"), never_back(source));
        }
    }
}

fn never_back(source: &str) -> Result<String> {
    let _steered = Steered::start().context("the host cannot be steered")?;
    let run = ["run", "--source", source, "--offset", "+1h", "--clocks", "all", "--"];
    let finished = vdso(&[&run[..], &[SELF, "never-back", DURATION_MS]].concat())?.expect(0, "")?;
    ensure!(!finished.stdout.is_empty(), "it said nothing: {finished:?}");
    Ok(finished.stdout)
}
