//! The arguments of `vdso doctor`.

use std::ffi::OsString;
use std::num::{IntErrorKind, ParseIntError};
use std::path::PathBuf;

/// `vdso doctor`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = EXAMPLES_AND_EXIT_CODES)]
pub struct Doctor {
    /// Look at this process; without it and without a command, at vdso's own
    #[arg(value_name = "PID", conflicts_with = "command", value_parser = parse_pid)]
    pub pid: Option<u32>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,

    /// Write the report to FILE, not to standard output (-), which COMMAND may use, too
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Don't count COMMAND's system calls: it runs at full speed, and is looked at only when it
    /// starts and when it ends
    #[arg(long, requires = "command")]
    pub no_count: bool,

    /// Read /proc, /sys and /dev below this folder, and measurements.json instead of measuring
    #[arg(long, value_name = "FOLDER", hide = true, conflicts_with = "command")]
    pub root: Option<PathBuf>,

    /// Run this program, with its arguments, and look at it
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

fn parse_pid(text: &str) -> Result<u32, String> {
    text.parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow => "no process has so high a number".to_owned(),
        _ => format!("this is no process number; a program comes after --: vdso doctor -- {text}"),
    })
}

const EXAMPLES: &str = "\
Examples:
  vdso doctor
  vdso doctor 4711
  vdso doctor -- python3 simulation.py
  vdso doctor --json -o report.json -- ./server";

const EXAMPLES_AND_EXIT_CODES: &str = "\
Examples:
  vdso doctor
  vdso doctor 4711
  vdso doctor -- python3 simulation.py
  vdso doctor --json -o report.json -- ./server
  vdso doctor --json | jq '.checks[] | select(.status == \"fail\")'

Exit code: 0 if no check failed, 1 if one did or vdso itself failed, 2 for a mistake in its arguments.
How COMMAND ended is in the report, and has no part in it.

What is measured: a traced child calls each function of the vDSO, and the system calls that come of it
are counted. COMMAND's own are counted as well, and told apart by where they are made: in the vDSO,
which went on to the kernel, or elsewhere, past it. Nothing in COMMAND is changed, but each of its
system calls takes some microseconds longer; --no-count avoids that. Programs that it starts are not
looked at.";
