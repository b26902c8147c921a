//! `getrandom` below `vdso run`: the image's own where the kernel has the function and its page is known.

use anyhow::{Result, ensure};

use super::Expected;
use crate::command::{Finished, SELF, vdso};
use crate::random;
use crate::report::Report;

/// A state of our images'.
const OURS: &str = "640 bytes";

pub fn run(report: &mut Report, expected: Expected) {
    for source in ["chain", "own", "host"] {
        report.check(source, below(source, expected));
    }
}

fn below(source: &str, expected: Expected) -> Result<String> {
    let finished = vdso(&["run", "-v", "--source", source, "--", SELF, "random"])?;
    if let Some(reason) = expected.refusal(source) {
        return Ok(finished.expect(125, reason)?.said_after("error: ")?.to_owned());
    }
    let Finished { stdout, stderr, .. } = finished.expect(0, "image at")?;
    let kernels = match random::state_bytes()? {
        Some(bytes) => format!("{bytes} bytes"),
        None => "no function".to_owned(),
    };
    let is_ours = source != "chain" && kernels != "no function";
    let right = if is_ours { OURS } else { kernels.as_str() };
    ensure!(stdout == right, "{right} was expected; it was {stdout}: {stderr}");
    Ok(stdout)
}
