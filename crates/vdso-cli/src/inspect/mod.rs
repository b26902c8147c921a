//! `vdso inspect`. Shows what an image has, and where it is.
//!
//! [`facts`] gathers what is known, [`text`] renders it for people; [`disassemble`] does both for a
//! function's instructions.

mod abi;
mod disassemble;
mod facts;
mod layout;
mod text;
mod users;
pub mod warnings;

use std::ffi::OsString;
use std::io::Write;

use anstream::AutoStream;
use anyhow::{Context, Result};
use clap::ValueHint;
use serde::Serialize;

use crate::args::target_parser;
use crate::exit::Exit;
use crate::message;
use crate::subject::Target;
use disassemble::Function;
use facts::Facts;

/// The arguments of `vdso inspect`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = EXAMPLES_AND_NOTES)]
pub struct Inspect {
    /// The number of a process, an image in a file, or a core file; without it, vdso's own
    ///
    /// What has digits only is a process: write ./123 for a file of that name.
    #[arg(value_name = "PID|FILE", value_hint = ValueHint::FilePath, value_parser = target_parser())]
    target: Option<OsString>,

    /// Show the instructions of this function
    #[cfg_attr(
        not(feature = "disassemble"),
        doc = "",
        doc = "This build of vdso lacks what that takes."
    )]
    #[arg(long, value_name = "SYMBOL")]
    disassemble: Option<String>,

    /// Take the kernel's image, where the program was given one of ours
    #[arg(long, requires = "disassemble")]
    kernel: bool,

    /// Write one JSON document
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  vdso inspect
  vdso inspect $(pgrep -n firefox)
  vdso inspect arm64-vdso.so
  vdso inspect --disassemble __vdso_time
  vdso inspect --json | jq '.images[0].elf.symbols[].name'";

const EXAMPLES_AND_NOTES: &str = "\
Examples:
  vdso inspect
  vdso inspect $(pgrep -n firefox)
  vdso inspect arm64-vdso.so
  vdso inspect core.1234
  vdso inspect --disassemble __vdso_time
  vdso inspect --json | jq '.images[0].elf.symbols[].name'

Files may be of any architecture. Instructions are shown for x86-64, x32, i386, arm64, arm, riscv
and powerpc.

To read the memory of another process takes the right to trace it: it has to be yours, or you root.

Exit code: 0; 1 if the target cannot be read, 2 for a mistake in the arguments. Whatever is wrong
with an image that can be read is a warning.";

/// Does it.
pub fn run(args: &Inspect) -> Result<Exit> {
    let target = Target::find(args.target.as_deref())?;
    let mut out = AutoStream::auto(message::stdout()?).lock();
    let written = match &args.disassemble {
        Some(symbol) => {
            let function = Function::find(&target, args.kernel, symbol)?;
            match args.json {
                true => write_json(&mut out, &function),
                false => disassemble::write_text(&mut out, &function),
            }
        }
        None => {
            let facts = Facts::of(&target);
            match args.json {
                true => write_json(&mut out, &facts),
                false => text::write(&mut out, &target, &facts),
            }
        }
    };
    written.and_then(|()| out.flush()).context(message::PRINT)?;
    Ok(Exit::Success)
}

fn write_json(out: &mut impl Write, document: &impl Serialize) -> std::io::Result<()> {
    let text = serde_json::to_string_pretty(document).map_err(std::io::Error::other)?;
    writeln!(out, "{text}")
}

#[cfg(test)]
mod tests;
