//! `vdso stat`: a program whose calls of the vDSO are counted, and at its end how many there were.

mod args;
mod output;
mod report;
mod text;

use std::process::ExitCode;

use anyhow::Result;

use crate::message;
use crate::run::{self, Counting, Run};

use args::Format;
pub use args::{EXAMPLES, Stat};
use output::Output;
use report::Report;

/// Runs the command, and gives its exit code: the program's.
pub fn run(stat: &Stat) -> ExitCode {
    if stat.run.no_follow {
        message::say(
            "error: nothing can be counted with --no-follow, by which nobody gives programs the counts",
        );
        return ExitCode::from(run::USAGE);
    }
    // Before the program starts: whoever cannot have the result need not wait for it.
    let output = match Output::open(stat.output.as_deref()) {
        Ok(output) => output,
        Err(error) => {
            message::fail(&error);
            return ExitCode::from(run::FAILED);
        }
    };
    let write = |counted: &run::Counted<'_>| write(stat, &output, counted);
    run::run(&stat.run, Some(Counting { ended: &write }))
}

fn write(stat: &Stat, output: &Output, counted: &run::Counted<'_>) -> Result<()> {
    let counts = vdso_launch::counts::Report::read(counted.counts);
    let Run { command, .. } = &stat.run;
    let report = Report::new(command, counted.elapsed, &counts);
    let text = match stat.format() {
        Format::Text => text::render(&report, output.width()),
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
        Format::Csv => report.csv(),
    };
    output.write(&text)
}
