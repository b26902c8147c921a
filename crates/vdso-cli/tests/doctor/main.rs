//! `vdso doctor`.
//!
//! - [`machines`]: simulated machines, one for each case that the checks know, with golden files.
//! - [`here`]: this machine, and other processes on it.
//! - [`commands`]: programs that it runs.
//!
//! The golden files are written anew by `VDSO_GOLDEN=write cargo test -p vdso-cli --test doctor`.

mod commands;
mod here;
mod machines;
mod simulated;
#[path = "../support/mod.rs"]
mod support;

use std::process::Command;

use serde_json::Value;
use support::Finished;

/// `vdso doctor`.
fn doctor() -> Command {
    let mut command = Command::new(support::VDSO);
    command.arg("doctor");
    command
}

/// The one document that it printed.
#[track_caller]
fn document(finished: &Finished) -> Value {
    match serde_json::from_str(&finished.stdout) {
        Ok(document) => document,
        Err(error) => panic!("{error} in {finished:#?}"),
    }
}

/// The check of this id.
#[track_caller]
fn check<'a>(document: &'a Value, id: &str) -> &'a Value {
    let checks = document["checks"].as_array().expect("checks are a list");
    let found = checks.iter().find(|check| check["id"] == id);
    found.unwrap_or_else(|| panic!("no check {id} in {document:#}"))
}
