//! What a machine can lack: a right clock from a slower source, and the reason.

use anyhow::Result;

use super::Expected;
use crate::command::{SELF, vdso};
use crate::machine;
use crate::report::Report;

pub fn run(report: &mut Report, expected: Expected) {
    if let Expected::NoPage(reason) = expected {
        report.skip("no-btf", reason);
        report.skip("no-sysfs", reason);
        return;
    }
    report.check("no-btf", without_btf());
    report.check("no-sysfs", without_sysfs());
}

const TYPES: &str = "cannot read the kernel's type information at /sys/kernel/btf/vmlinux";

/// As of a kernel that was configured without it.
fn without_btf() -> Result<String> {
    machine::mount_over("tmpfs", "/sys/kernel/btf")?;
    let result = chained(TYPES).and_then(|chained| {
        let own = ["run", "-v", "--source", "own", "--rate", "2", "--", SELF, "rate", "2", "10000"];
        let own = vdso(&own)?.expect(0, "source own: as asked")?;
        Ok(format!("{chained}; own, steered by calls: {}", own.stdout))
    });
    machine::unmount("/sys/kernel/btf")?;
    result
}

/// As in a container without it.
fn without_sysfs() -> Result<String> {
    machine::unmount("/sys")?;
    let result = chained(TYPES).and_then(|chained| {
        let own = vdso(&["run", "--source", "own", "--rate", "2", "--", SELF, "auxv"])?;
        let own = own.expect(125, "cannot be used here: the kernel's clocksource is not known")?;
        Ok(format!("{chained}; {}", own.said_after("error: ")?))
    });
    machine::mount_over("sysfs", "/sys")?;
    result
}

fn chained(reason: &str) -> Result<String> {
    let run =
        ["run", "-v", "--offset", "+1h", "--clocks", "all", "--", SELF, "read", "3600", "10000"];
    let finished = vdso(&run)?.expect(0, reason)?;
    let said = finished.said_after("source chain: ")?;
    let asked = ["run", "--source", "host", "--offset", "+1h", "--", SELF, "auxv"];
    vdso(&asked)?.expect(125, reason)?;
    Ok(format!("{said}; {} bracketed reads", finished.stdout))
}
