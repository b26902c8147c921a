//! `vdso bench`: each call by the vDSO, through the C library, as a system call, and by our images.

mod machine;
mod report;
mod text;

use std::io::{Stdout, Write};

use anstream::AutoStream;
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use vdso_data::arithmetic::Transform;
use vdso_host::Host;
use vdso_image::Source;
use vdso_map::LocalImage;
use vdso_measure::calls::CALLS;
use vdso_measure::noise::Times;
use vdso_measure::{Call, Cost, Counter, Noise, Subject, Turns, images, measure};

use crate::chart;
use crate::exit::Exit;
use crate::message;
use crate::subject::refusal;
use machine::Machine;
use report::{Report, Row, Table};

const EXAMPLES: &str = "\
Examples:
  vdso bench
  vdso bench clock_gettime time
  vdso bench --json | jq '.tables[0].rows'

The least time is what a call takes when nothing disturbs it, the median what it usually takes, and 99 of
100 turns took no longer than the p99. All ways of a call are measured in turns in one process, so their
ratios hold where times do not.

The C library's getcpu is its sched_getcpu, and getrandom is asked for 16 bytes.";

/// The arguments of `vdso bench`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Bench {
    /// Only these calls, or those that begin so; all, if none is given
    #[arg(value_name = "CALL", value_parser = parse_beginning)]
    pub calls: Vec<String>,

    /// Turns that each way of a call gets
    #[arg(long, value_name = "N", default_value_t = 101, overrides_with = "rounds", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rounds: u32,

    /// Calls in one turn
    #[arg(long, value_name = "N", default_value_t = 5_000, overrides_with = "times", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub times: u32,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Measures, and prints what was measured.
pub fn run(bench: &Bench) -> Result<Exit> {
    // First, as it takes a while before there is something to print.
    let stdout = message::stdout()?;
    let calls = chosen(&bench.calls);
    let turns = Turns { rounds: bench.rounds as usize, times: bench.times };
    let host: &'static Host = Box::leak(Box::new(Host::find().map_err(refusal::without_own_maps)?));
    let images = ours(host);
    let progress = progress_bar((calls.len() + 1) as u64 * (u64::from(bench.rounds) + 1));
    let before = Times::now();
    let mut tables = Vec::new();
    let mut costs = Vec::new();
    for (name, call) in calls {
        progress.set_message(name);
        let measured = measure(&mut ways(call, host, &images), turns, || progress.inc(1));
        tables.push(table(name, &measured));
        costs.extend(measured);
    }
    progress.set_message("counter");
    let counter = measure(&mut counters(), turns, || progress.inc(1));
    if !counter.is_empty() {
        tables.push(table("counter", &counter));
    }
    costs.extend(counter);
    progress.finish_and_clear();
    let noise =
        Noise::of(costs.iter().map(|cost| cost.samples_ns.as_slice()), before, Times::now());
    let report = Report::new(Machine::look(), turns, noise, tables);
    print(&report, bench.json, stdout).context(message::PRINT)?;
    if let Some(complaint) = noise.complaint() {
        message::say(format_args!("warning: these figures cannot be trusted: {complaint}"));
        message::say(if noise.has_no_clock {
            "hint: measure where that clock goes on, not under vdso run --freeze; if it is coarse, \
             with more --times"
        } else {
            "hint: stop what else runs, and measure again with more --rounds"
        });
    }
    Ok(Exit::Success)
}

fn parse_beginning(text: &str) -> Result<String, String> {
    if CALLS.iter().any(|(name, _)| name.starts_with(text)) {
        return Ok(text.to_owned());
    }
    Err(format!("no call begins so; there are {}", CALLS.map(|(name, _)| name).join(", ")))
}

fn chosen(beginnings: &[String]) -> Vec<(&'static str, Call)> {
    let is_chosen = |name: &str| {
        beginnings.is_empty() || beginnings.iter().any(|begin| name.starts_with(begin.as_str()))
    };
    CALLS.into_iter().filter(|(name, _)| is_chosen(name)).collect()
}

/// Those of our images that this machine can run, unmoved.
fn ours(host: &'static Host) -> Vec<(&'static str, LocalImage)> {
    let mut images = Vec::new();
    for (name, source) in [
        ("ours, source own", Source::Own),
        ("ours, source host", Source::Host),
        ("ours, source chain", Source::Chain),
    ] {
        // Without a page that is known the counter may be anything.
        if source != Source::Chain && host.page.is_err() {
            continue;
        }
        match images::map(host, source, Transform::IDENTITY) {
            Ok(image) => images.push((name, image)),
            Err(error) => message::say(format_args!("warning: {name}: not measured: {error}")),
        }
    }
    images
}

/// The system call comes first: it is what the others are compared with.
fn ways<'a>(call: Call, host: &Host, images: &'a [(&str, LocalImage)]) -> Vec<Subject<'a>> {
    let mut ways = Vec::new();
    if call.is_answered() {
        ways.push(call.system_call("system call"));
    }
    ways.push(call.library().subject("C library"));
    if let Some(function) = call.kernels(host) {
        ways.push(function.subject("kernel's vDSO"));
    }
    for (name, image) in images {
        // SAFETY: mapped for this process by `images::map`.
        if let Some(function) = unsafe { call.ours(image) } {
            ways.push(function.subject(name));
        }
    }
    ways
}

fn counters() -> Vec<Subject<'static>> {
    [("rdtscp, ordered", Counter::Ordered), ("rdtsc, unordered", Counter::Unordered)]
        .into_iter()
        .filter_map(|(name, counter)| counter.subject(name))
        .collect()
}

fn table(call: &'static str, costs: &[Cost]) -> Table {
    Table { call, rows: costs.iter().map(Row::of).collect() }
}

fn print(report: &Report, as_json: bool, stdout: Stdout) -> Result<()> {
    let mut stdout = AutoStream::auto(stdout).lock();
    if as_json {
        serde_json::to_writer_pretty(&mut stdout, report).map_err(std::io::Error::from)?;
        writeln!(stdout)?;
        return Ok(());
    }
    write!(stdout, "{}", text::render(report, chart::width()))?;
    Ok(())
}

/// On standard error, and only if that is a terminal.
fn progress_bar(rounds: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}");
    ProgressBar::new(rounds).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
