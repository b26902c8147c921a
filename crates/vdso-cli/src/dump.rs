//! `vdso dump`: an image from a process's memory, byte for byte.

use anyhow::{Result, bail};

use crate::exit::Exit;

/// The arguments of `vdso dump`.
#[derive(Clone, Debug, clap::Args)]
pub struct Dump {}

/// Does it.
pub fn run(_: &Dump) -> Result<Exit> {
    bail!("not there yet")
}
