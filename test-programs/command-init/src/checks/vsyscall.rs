//! A program that calls the legacy vsyscall page, below `vdso run`, on a kernel that answers such calls or ends who makes them:
//! `crates/vdso-cli/tests/helpers/vsyscall.c`, static, as programs of that time are.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::command::vdso;
use crate::report::Report;

const PROGRAM: &str = "/vsyscall";
/// What it prints where its clocks are its own: results, and by how many times two seconds they differ from the C library's.
const RIGHT: &str = "OLD 0 0 0 1 0 1";

pub fn run(report: &mut Report) {
    if !std::path::Path::new(PROGRAM).exists() {
        return report.skip("all", "it was not built");
    }
    let mode = if has_page() { "answered" } else { "ended" };
    report.check(&format!("plain-is-{mode}"), plain());
    for (name, options, calls) in [
        ("calls", &["--offset", "400d"][..], "calls"),
        ("calls-behind", &["--offset", "-400d"], "calls"),
        ("calls-of-the-hosts-clock", &[], "calls"),
        ("calls-chained", &["--offset", "400d", "--source", "chain"], "calls"),
        ("child", &["--offset", "400d"], "fork"),
        ("searched", &["--offset", "400d", "--vsyscall"], "calls"),
        ("kept", &["--offset", "400d", "--vsyscall"], "kept"),
    ] {
        report.check(name, below(options, calls));
    }
    report.check("kept-code", code_is_kept());
}

fn has_page() -> bool {
    std::fs::read_to_string("/proc/self/maps").is_ok_and(|maps| maps.contains("[vsyscall]"))
}

fn plain() -> Result<String> {
    let mut program = Command::new(PROGRAM);
    let output = program.arg("calls").stdin(Stdio::null()).output().context(PROGRAM)?;
    ensure!(output.status.success() == has_page(), "{output:?}");
    Ok(output.status.to_string())
}

fn below(options: &[&str], calls: &str) -> Result<String> {
    let finished = vdso(&[&["run"][..], options, &["--", PROGRAM, calls]].concat())?;
    let is_right = finished.code == Some(0) && finished.stdout == RIGHT;
    ensure!(is_right && finished.stderr.is_empty(), "{finished:?}");
    Ok(finished.stdout)
}

/// The kernel does as without vdso.
fn code_is_kept() -> Result<String> {
    let finished = vdso(&["run", "--offset", "400d", "--no-patch", "--", PROGRAM, "calls"])?;
    ensure!((finished.code == Some(0)) == has_page(), "{finished:?}");
    Ok(format!("{:?}", finished.code))
}
