//! The command line.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::bench::Bench;
use crate::doctor::Doctor;
use crate::dump::Dump;
use crate::inspect::Inspect;
use crate::run::Run;

/// Gives any unmodified program a clock of its own, at full speed, and looks into every program's vDSO.
#[derive(Debug, Parser)]
#[command(name = "vdso", version, about, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,

    #[command(flatten)]
    pub color: colorchoice_clap::Color,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a program on our vDSO, with a clock of its own
    Run(Run),
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

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  vdso completions bash >/etc/bash_completion.d/vdso
  vdso completions zsh >/usr/local/share/zsh/site-functions/_vdso
  vdso completions fish >~/.config/fish/completions/vdso.fish";
