//! What a machine can lack: a right clock from a slower source, and the reason.

use anyhow::Result;

use super::sources::{BY_CALLS_NS, twice_as_fast};
use crate::command::{SELF, vdso};
use crate::machine;
use crate::report::Report;

pub fn run(report: &mut Report) {
    report.check("no-btf", without_btf());
    report.check("no-sysfs", without_sysfs());
}

const TYPES: &str = "cannot read the kernel's type information at /sys/kernel/btf/vmlinux";

/// As of a kernel that was configured without it.
fn without_btf() -> Result<String> {
    machine::mount_over("tmpfs", "/sys/kernel/btf")?;
    let result = chained(TYPES).and_then(|chained| {
        let own = twice_as_fast(BY_CALLS_NS)?.expect(0, "source own: as asked")?;
        Ok(format!("{chained}; own, steered by calls: {}", own.stdout))
    });
    machine::unmount("/sys/kernel/btf")?;
    result
}

/// As in a container without it.
fn without_sysfs() -> Result<String> {
    machine::unmount("/sys")?;
    let result = chained(TYPES).and_then(|chained| {
        let reason = "cannot be used here: the kernel's clocksource is not known";
        let own = twice_as_fast(BY_CALLS_NS)?.expect(125, reason)?;
        Ok(format!("{chained}; {}", own.said_after("error: ")?))
    });
    machine::mount_over("sysfs", "/sys")?;
    result
}

fn chained(reason: &str) -> Result<String> {
    let run =
        ["run", "-v", "--offset", "+1h", "--clocks", "all", "--", SELF, "read", "3600", "500"];
    let finished = vdso(&run)?.expect(0, reason)?;
    let said = finished.said_after("source chain: ")?;
    let asked = ["run", "--source", "host", "--offset", "+1h", "--", SELF, "auxv"];
    vdso(&asked)?.expect(125, reason)?;
    Ok(format!("{said}; {} bracketed reads", finished.stdout))
}
