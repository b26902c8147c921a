//! `vdso`, run to its end.

use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Where the machine has it.
const VDSO: &str = "/vdso";
/// This program.
pub const SELF: &str = "/init";

/// What it did.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs it as root.
pub fn vdso(arguments: &[&str]) -> Result<Finished> {
    finish(Command::new(VDSO).args(arguments))
}

/// Runs it as somebody without any privilege.
pub fn vdso_as_nobody(arguments: &[&str]) -> Result<Finished> {
    const NOBODY: u32 = 65534;
    finish(Command::new(VDSO).args(arguments).uid(NOBODY).gid(NOBODY))
}

/// Runs it as root in a time namespace.
pub fn vdso_in_namespace(arguments: &[&str]) -> Result<Finished> {
    finish(Command::new(SELF).args(["in-namespace", VDSO]).args(arguments))
}

fn finish(command: &mut Command) -> Result<Finished> {
    let output = command.stdin(Stdio::null()).output();
    let Output { status, stdout, stderr } = output.with_context(|| format!("{command:?}"))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
    Ok(Finished { code: status.code(), stdout: text(stdout), stderr: text(stderr) })
}

impl Finished {
    /// If it ended so, and said so on standard error.
    pub fn expect(self, code: i32, said: &str) -> Result<Self> {
        ensure!(
            self.code == Some(code) && self.stderr.contains(said),
            "exit code {code} and {said:?} were expected; it was {self:?}"
        );
        Ok(self)
    }

    /// What its standard error has behind `mark`, up to the line's end.
    pub fn said_after(&self, mark: &str) -> Result<&str> {
        let found = self.stderr.lines().find_map(|line| Some(line.split_once(mark)?.1));
        found.with_context(|| format!("{mark:?} was expected; it was {self:?}"))
    }

    /// Its one document.
    pub fn json(&self) -> Result<Value> {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => Ok(value),
            Err(error) => bail!("no JSON: {error}; it was {self:?}"),
        }
    }
}
