//! The arguments of `vdso doctor`.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::args;

/// `vdso doctor`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = EXAMPLES_AND_EXIT_CODES)]
pub struct Doctor {
    /// Look at this process; without it and without a command, at vdso's own
    ///
    /// Its calls are neither counted nor timed: what is measured is vdso's own.
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
    ///
    /// Its threads are looked at with it, programs that it starts are not.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

fn parse_pid(text: &str) -> Result<u32, String> {
    if !args::is_pid(text) {
        let hint = "a program comes after --: vdso doctor --";
        return Err(format!("this is no process number; {hint} {text}"));
    }
    args::pid(text)
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

What is measured: a traced child of vdso's own calls each function of its vDSO, and the system calls
that come of it are counted. That tells of the machine, and not of another process: of PID nothing is
measured, only what it has mapped and how it is confined is looked at. To see what a program's own
calls come to, start it as COMMAND.

COMMAND's system calls are counted as well, and told apart by where they are made: in the vDSO, which
went on to the kernel, or elsewhere, past it. Its threads count, its children do not: programs that it
starts are not looked at. Nothing in COMMAND is changed, but each of its system calls takes some
microseconds longer; --no-count avoids that.";
