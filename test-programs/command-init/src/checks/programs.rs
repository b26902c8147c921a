//! Programs below `vdso run`, by a shell: the script says what they saw, in lines of its own.

use std::path::Path;
use std::process::Command;

use crate::report;

const SHELL: &str = "/busybox";
const SCRIPT: &str = "/programs.sh";

/// Runs the script, if the machine was given one.
pub fn run() {
    if !Path::new(SCRIPT).exists() {
        return;
    }
    match Command::new(SHELL).args(["sh", SCRIPT]).status() {
        Ok(status) if status.success() => {}
        Ok(status) => report::failed_process(&format!("{SCRIPT}: {status}")),
        Err(error) => report::failed_process(&format!("{SHELL}: {error}")),
    }
}
