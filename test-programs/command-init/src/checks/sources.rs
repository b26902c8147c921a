//! `vdso run` with each source.

use anyhow::{Context, Result, ensure};
use vdso_host::{Host, Sampler};
use vdso_timekeeper::Reference;

use super::Expected;
use crate::clocks;
use crate::command::{Finished, SELF, vdso, vdso_as_nobody, vdso_in_namespace};
use crate::report::Report;

/// How often each clock is read.
const READS: &str = "20000";
const FEW_READS: &str = "500";
/// An hour.
const OFFSET: [&str; 4] = ["--offset", "+1h", "--clocks", "all"];
const OFFSET_SEC: &str = "3600";

pub fn run(report: &mut Report, expected: Expected) {
    report.check("page", page(expected));
    report.check("host", host(expected));
    report.check("selected", selected(expected));
    report.check("chain", source("chain"));
    report.check("own", own(expected));
    report.check("rate", rate(expected));
    report.check("children", children());
    report.check("nobody", nobody());
    report.check("auxv", auxv());
    report.check("time-namespace", in_namespace(expected));
    report.check("entered-namespace", entered_namespace());
}

/// The page itself, without an image that would ask the kernel where it does not know.
fn page(expected: Expected) -> Result<String> {
    const LOOKS: u64 = 20_000;
    let host = Host::find()?;
    let name = match (&host.page, expected) {
        (Ok(page), Expected::Page) => page.name(),
        (Err(error), Expected::NoPage(reason)) if error.to_string().contains(reason) => {
            return Ok(format!("not read: {error}"));
        }
        (page, _) => anyhow::bail!("{page:?}"),
    };
    let mut sampler = Sampler::new(&host);
    for _ in 0..LOOKS {
        let before = vdso_data::clock::HIGH_RESOLUTION_IDS.map(clocks::by_call);
        let sample = sampler.sample().context("the page holds no clock any more")?;
        let after = vdso_data::clock::HIGH_RESOLUTION_IDS.map(clocks::by_call);
        for (index, id) in vdso_data::clock::HIGH_RESOLUTION_IDS.into_iter().enumerate() {
            let now = sample.fixed[id as usize] >> 32;
            let (before, after) = (before[index], after[index]);
            ensure!((before..=after).contains(&now), "clock {id}: {before} <= {now} <= {after}");
        }
    }
    Ok(format!("{name}: {LOOKS} bracketed looks at all fine clocks"))
}

/// Asked for by name, it is taken or refused.
fn host(expected: Expected) -> Result<String> {
    let program = [SELF, "read", OFFSET_SEC, READS];
    let run = [&["run", "-v", "--source", "host"][..], &OFFSET, &["--"], &program].concat();
    let finished = vdso(&run)?;
    match expected {
        Expected::Page => {
            let finished = finished.expect(0, "source host: its data page is that of")?;
            let said = finished.said_after("source host: ")?;
            Ok(format!("{said}; {} bracketed reads", finished.stdout))
        }
        Expected::NoPage(reason) => {
            let finished = finished.expect(125, reason)?;
            Ok(finished.said_after("error: ")?.to_owned())
        }
    }
}

/// Whatever is fastest and safe.
fn selected(expected: Expected) -> Result<String> {
    let (source, reason) = match expected {
        Expected::Page => ("source host: ", "its data page is that of"),
        Expected::NoPage(reason) => ("source chain: ", reason),
    };
    let program = [SELF, "read", OFFSET_SEC, FEW_READS];
    let run = [&["run", "-v"][..], &OFFSET, &["--"], &program].concat();
    let finished = vdso(&run)?.expect(0, reason)?;
    let said = finished.said_after(source)?;
    Ok(format!("{source}{said}; {} bracketed reads", finished.stdout))
}

fn source(name: &str) -> Result<String> {
    let program = [SELF, "read", OFFSET_SEC, FEW_READS];
    let run = [&["run", "-v", "--source", name][..], &OFFSET, &["--"], &program].concat();
    let finished = vdso(&run)?.expect(0, &format!("source {name}: as asked"))?;
    Ok(format!("{} bracketed reads", finished.stdout))
}

/// A line of ours follows the host's to less than a bracket's width, so it is read at a rate.
fn own(expected: Expected) -> Result<String> {
    if let Some(reason) = expected.refusal("own") {
        let finished = twice_as_fast(EXACT_NS)?.expect(125, reason)?;
        return Ok(finished.said_after("error: ")?.to_owned());
    }
    let (slack_ns, how) = match expected {
        Expected::Page => (EXACT_NS, "twice as fast"),
        Expected::NoPage(_) => (BY_CALLS_NS, "twice as fast, steered by calls"),
    };
    let finished = twice_as_fast(slack_ns)?.expect(0, "source own: as asked")?;
    Ok(format!("{how}: {}", finished.stdout))
}

/// What a line of ours may be off by where the kernel's page is known, ns: the counter's rate at the
/// first lines is that of one moment.
const EXACT_NS: &str = "20000";
/// The same where the clock is compared by calls, on an emulator that others interrupt, ns.
pub const BY_CALLS_NS: &str = "50000000";

/// The `own` source with a rate of two.
pub fn twice_as_fast(slack_ns: &str) -> Result<Finished> {
    let program = [SELF, "rate", "2", slack_ns];
    vdso(&[&["run", "-v", "--source", "own", "--rate", "2", "--"][..], &program].concat())
}

/// A rate of its own, by what is fastest and safe.
fn rate(expected: Expected) -> Result<String> {
    let source = match expected {
        Expected::Page => "source own: the fastest",
        Expected::NoPage(_) => "source chain: ",
    };
    let run = ["run", "-v", "--rate", "3", "--", SELF, "rate", "3", EXACT_NS];
    let finished = vdso(&run)?.expect(0, source)?;
    Ok(format!("{}; {}", finished.said_after("source ")?, finished.stdout))
}

/// Three generations below the program.
fn children() -> Result<String> {
    let program = [SELF, "children", "3", OFFSET_SEC, FEW_READS];
    let finished = vdso(&[&["run", "-v"][..], &OFFSET, &["--"], &program].concat())?;
    let finished = finished.expect(0, "image at")?;
    let images = finished.stderr.matches("image at").count();
    ensure!(images == 4, "{images} images for four processes: {finished:?}");
    Ok(format!("{images} processes with an image; {} bracketed reads", finished.stdout))
}

/// Without privilege, following takes `no_new_privs`.
fn nobody() -> Result<String> {
    let program = [SELF, "children", "1", OFFSET_SEC, FEW_READS];
    let run = [&["run", "-v"][..], &OFFSET, &["--"], &program].concat();
    let finished = vdso_as_nobody(&run)?.expect(0, "image at")?;
    let images = finished.stderr.matches("image at").count();
    ensure!(images == 2, "{images} images for two processes: {finished:?}");
    Ok(format!("{images} processes with an image; {} bracketed reads", finished.stdout))
}

/// The page of a process in a time namespace is another.
fn in_namespace(expected: Expected) -> Result<String> {
    let reason = match expected {
        Expected::Page => "this process is in a time namespace",
        Expected::NoPage(reason) if reason.contains("no vDSO") => reason,
        // The page says nothing else there.
        Expected::NoPage(_) => "this process is in a time namespace",
    };
    let program = [SELF, "read", OFFSET_SEC, FEW_READS];
    let run = [&["run", "-v"][..], &OFFSET, &["--"], &program].concat();
    let finished = vdso_in_namespace(&run)?.expect(0, reason)?;
    Ok(format!("{}; {} bracketed reads", finished.said_after("source ")?, finished.stdout))
}

/// A program that enters one keeps its image; the kernel exchanges the page below it.
fn entered_namespace() -> Result<String> {
    let program = [SELF, "enter", OFFSET_SEC, FEW_READS];
    let finished = vdso(&[&["run"][..], &OFFSET, &["--"], &program].concat())?.expect(0, "")?;
    let counts: Vec<&str> = finished.stdout.lines().collect();
    ensure!(counts.len() == 2, "{finished:?}");
    Ok(format!("{} bracketed reads before, {} after", counts[0], counts[1]))
}

/// Where our image is said to be.
fn auxv() -> Result<String> {
    let finished = vdso(&["run", "--offset", "+1h", "--", SELF, "auxv"])?.expect(0, "")?;
    Ok(finished.stdout)
}
