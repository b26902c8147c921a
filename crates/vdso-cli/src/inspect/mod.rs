//! `vdso inspect`. Shows what an image has, and where it is.

use anyhow::{Result, bail};

use crate::exit::Exit;

/// The arguments of `vdso inspect`.
#[derive(Clone, Debug, clap::Args)]
pub struct Inspect {}

/// Does it.
pub fn run(_: &Inspect) -> Result<Exit> {
    bail!("not there yet")
}
