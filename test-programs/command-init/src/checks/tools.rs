//! The other commands, as a person would use them there.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Expected;
use crate::command::vdso;
use crate::report::Report;

pub fn run(report: &mut Report, expected: Expected) {
    report.check("doctor", doctor(expected));
    if expected == Expected::NoPage("this kernel gives no vDSO") {
        report.check("inspect", inspect_nothing());
        report.skip("bench", "there is no vDSO to measure");
        return;
    }
    report.check("inspect", inspect(expected));
    report.check("bench", bench());
}

/// Where the kernel computes each time itself, it says so.
fn doctor(expected: Expected) -> Result<String> {
    let found = vdso(&["doctor", "--json"])?.json()?;
    let checks = found["checks"].as_array().with_context(|| format!("{found}"))?;
    let is_bad = |check: &&Value| check["status"] != "ok";
    let text = |check: &Value| format!("{} {}", check["id"], check["summary"]);
    let bad: Vec<String> = checks.iter().filter(is_bad).map(text).collect();
    let is_slow = found["status"] == "fail";
    ensure!(is_slow != (expected == Expected::Page), "{}: {}", found["status"], bad.join("; "));
    Ok(format!("{} checks; not ok: {}", checks.len(), bad.join("; ")))
}

fn inspect(expected: Expected) -> Result<String> {
    let found = vdso(&["inspect", "--json"])?.expect(0, "")?.json()?;
    let page = &found["kernel_data_page"];
    let name = page["name"].as_str().with_context(|| format!("no known layout: {page}"))?;
    match (expected, page["not_read_because"].as_str()) {
        (Expected::Page, None) => {}
        (Expected::NoPage(reason), Some(why)) if why.contains(reason) => {}
        (_, why) => anyhow::bail!("the page of {name} is read or not: {why:?}"),
    }
    Ok(name.to_owned())
}

fn inspect_nothing() -> Result<String> {
    let finished = vdso(&["inspect"])?.expect(0, "")?;
    let warning = "there is no vDSO: kernels that were booted with vdso=0 give none";
    ensure!(finished.stdout.contains(warning), "{finished:?}");
    Ok(warning.to_owned())
}

/// It runs; how fast things are in an emulator says nothing.
fn bench() -> Result<String> {
    let few = ["bench", "--json", "--rounds", "3", "--times", "20"];
    let found = vdso(&few)?.expect(0, "")?.json()?;
    let tables = found["tables"].as_array().with_context(|| format!("{found}"))?;
    ensure!(!tables.is_empty(), "{found}");
    Ok(format!("{} tables", tables.len()))
}
