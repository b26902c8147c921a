//! The report for people: how often each function was called, why the kernel was asked, and who called.

use std::fmt::Write;

use anstyle::Style;

use super::report::{OfClock, OfThread, Report};
use crate::chart::{bar, grid, lines};

const TITLE: Style = Style::new().bold();

/// What the columns take; the rest is the bar's.
const COLUMNS_WIDTH: usize = 60;
const WIDEST_BAR: usize = 40;
/// Threads that have a line of their own.
const MOST_THREADS: usize = 20;

/// All of it.
pub fn render(report: &Report, width: usize) -> String {
    let bar_width = width.saturating_sub(COLUMNS_WIDTH).clamp(8, WIDEST_BAR);
    let mut text = format!("\n{TITLE}{}{TITLE:#}\n", summary(report));
    if report.total == 0 {
        return text;
    }
    text.push_str(&calls(report, bar_width));
    if !report.asked_kernel.is_empty() {
        let reasons: Vec<_> =
            report.reasons.iter().map(|it| format!("{} x {}", it.count, it.reason)).collect();
        _ = writeln!(text, "\nthe kernel was asked for: {}", list(&report.asked_kernel));
        _ = writeln!(text, "as: {}", reasons.join(", "));
    }
    if !report.retried.is_empty() {
        _ = writeln!(text, "\nread anew, as the page was being written: {}", list(&report.retried));
    }
    if report.threads.len() > 1 {
        text.push_str(&threads(report, bar_width));
    }
    let of_others = of_others(report);
    if of_others > 0 {
        _ = writeln!(
            text,
            " and {} by threads that are not told apart",
            counted(of_others, "call")
        );
    }
    text
}

fn summary(report: &Report) -> String {
    let mut pids: Vec<_> = report.threads.iter().filter_map(|thread| thread.pid).collect();
    pids.sort_unstable();
    pids.dedup();
    let threads = counted(report.threads.len() as u64, "thread");
    let by = match (report.threads.len(), of_others(report)) {
        (0, 1..) => "threads that are not told apart".to_owned(),
        (_, 1..) => format!("{threads} of {} and others", counted(pids.len() as u64, "process")),
        (_, 0) => format!("{threads} of {}", counted(pids.len() as u64, "process")),
    };
    let calls = counted(report.total, "call");
    format!("{calls} of the vDSO in {:.3} s, by {by}", report.elapsed_s)
}

/// Calls of those that are not told apart.
fn of_others(report: &Report) -> u64 {
    report.others.iter().fold(0, |sum, call| sum.saturating_add(call.count))
}

fn calls(report: &Report, bar_width: usize) -> String {
    let mut grid = grid(["", "calls", "share", "a second", ""]);
    let largest = report.calls.first().map_or(0, |call| call.count);
    for call in &report.calls {
        grid.add_row([
            call.name(),
            call.count.to_string(),
            share(call.count, report.total),
            rate(call.count, report.elapsed_s),
            bar(call.count as f64, largest as f64, bar_width),
        ]);
    }
    lines(&mut grid, 1..=3)
}

fn threads(report: &Report, bar_width: usize) -> String {
    let mut grid = grid(["process", "thread", "name", "calls", "share", ""]);
    let largest = report.threads.first().map_or(0, |thread| thread.total);
    let id = |id: Option<u32>| id.map_or_else(|| "?".to_owned(), |id| id.to_string());
    for OfThread { pid, tid, name, total, .. } in report.threads.iter().take(MOST_THREADS) {
        grid.add_row([
            id(*pid),
            id(*tid),
            name.clone(),
            total.to_string(),
            share(*total, report.total),
            bar(*total as f64, largest as f64, bar_width),
        ]);
    }
    let mut text = String::from("\n") + &lines(&mut grid, 3..=4);
    let rest = report.threads.iter().skip(MOST_THREADS);
    let (count, sum) =
        rest.fold((0, 0_u64), |(count, sum), thread| (count + 1, sum.saturating_add(thread.total)));
    if count > 0 {
        let (threads, calls) = (counted(count, "more thread"), counted(sum, "call"));
        _ = writeln!(text, " and {threads} with {calls}: --json and --csv have all");
    }
    text
}

fn list(clocks: &[OfClock]) -> String {
    let each = clocks.iter().map(|it| format!("{} x {}", it.count, it.clock));
    each.collect::<Vec<_>>().join(", ")
}

fn share(part: u64, total: u64) -> String {
    format!("{:.1} %", 100.0 * part as f64 / total.max(1) as f64)
}

fn rate(count: u64, elapsed_s: f64) -> String {
    if elapsed_s > 0.0 { format!("{:.0}", count as f64 / elapsed_s) } else { "-".to_owned() }
}

/// `1 call`, `2 calls`; `2 processes`.
fn counted(count: u64, what: &str) -> String {
    let ending = match what {
        _ if count == 1 => "",
        "process" => "es",
        _ => "s",
    };
    format!("{count} {what}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stat::report::Call;

    fn report(threads: usize, others: u64) -> Report {
        let call = |count| Call { function: "time", clock: None, count };
        let thread = |tid| OfThread {
            pid: Some(1),
            tid: Some(tid),
            name: String::new(),
            total: 1,
            calls: vec![call(1)],
        };
        let total = threads as u64 + others;
        Report {
            schema_version: 1,
            command: Vec::new(),
            elapsed_s: 1.0,
            total,
            calls: vec![call(total)],
            asked_kernel: Vec::new(),
            reasons: Vec::new(),
            retried: Vec::new(),
            threads: (1..=threads as u32).map(thread).collect(),
            others: if others > 0 { vec![call(others)] } else { Vec::new() },
        }
    }

    /// However many are told apart.
    #[test]
    fn those_who_are_not_told_apart_are_said_to_be_there() {
        for (threads, by) in [
            (0, "by threads that are not told apart"),
            (1, "by 1 thread of 1 process and others"),
            (2, "by 2 threads of 1 process and others"),
        ] {
            let text = render(&report(threads, 5), 80);
            assert!(text.contains(by), "{text}");
            assert_eq!(text.matches(" and 5 calls by threads that are not told apart").count(), 1);
        }
        assert!(!render(&report(2, 0), 80).contains("told apart"));
    }
}
