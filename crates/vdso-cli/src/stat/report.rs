//! What was counted, as `--json` and `--csv` print it.

use std::ffi::OsString;
use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;
use vdso_launch::counts::{self, Reason, Tally, Thread};

use crate::message::printable;

/// Grows when a field changes its meaning or goes away.
const SCHEMA_VERSION: u32 = 1;

/// The document.
#[derive(Debug, Serialize)]
pub struct Report {
    pub schema_version: u32,
    pub command: Vec<String>,
    pub elapsed_s: f64,
    /// Of all threads.
    pub total: u64,
    pub calls: Vec<Call>,
    /// Clocks that the kernel was asked for, whichever function was called.
    pub asked_kernel: Vec<OfClock>,
    pub reasons: Vec<OfReason>,
    /// Clocks that were read anew, as their page was being written.
    pub retried: Vec<OfClock>,
    pub threads: Vec<OfThread>,
    /// Of threads that could not be told apart.
    pub others: Vec<Call>,
}

/// How often a function was called.
#[derive(Debug, Serialize)]
pub struct Call {
    pub function: &'static str,
    pub clock: Option<&'static str>,
    pub count: u64,
}

/// How often something was with a clock.
#[derive(Debug, Serialize)]
pub struct OfClock {
    pub clock: &'static str,
    pub count: u64,
}

/// How often the kernel was asked for this reason.
#[derive(Debug, Serialize)]
pub struct OfReason {
    pub reason: &'static str,
    pub count: u64,
}

/// What a thread has called.
#[derive(Debug, Serialize)]
pub struct OfThread {
    pub pid: Option<u32>,
    pub tid: Option<u32>,
    pub name: String,
    pub total: u64,
    pub calls: Vec<Call>,
}

impl Report {
    pub fn new(command: &[OsString], elapsed: Duration, counted: &counts::Report) -> Self {
        let total = counted.total();
        let of_clock = |(clock, count): (&'static str, u64)| OfClock { clock, count };
        let reason = |(reason, count)| OfReason { reason: reason_name(reason), count };
        let mut threads: Vec<_> = counted.threads.iter().map(OfThread::new).collect();
        // The busiest first; of equal ones, who came first.
        threads.sort_by_key(|thread| std::cmp::Reverse(thread.total));
        Self {
            schema_version: SCHEMA_VERSION,
            command: command.iter().map(|part| part.to_string_lossy().into_owned()).collect(),
            elapsed_s: elapsed.as_secs_f64(),
            total: total.sum(),
            calls: calls(&total),
            asked_kernel: total.asked_kernel().into_iter().map(of_clock).collect(),
            reasons: total.reasons().into_iter().map(reason).collect(),
            retried: total.retried().into_iter().map(of_clock).collect(),
            threads,
            others: calls(&counted.others),
        }
    }

    /// A line for each call of each thread, below a line of names.
    pub fn csv(&self) -> String {
        let mut text = String::from("pid,tid,name,function,clock,count\n");
        let id = |id: Option<u32>| id.map(|id| id.to_string()).unwrap_or_default();
        let threads = self
            .threads
            .iter()
            .map(|thread| (id(thread.pid), id(thread.tid), thread.name.as_str(), &thread.calls));
        for (pid, tid, name, calls) in
            threads.chain([(String::new(), String::new(), "", &self.others)])
        {
            for Call { function, clock, count } in calls {
                let clock = clock.unwrap_or_default();
                let name = quoted(name);
                _ = writeln!(text, "{pid},{tid},{name},{function},{clock},{count}");
            }
        }
        text
    }
}

impl OfThread {
    fn new(thread: &Thread) -> Self {
        Self {
            pid: thread.ids.map(|(pid, _)| pid),
            tid: thread.ids.map(|(_, tid)| tid),
            // Programs choose it.
            name: printable(&thread.name),
            total: thread.tally.sum(),
            calls: calls(&thread.tally),
        }
    }
}

impl Call {
    /// As a programmer writes it: `clock_gettime(MONOTONIC)`.
    pub fn name(&self) -> String {
        match self.clock {
            Some(clock) => format!("{}({clock})", self.function),
            None => self.function.to_owned(),
        }
    }
}

/// The most frequent first.
fn calls(tally: &Tally) -> Vec<Call> {
    let call = |(call, count): (counts::Call, u64)| Call {
        function: call.function,
        clock: call.clock,
        count,
    };
    let mut calls: Vec<_> = tally.calls().into_iter().map(call).collect();
    calls.sort_by_key(|call| std::cmp::Reverse(call.count));
    calls
}

fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::NoPage => "no page has the clock",
        Reason::CounterUnused => "the kernel does not use the counter",
        Reason::TimeNamespace => "the process is in a time namespace",
        Reason::Stale => "the page does not tell",
    }
}

/// A field of a line, as RFC 4180 has it, and nothing more: to a spreadsheet a name that begins with `=` is a formula.
fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}
