//! The command line.

use std::ffi::OsString;
use std::fs;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::bench::Bench;
use crate::doctor::Doctor;
use crate::dump::Dump;
use crate::inspect::Inspect;
use crate::run::Run;
use crate::stat::{self, Stat};

/// Gives any unmodified program a clock of its own, at full speed, and looks into every program's vDSO.
#[derive(Debug, Parser)]
#[command(name = "vdso", version, about, arg_required_else_help = true, max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,

    #[command(flatten)]
    pub color: colorchoice_clap::Color,
}

/// [`Args`] with the one command that is started most, and is to start soonest: what there is besides is not even
/// described.
#[derive(Debug, Parser)]
#[command(name = "vdso")]
struct RunAlone {
    #[command(subcommand)]
    command: RunCommand,

    #[command(flatten)]
    color: colorchoice_clap::Color,
}

#[derive(Debug, Subcommand)]
enum RunCommand {
    Run(Run),
}

impl Args {
    /// Those of this process.
    pub fn of_process() -> Result<Self, clap::Error> {
        if std::env::args_os().nth(1).is_some_and(|first| first == "run")
            && let Ok(RunAlone { command: RunCommand::Run(run), color }) = RunAlone::try_parse()
        {
            return Ok(Self { command: Command::Run(run), color });
        }
        // Whoever made a mistake, or asks for help, is told by the whole.
        Self::try_parse()
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a program on our vDSO, with a clock of its own
    Run(Run),
    /// Count how often a program calls each function of the vDSO
    #[command(after_help = stat::EXAMPLES, after_long_help = stat::EXAMPLES)]
    Stat(Stat),
    /// Show the vDSO of a process or a file: where it is mapped, what it exports, who uses that
    Inspect(Inspect),
    /// Write the vDSO of a process to a file
    Dump(Dump),
    /// Find out whether this machine's clocks, or a program's, are on the fast path
    Doctor(Doctor),
    /// Measure each call: by the vDSO, through the C library, as a system call
    Bench(Bench),
    /// Print the completion script of a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Write the manual pages to a folder
    #[command(hide = true)]
    Manual {
        /// Which folder; it is created
        folder: std::path::PathBuf,
    },
}

/// The number of a process, from digits.
pub fn pid(digits: &str) -> Result<u32, String> {
    // The kernel's own type for it.
    match digits.parse::<i32>() {
        Ok(0) => Err("no process has the number 0".to_owned()),
        Ok(pid) => Ok(pid.unsigned_abs()),
        Err(_) => Err("no process has so high a number".to_owned()),
    }
}

/// Whether a person means the number of a process.
pub fn is_pid(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Of the argument that names a target.
pub fn target_parser() -> impl TypedValueParser<Value = OsString> {
    OsStringValueParser::new().try_map(pid_or_file)
}

/// The number of a process, or a file.
fn pid_or_file(text: OsString) -> Result<OsString, String> {
    match text.to_str().filter(|text| is_pid(text)).map(pid) {
        Some(Err(error)) if matches!(fs::exists(&text), Ok(true)) => {
            let shown = text.display();
            Err(format!("{error}; to look at the file of that name, write ./{shown}"))
        }
        Some(Err(error)) => Err(error),
        Some(Ok(_)) | None => Ok(text),
    }
}

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  vdso completions bash >/etc/bash_completion.d/vdso
  vdso completions zsh >/usr/local/share/zsh/site-functions/_vdso
  vdso completions fish >~/.config/fish/completions/vdso.fish";
