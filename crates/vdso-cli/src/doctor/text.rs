//! The report as text: a line for each check, and below those that are not ok the cause and what to
//! do.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::command::{CommandFacts, LookedAt};
use super::report::{Check, Report, Status};
use crate::message::printable;

/// Text is wrapped to this many columns: any terminal has them, and a pipe gets the same.
const COLUMNS: usize = 80;
/// Where causes begin.
const INDENT: &str = "          ";

/// Writes it.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    heading(report, out)?;
    for check in &report.checks {
        line(check, out)?;
        if check.status == Status::Ok {
            continue;
        }
        for (label, text) in [("because  ", &check.cause), ("do       ", &check.action)] {
            if let Some(text) = text {
                paragraph(label, text, out)?;
            }
        }
        if let Some(command) = &check.command {
            // Never wrapped: it is there to be copied.
            writeln!(out, "{INDENT}run      {command}")?;
        }
    }
    writeln!(out, "\n{}", verdict(report))
}

fn heading(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let machine = &report.machine;
    let kernel = machine.kernel_release.as_deref().unwrap_or("of unknown release");
    write!(out, "Linux {kernel}, {}", machine.architecture)?;
    if let Some(model) = &machine.cpu_model {
        write!(out, ", {model}")?;
    }
    if let Some(hypervisor) = &machine.hypervisor {
        write!(out, ", under {hypervisor}")?;
    }
    let process = &report.process;
    let name = printable(process.name.as_deref().unwrap_or("?"));
    writeln!(out, "\nprocess {} '{name}'", process.pid)?;
    if let Some(command) = &report.command {
        writeln!(out, "{}", how_it_ended(command))?;
    }
    if process.pid != std::process::id() && report.measurements.method.is_some() {
        writeln!(out, "calls are measured in a process of vdso's own")?;
    }
    writeln!(out)
}

fn how_it_ended(command: &CommandFacts) -> String {
    let end = match (command.exit_code, command.signal) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (_, Some(signal)) => match nix::sys::signal::Signal::try_from(signal) {
            Ok(name) => format!("was ended by signal {signal} ({name})"),
            Err(_) => format!("was ended by signal {signal}"),
        },
        _ => "has ended".to_owned(),
    };
    let looked = match command.looked_at {
        LookedAt::End => "looked at when it ended",
        LookedAt::Start => "looked at when it started, before its libraries were there",
    };
    format!("it {end}; {looked}")
}

fn line(check: &Check, out: &mut dyn Write) -> io::Result<()> {
    let (word, style) = word(check.status);
    let label = format!("{word:<WORD_COLUMNS$}  {:<21} ", check.title);
    let mut text = Vec::new();
    wrapped(&label, &" ".repeat(label.len()), &check.summary, &mut text)?;
    // The style's own bytes take no columns, so they come last.
    let (_, rest) = text.split_at(word.len());
    write!(out, "{style}{word}{style:#}")?;
    out.write_all(rest)
}

/// Columns of the status in front of a line.
const WORD_COLUMNS: usize = 8;

fn word(status: Status) -> (&'static str, Style) {
    let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
    match status {
        Status::Ok => ("ok", color(AnsiColor::Green)),
        Status::Unknown => ("unknown", color(AnsiColor::Cyan)),
        Status::Warn => ("warning", color(AnsiColor::Yellow).bold()),
        Status::Fail => ("FAIL", color(AnsiColor::Red).bold()),
    }
}

/// A text with a label, the lines below the first one below its text.
fn paragraph(label: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
    let first = format!("{INDENT}{label}");
    wrapped(&first, &" ".repeat(first.len()), text, out)
}

fn wrapped(first: &str, rest: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
    let options = textwrap::Options::new(COLUMNS)
        .initial_indent(first)
        .subsequent_indent(rest)
        // A command must stay one that can be copied.
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .word_separator(textwrap::WordSeparator::AsciiSpace);
    for line in textwrap::wrap(&printable(text), options) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn verdict(report: &Report) -> String {
    let count = |status| report.checks.iter().filter(|check| check.status == status).count();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let (fails, warnings) = (count(Status::Fail), count(Status::Warn));
    let unknown = count(Status::Unknown);
    let verdict = match (fails, warnings) {
        (0, _) if unknown > 0 => "nothing found that keeps clocks off the fast path".to_owned(),
        (0, 0) => "on the fast path".to_owned(),
        (0, n) => format!("on the fast path, with {n} warning{}", plural(n)),
        (n, _) => format!("off the fast path: {n} check{} failed", plural(n)),
    };
    match unknown {
        0 => verdict,
        n => format!("{verdict}; {n} could not be found out"),
    }
}
