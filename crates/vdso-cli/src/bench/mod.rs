//! `vdso bench`. Measures each call in each way of calling it.

use anyhow::{Result, bail};

use crate::exit::Exit;

/// The arguments of `vdso bench`.
#[derive(Clone, Debug, clap::Args)]
pub struct Bench {}

/// Does it.
pub fn run(_: &Bench) -> Result<Exit> {
    bail!("not there yet")
}
