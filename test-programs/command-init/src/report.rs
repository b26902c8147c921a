//! The lines on the console, as `test-programs/kernel-init/src/report.rs` describes them.

use std::fmt::Display;
use std::io::{self, Write};

use anyhow::Result;

/// Debian's name of this architecture.
const ABI: &str = if cfg!(target_arch = "aarch64") {
    "arm64"
} else if cfg!(target_arch = "riscv64") {
    "riscv64"
} else {
    "amd64"
};

/// What a group of checks has said.
pub struct Report {
    group: &'static str,
    lines: usize,
}

impl Report {
    pub fn new(group: &'static str) -> Self {
        Self { group, lines: 0 }
    }

    /// `ok` with what was found, or `fail` with what was instead.
    pub fn check(&mut self, name: &str, result: Result<impl Display>) {
        match result {
            Ok(detail) => self.line(name, "ok", &detail.to_string()),
            Err(error) => self.line(name, "fail", &format!("{error:#}")),
        }
    }

    /// A check that cannot be made here, and why.
    pub fn skip(&mut self, name: &str, reason: &str) {
        self.line(name, "skip", reason);
    }

    /// Says that this group has come to its end.
    pub fn close(self) {
        print(&format!("{ABI}/{} end {}", self.group, self.lines));
    }

    fn line(&mut self, name: &str, status: &str, detail: &str) {
        self.lines += 1;
        print(&format!("{ABI}/{}/{name} {status} {detail}", self.group));
    }
}

/// Says that nothing more will come.
pub fn close() {
    print("end");
}

/// A failed check of no group.
pub fn failed_process(detail: &str) {
    print(&format!("{ABI}/sources/process fail {detail}"));
}

/// One write for a line, so that the kernel's own messages don't come between.
fn print(text: &str) {
    let line = format!("vdso-check {}\n", text.replace('\n', "; "));
    // Errors cannot be told to anyone.
    let _ = io::stdout().write_all(line.as_bytes());
    let _ = io::stdout().flush();
}
