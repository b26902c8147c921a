//! `vdso doctor`. Finds out whether clocks are on the fast path.

use anyhow::{Result, bail};

use crate::exit::Exit;

/// The arguments of `vdso doctor`.
#[derive(Clone, Debug, clap::Args)]
pub struct Doctor {}

/// Does it.
pub fn run(_: &Doctor) -> Result<Exit> {
    bail!("not there yet")
}
