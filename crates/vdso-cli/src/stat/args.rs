//! The arguments of `vdso stat`.

use std::path::PathBuf;

use crate::run::Run;

/// `vdso stat`.
#[derive(Clone, Debug, clap::Args)]
pub struct Stat {
    /// Write the counts to FILE instead of standard error
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Write one JSON document
    #[arg(long, conflicts_with = "csv")]
    json: bool,

    /// Write a line of comma-separated values for each call of each thread
    #[arg(long)]
    csv: bool,

    #[command(flatten)]
    pub run: Run,
}

/// What the counts are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Tables for people.
    Text,
    /// One document.
    Json,
    /// Lines for a spreadsheet.
    Csv,
}

impl Stat {
    /// What the counts are written as.
    pub fn format(&self) -> Format {
        match (self.json, self.csv) {
            (true, _) => Format::Json,
            (_, true) => Format::Csv,
            _ => Format::Text,
        }
    }
}

pub const EXAMPLES: &str = "\
Examples:
  vdso stat -- date
  vdso stat -o counts.txt -- ./server
  vdso stat --json -o counts.json -- make -j8
  vdso stat --offset 1y -- python3 job.py

Counts are exact: of every thread, and of all programs that the command starts, until it ends itself. What goes to the kernel
by a system call of the program's own is no call of the vDSO's, and not counted.

Exit code: that of the program, as of vdso run; 125 if the counts could not be written.";
